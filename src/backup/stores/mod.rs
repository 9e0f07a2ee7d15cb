//! The five stores as the drill sees them, one file each.

mod minio;
mod neo4j;
mod postgres;
mod qdrant;
mod redis;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::archive::ArchiveError;
use super::record::Record;
use crate::config::{Store, StoreKind};
use crate::platform::store::StoreError;
use crate::run::event::{BackupFile, Verdict};

/// The names under which a drill works in one store. They are made from the run's id, nothing else
/// is ever touched, and the marker is read back before anything is destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// The run's id in lowercase letters and digits.
    run: String,
    /// Random word that only this drill knows.
    pub nonce: String,
}

impl Namespace {
    /// The names of a run's drill.
    pub fn new(run_id: &str, nonce: u64) -> Self {
        let run = run_id.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        Self { run: run.to_ascii_lowercase(), nonce: format!("{nonce:016x}") }
    }

    /// Schema, key prefix or collection, such as `sd_drill_20260101t000000ab`.
    pub fn name(&self) -> String {
        format!("sd_drill_{}", self.run)
    }

    /// The same where names may hold no underscore: a bucket.
    pub fn dashed(&self) -> String {
        format!("sd-drill-{}", self.run)
    }

    /// The run's part alone.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// What the marker says.
    pub fn marker(&self) -> String {
        format!("shakedown drill {} {}", self.run, self.nonce)
    }

    /// Whether what was read as a marker is this drill's; false when there was none.
    fn check(&self, marker: Option<&str>) -> Result<bool, DrillError> {
        match marker {
            None => Ok(false),
            Some(marker) if marker == self.marker() => Ok(true),
            Some(_) => Err(DrillError::Refused(format!(
                "{} is there, but marked by another drill: it is left alone",
                self.name()
            ))),
        }
    }

    fn unmarked(&self) -> DrillError {
        DrillError::Refused(format!(
            "{} is there, but without this drill's marker: it is left alone",
            self.name()
        ))
    }

    fn exists(&self) -> DrillError {
        DrillError::Refused(format!("{} exists already", self.name()))
    }
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Product and version.
    pub server: String,
    /// What tells it from any other: a restore goes to the server that the backup came from.
    pub id: String,
    /// What of its data this drill cannot cover there, each in a few words.
    pub not_covered: Vec<String>,
}

/// How much room a store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Free memory or disk in bytes, where the store says so.
    pub free_bytes: Option<u64>,
}

impl Room {
    /// The smaller one of what the store says and what the configuration says.
    #[must_use]
    pub fn or_configured(self, free_bytes: Option<u64>) -> Self {
        let smaller = self.free_bytes.zip(free_bytes).map(|(said, given)| said.min(given));
        Self { free_bytes: smaller.or(self.free_bytes).or(free_bytes) }
    }
}

/// What a store's own form of a backup came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// In one line.
    pub words: String,
    /// The files that it consists of.
    pub files: Vec<BackupFile>,
}

/// Takes the records that a store holds, one by one.
pub trait RecordSink: Send {
    /// Takes a record.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn take(&mut self, record: Record) -> Result<(), DrillError>;
}

/// Why a step of the drill failed.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The backup's files.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The disk of this machine.
    #[error("ledger: {0}")]
    Ledger(#[from] std::io::Error),
    /// Doing it could harm what is not ours, or could prove nothing.
    #[error("refused: {0}")]
    Refused(String),
    /// What is there is not what should be.
    #[error("{0}")]
    Wrong(String),
    /// Somebody or something ends the drill before its time.
    #[error("{}", .0.by)]
    Ended(Ending),
}

/// How a drill ends that is ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The verdict.
    pub verdict: Verdict,
    /// Who or what ends it, such as `aborted by an operator`.
    pub by: String,
}

/// A store under drill.
#[async_trait]
pub trait DrillStore: Send + Sync {
    /// Which store.
    fn kind(&self) -> StoreKind;

    /// Asks the server what it is. Refuses a server on which a drill could prove nothing.
    async fn identify(&self) -> Result<Identity, DrillError>;

    /// Asks how much room there is.
    async fn room(&self) -> Result<Room, DrillError>;

    /// Counts what is not ours, by metadata and estimates, as `(what, how many)`.
    async fn bystanders(&self) -> Result<Vec<(String, u64)>, DrillError>;

    /// Makes the namespace with its marker in it; refuses when there is one already. Comes before
    /// the first [`Self::write`] of a drill and before that of its restore.
    async fn prepare(&self) -> Result<(), DrillError>;

    /// Reads the marker back; none when there is none.
    async fn marker(&self) -> Result<Option<String>, DrillError>;

    /// Whether this server can hold a record; what it cannot is among [`Identity::not_covered`].
    fn takes(&self, _identity: &Identity, _record: &Record) -> bool {
        true
    }

    /// Writes records of one kind, as the platform itself would.
    async fn write(&self, records: &[Record]) -> Result<(), DrillError>;

    /// Reads everything in the namespace, in an order in which it can be written again.
    async fn read(&self, sink: &mut dyn RecordSink) -> Result<(), DrillError>;

    /// How many times over what is put into it takes room there during a drill.
    fn copies(&self) -> u64 {
        1
    }

    /// Backs the namespace up in the store's own form besides, restores that beside the original, and
    /// reads it from there, named as the original is; then removes what was made for that. None where
    /// the drill knows no such form. Refused where this user may not.
    async fn native(
        &self,
        _folder: &Path,
        _sink: &mut dyn RecordSink,
    ) -> Result<Option<Native>, DrillError> {
        Ok(None)
    }

    /// How many records there are in the namespace, as the server counts them (as [`Self::read`]
    /// counts, without its definitions).
    async fn count(&self) -> Result<u64, DrillError>;

    /// Destroys the namespace, the marker with it and last of all; nothing when it is not there.
    /// Refuses when the marker that it reads first is not this drill's, and when what is there has
    /// none. Takes up again what an interruption left half done.
    async fn destroy(&self) -> Result<(), DrillError>;

    /// What of the namespace is still there, in words.
    async fn residue(&self) -> Result<Vec<String>, DrillError>;

    /// Uses restored data as the platform would: finds one document by what is in it.
    async fn smoke(&self, document: &str) -> Result<String, DrillError>;
}

/// Opens a store for a drill.
///
/// # Errors
/// When it cannot be reached, or its credentials cannot be read.
pub async fn open(
    kind: StoreKind,
    store: &Store,
    names: &Namespace,
    timeout: Duration,
) -> Result<Arc<dyn DrillStore>, DrillError> {
    let names = names.clone();
    Ok(match kind {
        StoreKind::Postgres => Arc::new(postgres::Postgres::open(store, names, timeout).await?),
        StoreKind::Redis => Arc::new(redis::Redis::open(store, names, timeout).await?),
        StoreKind::Qdrant => Arc::new(qdrant::QdrantStore::open(store, names, timeout)?),
        StoreKind::Neo4j => Arc::new(neo4j::Neo4j::open(store, names, timeout).await?),
        StoreKind::Minio => Arc::new(minio::Minio::open(store, names, timeout)?),
    })
}

/// Whether a record only describes the form of the others: what the first read says is the measure,
/// because each server words it in its own way.
pub fn is_definition(kind: &str) -> bool {
    matches!(kind, "type" | "table" | "sequence" | "index" | "constraint" | "collection" | "bucket")
}
