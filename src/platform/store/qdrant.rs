//! Qdrant: points by qdrant-client over gRPC, everything about snapshots over REST.

use std::time::Duration;

use qdrant_client::Qdrant;

use super::{Address, Credentials, StoreError};
use crate::config::{Store, StoreKind};
use crate::platform::{client, tls};

/// Port of gRPC where the configuration names none.
const GRPC_PORT: u16 = 6334;

/// Both ways to a Qdrant server.
#[derive(Clone)]
pub struct Connection {
    /// gRPC.
    pub grpc: Qdrant,
    /// REST.
    pub rest: reqwest::Client,
    /// Base URL of REST, without a trailing slash.
    pub url: String,
}

/// Prepares both ways; nothing is sent yet.
///
/// # Errors
/// When an address is none.
pub fn connect(store: &Store, timeout: Duration) -> Result<Connection, StoreError> {
    tls::install_provider();
    let address = Address::parse(StoreKind::Qdrant, &store.url)?;
    let key = Credentials::read(store)?.password().map(str::to_owned);
    let grpc = store
        .grpc
        .clone()
        .unwrap_or_else(|| format!("{}://{}:{GRPC_PORT}", address.scheme, address.host_in_url()));
    // The compatibility check blocks the executor and prints into the dashboard.
    let grpc = Qdrant::from_url(&grpc)
        .skip_compatibility_check()
        .timeout(timeout)
        .connect_timeout(timeout)
        .api_key(key.clone())
        .build()
        .map_err(StoreError::when("address"))?;
    let mut headers = reqwest::header::HeaderMap::new();
    if let Some(key) = key {
        let mut value = reqwest::header::HeaderValue::from_str(&key)
            .map_err(|_| StoreError::new("password", "expected visible ASCII characters"))?;
        value.set_sensitive(true);
        headers.insert("api-key", value);
    }
    let mut rest =
        client::anywhere().default_headers(headers).timeout(timeout).connect_timeout(timeout);
    if let Some(pem) = super::authorities(store)? {
        let authority =
            reqwest::Certificate::from_pem(&pem).map_err(StoreError::when("ca_file"))?;
        rest = rest.add_root_certificate(authority);
    }
    let rest = rest.build().map_err(StoreError::when("HTTP client"))?;
    let url = format!("{}://{}:{}", address.scheme, address.host_in_url(), address.port);
    Ok(Connection { grpc, rest, url })
}
