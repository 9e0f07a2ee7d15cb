//! MinIO or another S3: lists the buckets.

use async_trait::async_trait;
use s3::Bucket;

use super::{Queried, QueryError, TIMEOUT};
use crate::config::Store;
use crate::platform::store::{StoreError, minio, within};

/// What it can be asked.
pub(super) const STEPS: &[&str] = &["list"];

pub(super) struct Minio {
    store: Store,
}

impl Minio {
    pub(super) const fn new(store: Store) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Queried for Minio {
    fn scratch(&self) -> Option<&str> {
        None
    }

    async fn prepare(&self) -> Result<(), StoreError> {
        minio::connect(&self.store, TIMEOUT).map(drop)
    }

    async fn ask(&self, _: &str, _: u64) -> Result<(), QueryError> {
        let connection = minio::connect(&self.store, TIMEOUT).map_err(QueryError::connect)?;
        let list = Bucket::list_buckets(connection.region, connection.credentials);
        within(TIMEOUT, "list buckets", list).await.map(drop).map_err(QueryError::connect)
    }

    async fn remove(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
