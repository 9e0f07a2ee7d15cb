//! MinIO or another S3, by rust-s3.

use std::time::Duration;

use s3::creds::Credentials as S3Credentials;
use s3::{Bucket, Region};

use super::{Address, Credentials, StoreError};
use crate::config::{Store, StoreKind};
use crate::platform::tls;

const DEFAULT_REGION: &str = "us-east-1";

/// How an S3 server is reached.
#[derive(Clone)]
pub struct Connection {
    /// Region with the server's address.
    pub region: Region,
    /// Access and secret key.
    pub credentials: S3Credentials,
    timeout: Duration,
}

/// Prepares the way; nothing is sent yet.
///
/// # Errors
/// When the address is none, or a key is missing.
pub fn connect(store: &Store, timeout: Duration) -> Result<Connection, StoreError> {
    tls::install_provider();
    let address = Address::parse(StoreKind::Minio, &store.url)?;
    if store.ca_file.is_some() {
        return Err(StoreError::new(
            "ca_file",
            "the S3 client takes no authorities of its own: expected a certificate that public ones signed",
        ));
    }
    let credentials = Credentials::read(store)?;
    let key = credentials.user.as_deref();
    let s3_credentials = S3Credentials::new(key, credentials.password(), None, None, None);
    let region = store.region.clone().unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let endpoint = format!("{}://{}:{}", address.scheme, address.host_in_url(), address.port);
    Ok(Connection {
        region: Region::Custom { region, endpoint },
        credentials: s3_credentials.map_err(StoreError::when("credentials"))?,
        timeout,
    })
}

impl Connection {
    /// A bucket of the server, addressed by path.
    ///
    /// # Errors
    /// When the name is none.
    pub fn bucket(&self, name: &str) -> Result<Box<Bucket>, StoreError> {
        let bucket = Bucket::new(name, self.region.clone(), self.credentials.clone());
        let bucket = bucket.map_err(StoreError::when("bucket"))?.with_path_style();
        bucket.with_request_timeout(self.timeout).map_err(StoreError::when("bucket"))
    }
}
