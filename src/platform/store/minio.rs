//! MinIO or another S3, by rust-s3.

use std::sync::Arc;
use std::time::Duration;

use s3::creds::Credentials as S3Credentials;
use s3::{Bucket, Region};

use super::tunnel::Tunnel;
use super::{Address, Credentials, StoreError};
use crate::config::{Secret, Store, StoreKind};
use crate::platform::tls;

const DEFAULT_REGION: &str = "us-east-1";
const AMAZON_EAST: [&str; 2] = ["s3.amazonaws.com", "s3.us-east-1.amazonaws.com"];

/// How an S3 server is reached.
#[derive(Clone)]
pub struct Connection {
    /// Region with the server's address.
    pub region: Region,
    /// Access and secret key.
    pub credentials: S3Credentials,
    /// The configured address.
    pub url: String,
    timeout: Duration,
    /// Stays open as long as this value.
    _tunnel: Option<Arc<Tunnel>>,
}

/// Prepares the way; nothing is sent yet.
///
/// # Errors
/// When the address is none, or a key is missing.
pub fn connect(store: &Store, timeout: Duration) -> Result<Connection, StoreError> {
    tls::install_provider();
    let address = Address::parse(StoreKind::Minio, &store.url)?;
    let credentials = Credentials::read(store)?;
    // An access key names nobody: it is half of the secret.
    let key = credentials.user.clone().map(Secret::from);
    let key = key.as_ref().map(Secret::expose);
    let s3_credentials = S3Credentials::new(key, credentials.password(), None, None, None);
    let name = store.region.as_deref().unwrap_or(DEFAULT_REGION);
    let (region, tunnel) = region(store, &address, name, timeout)?;
    Ok(Connection {
        region,
        credentials: s3_credentials.map_err(StoreError::when("credentials"))?,
        url: store.url.clone(),
        timeout,
        _tunnel: tunnel,
    })
}

/// Where requests go, and the way there.
fn region(
    store: &Store,
    address: &Address,
    name: &str,
    timeout: Duration,
) -> Result<(Region, Option<Arc<Tunnel>>), StoreError> {
    // There, and only there, a bucket is made without saying where.
    if name == DEFAULT_REGION && AMAZON_EAST.contains(&address.host.as_str()) {
        return Ok((Region::UsEast1, None));
    }
    let (endpoint, tunnel) = match super::authorities(store)? {
        // The client takes no authorities of its own.
        Some(pem) if address.scheme == "https" => {
            let tls = tls::store_config(Some(&pem)).map_err(StoreError::when("ca_file"))?;
            let tunnel = Tunnel::open(address, tls, timeout)?;
            (format!("http://127.0.0.1:{}", tunnel.port), Some(Arc::new(tunnel)))
        }
        _ => {
            let host = address.host_in_url();
            (format!("{}://{host}:{}", address.scheme, address.port), None)
        }
    };
    Ok((Region::Custom { region: name.to_owned(), endpoint }, tunnel))
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
