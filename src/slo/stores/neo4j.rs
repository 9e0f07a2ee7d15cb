//! Neo4j: a query that touches nothing.

use std::sync::Arc;

use async_trait::async_trait;
use neo4rs::Graph;

use super::{Kept, Queried, QueryError, TIMEOUT};
use crate::config::Store;
use crate::platform::store::{StoreError, neo4j, within};

/// What it can be asked.
pub(super) const STEPS: &[&str] = &["return"];

pub(super) struct Neo4j {
    store: Store,
    client: Kept<Graph>,
}

impl Neo4j {
    pub(super) fn new(store: Store) -> Self {
        Self { store, client: Kept::new() }
    }

    async fn graph(&self) -> Result<Arc<Graph>, StoreError> {
        self.client.get(|| neo4j::connect(&self.store, TIMEOUT)).await
    }
}

#[async_trait]
impl Queried for Neo4j {
    fn scratch(&self) -> Option<&str> {
        None
    }

    async fn prepare(&self) -> Result<(), StoreError> {
        self.graph().await.map(drop)
    }

    async fn ask(&self, _: &str, _: u64) -> Result<(), QueryError> {
        let graph = self.graph().await.map_err(QueryError::connect)?;
        match within(TIMEOUT, "RETURN 1", graph.run("RETURN 1")).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.client.broken(&graph).await;
                Err(QueryError::connect(error))
            }
        }
    }

    async fn remove(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
