//! Light queries to the configured stores while load runs: at fixed times, however long an answer
//! takes, and latency counts from the time at which the store should have been asked.

mod minio;
mod neo4j;
mod postgres;
mod qdrant;
mod redis;
mod run;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;

pub use run::{StoreWatch, gone_with_their_stores, remove_leftovers};

use crate::config::{Store, StoreKind};
use crate::platform::store::StoreError;
use crate::run::event::ErrorKind;

/// A query that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a query failed.
#[derive(Debug)]
struct QueryError {
    kind: ErrorKind,
    reason: StoreError,
}

impl QueryError {
    /// There is no connection, or it broke.
    const fn connect(reason: StoreError) -> Self {
        Self { kind: ErrorKind::Connect, reason }
    }

    /// The store answered, and not as it should.
    const fn refused(reason: StoreError) -> Self {
        Self { kind: ErrorKind::ServerStatus, reason }
    }
}

/// What a store of this kind can be asked.
pub(super) const fn steps_of(kind: StoreKind) -> &'static [&'static str] {
    match kind {
        StoreKind::Postgres => postgres::STEPS,
        StoreKind::Redis => redis::STEPS,
        StoreKind::Qdrant => qdrant::STEPS,
        StoreKind::Neo4j => neo4j::STEPS,
        StoreKind::Minio => minio::STEPS,
    }
}

/// A store that can be asked.
#[async_trait]
trait Queried: Send + Sync {
    /// The name of what it needs in the store, made beforehand and removed afterwards; none for one
    /// that only reads what is there.
    fn scratch(&self) -> Option<&str>;

    /// Makes what it needs.
    async fn prepare(&self) -> Result<(), StoreError>;

    /// Asks once.
    async fn ask(&self, step: &str, number: u64) -> Result<(), QueryError>;

    /// Removes what it made and looks whether it is gone.
    async fn remove(&self) -> Result<(), StoreError>;
}

/// The name under which a run makes things in a store. Only what bears exactly this name is removed.
fn scratch_name(run_id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    format!("sd_slo_{}", run_id.chars().map(plain).collect::<String>())
}

fn queried(kind: StoreKind, store: &Store, run_id: &str) -> Arc<dyn Queried> {
    let (store, name) = (store.clone(), scratch_name(run_id));
    match kind {
        StoreKind::Postgres => Arc::new(postgres::Postgres::new(store)),
        StoreKind::Redis => Arc::new(redis::Redis::new(store, name)),
        StoreKind::Qdrant => Arc::new(qdrant::Qdrant::new(store, name)),
        StoreKind::Neo4j => Arc::new(neo4j::Neo4j::new(store)),
        StoreKind::Minio => Arc::new(minio::Minio::new(store)),
    }
}

/// A client that is made when it is first needed, and made again after it was found broken.
struct Kept<T>(Mutex<Option<Arc<T>>>);

impl<T> Kept<T> {
    fn new() -> Self {
        Self(Mutex::new(None))
    }

    async fn get<F: Future<Output = Result<T, StoreError>>>(
        &self,
        make: impl FnOnce() -> F,
    ) -> Result<Arc<T>, StoreError> {
        let mut kept = self.0.lock().await;
        if let Some(client) = &*kept {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(make().await?);
        *kept = Some(Arc::clone(&client));
        Ok(client)
    }

    /// Lets go of this client, unless it has been replaced already.
    async fn broken(&self, client: &Arc<T>) {
        let mut kept = self.0.lock().await;
        kept.take_if(|now| Arc::ptr_eq(now, client));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_run_and_nothing_else() {
        assert_eq!(scratch_name("20261123-175746-7F3A91"), "sd_slo_20261123_175746_7f3a91");
    }

    #[tokio::test]
    async fn a_broken_client_is_replaced_once() {
        let kept = Kept::<u32>::new();
        let first = kept.get(|| async { Ok(1) }).await.expect("made");
        assert_eq!(*kept.get(|| async { Ok(2) }).await.expect("kept"), 1);
        kept.broken(&first).await;
        let second = kept.get(|| async { Ok(3) }).await.expect("made anew");
        kept.broken(&first).await;
        assert_eq!((*second, *kept.get(|| async { Ok(4) }).await.expect("kept")), (3, 3));
    }
}
