//! A store with our place in it: how it is reached, and how everything of ours is removed from it. It
//! stands in the undo journal before the first write, and holds no secrets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::stores::{self, DrillError, DrillStore, Identity, Namespace};
use crate::config::{Store, StoreKind};

/// Opens connections to one store.
#[async_trait]
pub trait OpenStore: Send + Sync {
    /// Which store.
    fn kind(&self) -> StoreKind;

    /// A connection of its own.
    ///
    /// # Errors
    /// When it cannot be reached.
    async fn open(&self) -> Result<Arc<dyn DrillStore>, DrillError>;

    /// What removes everything of ours, for the undo journal.
    fn undo(&self) -> Undo;
}

/// A configured store and our place in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// Which store.
    pub kind: StoreKind,
    /// Where it is and how one gets in.
    pub store: Store,
    /// Our place in it.
    pub names: Namespace,
    /// Longest wait for one answer, milliseconds.
    pub timeout_ms: u64,
    /// Whether the store lives in the run's own process family, and dies with it.
    #[serde(default)]
    pub embedded: bool,
}

/// What has to be undone when nobody is left to do it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// Our place in a store is removed.
    Namespace(Box<Subject>),
    /// A folder of backups and ledgers is removed.
    Folder {
        /// It was made by the run, and holds nothing else.
        path: PathBuf,
    },
}

#[async_trait]
impl OpenStore for Subject {
    fn kind(&self) -> StoreKind {
        self.kind
    }

    async fn open(&self) -> Result<Arc<dyn DrillStore>, DrillError> {
        let timeout = Duration::from_millis(self.timeout_ms);
        stores::open(self.kind, &self.store, &self.names, timeout).await
    }

    fn undo(&self) -> Undo {
        Undo::Namespace(Box::new(self.clone()))
    }
}

/// Opens a store and asks what it is: not every client says before that that there is nobody.
///
/// # Errors
/// When it cannot be reached.
pub async fn reach(opener: &dyn OpenStore) -> Result<(Arc<dyn DrillStore>, Identity), DrillError> {
    let store = opener.open().await?;
    let identity = store.identify().await?;
    Ok((store, identity))
}

/// Removes our place from a store; returns what is left of it in words. A place of that name which
/// bears another marker was never ours, and is left alone.
///
/// # Errors
/// When the store cannot be reached, or what is there bears no marker at all.
pub async fn remove(store: &dyn DrillStore, names: &Namespace) -> Result<Vec<String>, DrillError> {
    if store.marker().await?.is_some_and(|marker| marker != names.marker()) {
        return Ok(Vec::new());
    }
    store.destroy().await?;
    store.residue().await
}
