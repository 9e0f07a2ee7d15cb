//! Real stores for tests: where the suite's script says they are, what of them is not the drill's, and
//! a drill's steps one by one.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shakedown::backup::archive::{Archive, ArchiveWriter};
use shakedown::backup::dataset::Dataset;
use shakedown::backup::ledger::{Entry, Ledger, LedgerBuilder, compare};
use shakedown::backup::record::Record;
use shakedown::backup::stores::{
    self, DrillError, DrillStore, Namespace, RecordSink, is_definition,
};
use shakedown::config::{SecretSource, Store, StoreKind};
use shakedown::run::event::Difference;

/// Longest wait for one answer.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// Records written at once.
const BATCH: usize = 200;
const FAR_AHEAD_MS: i64 = 4_000_000_000_000;

/// The store that the script started or was given; none when it did not run here.
pub fn live(kind: StoreKind) -> Option<Store> {
    let name = format!("SHAKEDOWN_LIVE_{}", kind.name().to_ascii_uppercase());
    let mut store = Store::at(std::env::var(&name).ok()?);
    let user = format!("{name}_USER");
    store.user = std::env::var(&user).is_ok().then_some(SecretSource::Env(user));
    let password = std::env::var(format!("{name}_PASSWORD")).ok();
    store.password = password.map(|file| SecretSource::File(file.into()));
    store.grpc = std::env::var(format!("{name}_GRPC")).ok();
    Some(store)
}

/// The same server behind TLS, trusting the authority in that variable's file.
pub fn live_tls(kind: StoreKind, authority: &str) -> Option<Store> {
    let name = format!("SHAKEDOWN_LIVE_TLS_{}", kind.name().to_ascii_uppercase());
    let url = std::env::var(&name).ok()?;
    let ca_file = std::env::var_os(authority).map(PathBuf::from);
    let region = std::env::var(format!("{name}_REGION")).ok();
    Some(Store { url, ca_file, region, ..live(kind)? })
}

/// Says that a store did not run here; the script that starts them fails when it should have.
pub fn skip(kind: StoreKind) {
    eprintln!("{kind}: not run, the suite's script started none");
}

/// Names that no other test of this process and no other process uses.
pub fn names() -> Namespace {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let run = format!("t{:x}{:x}n{number}", std::process::id(), now.as_millis());
    Namespace::new(&run, now.as_nanos() as u64)
}

pub fn dataset(documents: u64) -> Dataset {
    Dataset { seed: 11, documents, base_ms: FAR_AHEAD_MS }
}

pub async fn open(kind: StoreKind, store: &Store, names: &Namespace) -> Arc<dyn DrillStore> {
    stores::open(kind, store, names, TIMEOUT).await.expect("reachable")
}

/// Takes records into a ledger and, where there is one, into a backup.
pub struct Intake {
    pub ledger: LedgerBuilder,
    pub archive: Option<ArchiveWriter>,
    pub taken: u64,
    /// Called with the number of each record.
    pub at: Box<dyn FnMut(u64) + Send>,
}

impl Intake {
    pub fn new(folder: &Path, name: &str) -> Self {
        let ledger = LedgerBuilder::new(folder, name);
        Self { ledger, archive: None, taken: 0, at: Box::new(|_| {}) }
    }
}

impl RecordSink for Intake {
    fn take(&mut self, record: Record) -> Result<(), DrillError> {
        self.taken += 1;
        (self.at)(self.taken);
        if let Some(archive) = &mut self.archive {
            archive.add(&record)?;
        }
        Ok(self.ledger.add(Entry::of(&record))?)
    }
}

/// Everything that a drill of one store holds in memory and on disk.
pub struct Drill {
    pub kind: StoreKind,
    pub names: Namespace,
    pub store: Arc<dyn DrillStore>,
    pub dataset: Dataset,
    pub folder: tempfile::TempDir,
}

impl Drill {
    pub async fn new(kind: StoreKind, store: &Store, documents: u64) -> Self {
        let names = names();
        let store = open(kind, store, &names).await;
        let folder = tempfile::tempdir().expect("folder");
        Self { kind, names, store, dataset: dataset(documents), folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What belongs into this server.
    pub async fn records(&self) -> Vec<Record> {
        let identity = self.store.identify().await.expect("identity");
        let all = self.dataset.records(self.kind);
        all.filter(|record| self.store.takes(&identity, record)).collect()
    }

    /// Rows or whatever else belongs into any server, without asking it.
    pub fn records_unasked(&self) -> impl Iterator<Item = Record> + use<> {
        let data = self.dataset.records(self.kind).filter(|record| !is_definition(&record.kind));
        data.take(50)
    }

    /// Makes the namespace and fills it.
    pub async fn fill(&self) -> Vec<Record> {
        self.store.prepare().await.expect("prepared");
        let records = self.records().await;
        self.write(records.iter().cloned()).await.expect("written");
        records
    }

    /// Writes records, several of one kind at once.
    pub async fn write(&self, records: impl Iterator<Item = Record>) -> Result<(), DrillError> {
        let mut batch: Vec<Record> = Vec::new();
        for record in records {
            if batch.len() == BATCH || batch.first().is_some_and(|first| first.kind != record.kind)
            {
                self.store.write(&batch).await?;
                batch.clear();
            }
            batch.push(record);
        }
        self.store.write(&batch).await
    }

    pub async fn read(&self, name: &str) -> Ledger {
        let mut intake = Intake::new(self.folder.path(), name);
        self.store.read(&mut intake).await.expect("read");
        intake.ledger.finish().expect("ledger")
    }

    pub async fn backup(&self, name: &str) -> Archive {
        let mut intake = Intake::new(self.folder.path(), name);
        intake.archive =
            Some(ArchiveWriter::create(&self.path(&format!("{name}.d"))).expect("folder"));
        self.store.read(&mut intake).await.expect("read");
        let writer = intake.archive.take().expect("a backup");
        writer.finish(self.names.run(), self.kind, "test").expect("backup")
    }

    /// Makes the namespace again and fills it from the files alone.
    pub async fn restore(&self, archive: &Archive) -> Result<(), DrillError> {
        self.store.prepare().await?;
        self.write(archive.records().map(|record| record.expect("a record"))).await
    }

    /// Proves that nothing is there.
    pub async fn assert_absent(&self) {
        assert_eq!(self.store.residue().await.expect("residue"), Vec::<String>::new());
        assert_eq!(self.store.marker().await.expect("marker"), None);
        assert_eq!(self.store.count().await.expect("count"), 0);
    }
}

/// What differs between two ledgers.
pub fn difference(expected: &Ledger, found: &Ledger) -> Difference {
    let entries = |ledger: &Ledger| ledger.entries().expect("readable");
    compare(entries(expected), entries(found)).expect("comparable")
}

/// A ledger of records, without what a server words in its own way.
pub fn without_definitions(folder: &Path, name: &str, records: &[Record]) -> Ledger {
    let mut ledger = LedgerBuilder::new(folder, name);
    for record in records.iter().filter(|record| !is_definition(&record.kind)) {
        ledger.add(Entry::of(record)).expect("added");
    }
    ledger.finish().expect("ledger")
}
