//! Neo4j, by neo4rs over Bolt 4.

use std::time::Duration;

use neo4rs::{ConfigBuilder, Graph};

use super::{Address, Credentials, StoreError, within};
use crate::config::{Store, StoreKind};
use crate::platform::tls;

/// Most connections at once.
const CONNECTIONS: usize = 4;
/// Rows fetched at once.
const FETCH: usize = 500;

/// Opens a graph and makes sure that it answers.
///
/// # Errors
/// When the address is none, the server cannot be reached, or it refuses.
pub async fn connect(store: &Store, timeout: Duration) -> Result<Graph, StoreError> {
    tls::install_provider();
    let address = Address::parse(StoreKind::Neo4j, &store.url)?;
    let credentials = Credentials::read(store)?;
    let uri = format!("{}://{}:{}", address.scheme, address.host_in_url(), address.port);
    let mut config = ConfigBuilder::new()
        .uri(uri)
        .user(credentials.user.as_deref().unwrap_or("neo4j"))
        .password(credentials.password().unwrap_or_default())
        .max_connections(CONNECTIONS)
        .connection_timeout(timeout)
        .fetch_size(FETCH);
    if !address.path.is_empty() {
        config = config.db(address.path.as_str());
    }
    if let Some(path) = &store.ca_file {
        config = config.with_client_certificate(path);
    }
    let config = config.build().map_err(StoreError::when("address"))?;
    let graph = Graph::connect(config).map_err(StoreError::when("connect"))?;
    within(timeout, "connect", graph.run("RETURN 1")).await?;
    Ok(graph)
}
