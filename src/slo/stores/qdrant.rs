//! Qdrant: inserts and searches in a small collection of the run's own.

use async_trait::async_trait;
use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, PointStruct, SearchPointsBuilder, UpsertPointsBuilder,
    VectorParamsBuilder,
};

use super::{Kept, Queried, QueryError, TIMEOUT};
use crate::config::Store;
use crate::platform::store::{StoreError, qdrant, within};

/// Dimensions of its vectors.
const DIMENSIONS: u64 = 64;
/// Points in it; inserting goes round.
const POINTS: u64 = 256;
/// Points that a search asks for.
const NEAREST: u64 = 5;

/// What it can be asked.
pub(super) const STEPS: &[&str] = &["insert", "search"];

pub(super) struct Qdrant {
    store: Store,
    collection: String,
    client: Kept<qdrant::Connection>,
}

impl Qdrant {
    pub(super) fn new(store: Store, collection: String) -> Self {
        Self { store, collection, client: Kept::new() }
    }

    async fn grpc(&self) -> Result<qdrant_client::Qdrant, StoreError> {
        let open = || async { qdrant::connect(&self.store, TIMEOUT) };
        Ok(self.client.get(open).await?.grpc.clone())
    }
}

/// A vector that is the same for the same number.
fn vector(number: u64) -> Vec<f32> {
    (0..DIMENSIONS).map(|at| ((number * 31 + at * 17) % 97) as f32 / 97.0).collect()
}

#[async_trait]
impl Queried for Qdrant {
    fn scratch(&self) -> Option<&str> {
        Some(&self.collection)
    }

    async fn prepare(&self) -> Result<(), StoreError> {
        let vectors = VectorParamsBuilder::new(DIMENSIONS, Distance::Cosine);
        let create = CreateCollectionBuilder::new(&self.collection).vectors_config(vectors);
        let created = self.grpc().await?;
        within(TIMEOUT, "create collection", created.create_collection(create)).await.map(drop)
    }

    async fn ask(&self, step: &str, number: u64) -> Result<(), QueryError> {
        let grpc = self.grpc().await.map_err(QueryError::connect)?;
        let answered = if step == "insert" {
            let id = number % POINTS;
            let point = PointStruct::new(id, vector(id), qdrant_client::Payload::new());
            let upsert = UpsertPointsBuilder::new(&self.collection, vec![point]).wait(true);
            within(TIMEOUT, "insert", grpc.upsert_points(upsert)).await.map(drop)
        } else {
            let search = SearchPointsBuilder::new(&self.collection, vector(number), NEAREST);
            within(TIMEOUT, "search", grpc.search_points(search)).await.map(drop)
        };
        // The client connects again by itself.
        answered.map_err(|reason| {
            let words = reason.reason.to_ascii_lowercase();
            if ["transport", "connect", "unavailable"].iter().any(|word| words.contains(word)) {
                QueryError::connect(reason)
            } else {
                QueryError::refused(reason)
            }
        })
    }

    async fn remove(&self) -> Result<(), StoreError> {
        let grpc = self.grpc().await?;
        let delete = grpc.delete_collection(&self.collection);
        within(TIMEOUT, "delete collection", delete).await?;
        let exists = within(TIMEOUT, "look", grpc.collection_exists(&self.collection)).await?;
        if exists { Err(StoreError::new("delete collection", "it is still there")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_vector_is_zero_so_that_cosine_is_defined() {
        for number in 0..POINTS {
            assert!(vector(number).iter().any(|part| *part > 0.0), "{number}");
        }
    }
}
