//! PostgreSQL: reads a row of its catalogue, in a session that cannot write.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::Client;

use super::{Kept, Queried, QueryError, TIMEOUT};
use crate::config::Store;
use crate::platform::store::{StoreError, postgres, within};

const SELECT: &str = "SELECT oid FROM pg_catalog.pg_class ORDER BY oid LIMIT 1";

/// What it can be asked.
pub(super) const STEPS: &[&str] = &["select"];

pub(super) struct Postgres {
    store: Store,
    client: Kept<Client>,
}

impl Postgres {
    pub(super) fn new(store: Store) -> Self {
        Self { store, client: Kept::new() }
    }

    async fn client(&self) -> Result<Arc<Client>, StoreError> {
        let open = || async {
            let client = postgres::connect(&self.store, TIMEOUT).await?;
            let read_only = client.batch_execute("SET default_transaction_read_only=on");
            within(TIMEOUT, "SET", read_only).await?;
            Ok(client)
        };
        self.client.get(open).await
    }
}

#[async_trait]
impl Queried for Postgres {
    fn scratch(&self) -> Option<&str> {
        None
    }

    async fn prepare(&self) -> Result<(), StoreError> {
        self.client().await.map(drop)
    }

    async fn ask(&self, _: &str, _: u64) -> Result<(), QueryError> {
        let client = self.client().await.map_err(QueryError::connect)?;
        let answered = within(TIMEOUT, "SELECT", client.simple_query(SELECT)).await;
        match answered {
            Ok(_) => Ok(()),
            Err(error) if client.is_closed() => {
                self.client.broken(&client).await;
                Err(QueryError::connect(error))
            }
            Err(error) => Err(QueryError::refused(error)),
        }
    }

    async fn remove(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
