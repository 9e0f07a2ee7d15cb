//! The steps from setup to destruction.

use std::sync::Arc;

use tokio::time::Instant;

use super::batches;
use super::canary::CanaryWriter;
use super::course::Course;
use super::guard;
use super::selftest;
use super::sink::{ArchiveSink, Holding, LedgerSink, data};
use crate::backup::archive::ArchiveWriter;
use crate::backup::dataset::is_canary;
use crate::backup::ledger::{Entry, LedgerBuilder, compare};
use crate::backup::record::Record;
use crate::backup::stores::{DrillError, DrillStore, Identity, is_definition};
use crate::run::event::{BackupFile, BackupLevel, Difference};

/// Names of differing records in one line.
const NAMED_IN_LINE: usize = 3;

/// Work that computes or reads files for long.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DrillError> + Send + 'static,
) -> Result<T, DrillError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| DrillError::Wrong(format!("the work crashed: {error}")))?
}

/// What differs, in one line.
pub(super) fn words(difference: &Difference) -> String {
    let kinds = [
        ("missing", difference.missing_count, &difference.missing),
        ("changed", difference.changed_count, &difference.changed),
        ("extra", difference.extra_count, &difference.extra),
    ];
    let some = kinds.into_iter().filter(|(_, count, _)| *count > 0);
    let words = some.map(|(what, count, names)| {
        let names: Vec<&str> = names.iter().take(NAMED_IN_LINE).map(String::as_str).collect();
        format!("{count} {what} ({})", names.join(", "))
    });
    words.collect::<Vec<_>>().join(", ")
}

impl Course<'_> {
    pub(super) async fn set_up(&mut self) -> Result<String, DrillError> {
        let store = self.drill.opener.open().await?;
        self.store = Some(Arc::clone(&store));
        let identity = store.identify().await?;
        self.report.server.clone_from(&identity.server);
        self.report.not_covered.clone_from(&identity.not_covered);
        let (needed, free_bytes) = (self.drill.needed, self.drill.free_bytes);
        let (.., note) = guard::look_for_room(&*store, needed, free_bytes).await?;
        self.report.notes.extend(note);
        self.bystanders = store.bystanders().await?;
        std::fs::create_dir_all(&self.drill.folder)?;
        // On disk before the first write.
        self.undo = Some(self.drill.undos.intend(&self.drill.opener.undo())?);
        store.prepare().await?;
        self.check_marker(&*store).await?;
        let detail =
            format!("{}, a place of our own: {}", identity.server, self.drill.names.name());
        self.identity = Some(identity);
        Ok(detail)
    }

    pub(super) async fn check_marker(&self, store: &dyn DrillStore) -> Result<(), DrillError> {
        match store.marker().await? {
            Some(marker) if marker == self.drill.names.marker() => Ok(()),
            Some(_) => Err(DrillError::Refused("the marker is somebody else's".into())),
            None => Err(DrillError::Refused("the marker is not there".into())),
        }
    }

    /// Everything that this server can hold, in the order in which it can be written.
    pub(super) fn records(
        &self,
    ) -> Result<impl Iterator<Item = Result<Record, DrillError>> + Send + use<>, DrillError> {
        let (store, identity) = (self.store()?, self.identity()?);
        let records = self.drill.dataset.records(store.kind());
        Ok(records.filter(move |record| store.takes(&identity, record)).map(Ok))
    }

    fn identity(&self) -> Result<Identity, DrillError> {
        self.identity.clone().ok_or_else(|| DrillError::Wrong("the server is not known".into()))
    }

    pub(super) async fn inject(&mut self) -> Result<String, DrillError> {
        let store = self.store()?;
        let mut records = self.records()?.peekable();
        let (mut count, mut bytes) = (0, 0);
        loop {
            let portion = batches::next(&mut records)?;
            if portion.is_empty() {
                return Ok(format!("{count} records, {}", guard::size(bytes)));
            }
            self.gate.pass(&mut self.at_work).await?;
            store.write(&portion).await?;
            let size = portion.iter().map(|record| record.size() as u64).sum();
            self.reporter.add(portion.len() as u64, size);
            count += portion.len() as u64;
            bytes += size;
        }
    }

    /// Reads everything that is in our place.
    pub(super) async fn look(&mut self, name: &str) -> Result<Holding, DrillError> {
        let store = self.restored_store()?;
        let (kind, folder) = (store.kind(), &self.drill.folder);
        let mut sink = LedgerSink::new(kind, folder, name, &self.gate, &mut self.reporter);
        store.read(&mut sink).await?;
        sink.finish()
    }

    pub(super) async fn verify_initial(&mut self) -> Result<String, DrillError> {
        let (records, folder) = (self.records()?, self.drill.folder.clone());
        let expected = blocking(move || {
            let mut ledger = LedgerBuilder::new(&folder, "expected");
            for record in records {
                let record = record?;
                if !is_definition(&record.kind) {
                    ledger.add(Entry::of(&record))?;
                }
            }
            Ok(ledger.finish()?)
        });
        let expected = expected.await?;
        let before = self.look("before").await?;
        let found = before.records.clone();
        let difference =
            blocking(move || Ok(compare(expected.entries()?, data(found.entries()?))?)).await?;
        if !difference.is_none() {
            let reason = format!("not what was written: {}", words(&difference));
            return Err(DrillError::Wrong(reason));
        }
        let counted = self.store()?.count().await?;
        let data = before.data()?;
        if counted != data {
            let reason = format!("{data} records were read, and the server counts {counted}");
            return Err(DrillError::Wrong(reason));
        }
        let detail = format!("{data} records as they were written");
        self.before = Some(before);
        // With a connection of its own, so that it writes while everything else is read.
        let connection = self.drill.opener.open().await?;
        let interval = self.drill.canary_interval;
        let writer = CanaryWriter::start(connection, interval, self.gate.clone()).await?;
        self.canaries = Some(writer);
        Ok(detail)
    }

    pub(super) async fn back_up(&mut self) -> Result<String, DrillError> {
        let store = self.store()?;
        let writer = ArchiveWriter::create(&self.drill.folder.join("backup"))?;
        let (gate, reporter) = (&self.gate, &mut self.reporter);
        let mut sink = ArchiveSink { writer, gate, reporter };
        store.read(&mut sink).await?;
        let archive = sink.writer.finish(&self.drill.run_id, store.kind(), &self.report.server)?;
        self.report.level = Some(BackupLevel::L0);
        if archive.bytes() > 0 {
            self.report.level = Some(BackupLevel::L1);
        }
        let files = archive.manifest().files.iter().map(|file| BackupFile {
            name: file.name.clone(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
        });
        self.report.files = files.collect();
        archive.manifest_sha256().clone_into(&mut self.report.manifest_sha256);
        let (records, bytes) = (archive.manifest().records, guard::size(archive.bytes()));
        let detail = format!("{records} records in {} files, {bytes}", self.report.files.len());
        self.archive = Some(archive);
        Ok(detail)
    }

    pub(super) async fn verify_backup(&mut self) -> Result<String, DrillError> {
        let (archive, before) = (self.archive.clone(), self.before.as_ref());
        let (Some(archive), Some(before)) = (archive, before.map(|before| before.records.clone()))
        else {
            return Err(DrillError::Wrong("there is no backup".into()));
        };
        let folder = self.drill.folder.clone();
        let checked = blocking(move || {
            let held = archive.verify(&folder, "archived")?;
            let held = held
                .entries()?
                .filter(|entry| entry.as_ref().map_or(true, |entry| !is_canary(&entry.name)));
            let difference = compare(before.entries()?, held)?;
            let flipped = selftest::catches_flipped_byte(&archive, &folder)?;
            Ok((difference, flipped))
        });
        let (difference, flipped) = checked.await?;
        self.report.verifier.flipped = Some(flipped);
        self.report.level = Some(BackupLevel::L3);
        if !difference.is_none() {
            let reason = format!("not what the store holds: {}", words(&difference));
            return Err(DrillError::Wrong(reason));
        }
        let caught = if flipped { "refused" } else { "NOT refused" };
        let native = self.drill_native().await?;
        Ok(format!(
            "checksums right, every record readable; a copy with one flipped byte {caught}{native}"
        ))
    }

    /// The store's own form of a backup, where it has one: what is restored from it beside the original
    /// has to be the same, record by record.
    async fn drill_native(&mut self) -> Result<String, DrillError> {
        let (store, folder) = (self.store()?, self.drill.folder.clone());
        let mut sink =
            LedgerSink::new(store.kind(), &folder, "native", &self.gate, &mut self.reporter);
        let native = match store.native(&folder, &mut sink).await {
            Ok(None) => return Ok(String::new()),
            Ok(Some(native)) => native,
            Err(DrillError::Refused(reason)) => {
                self.report.notes.push(format!("its own form of backup was not drilled: {reason}"));
                return Ok(String::new());
            }
            Err(error) => return Err(error),
        };
        let restored = sink.finish()?.records;
        let before = self.before.as_ref().map(|before| before.records.clone());
        let before = before.ok_or_else(|| DrillError::Wrong("nothing to compare with".into()))?;
        let count = restored.count();
        let difference =
            blocking(move || Ok(compare(before.entries()?, restored.entries()?)?)).await?;
        if !difference.is_none() {
            let reason =
                format!("{}: not what the store holds: {}", native.words, words(&difference));
            return Err(DrillError::Wrong(reason));
        }
        let said = format!("{}: {count} records equal one by one", native.words);
        self.report.files.extend(native.files);
        self.report.notes.push(said.clone());
        Ok(format!("; {said}"))
    }

    pub(super) async fn destroy(&mut self) -> Result<String, DrillError> {
        let store = self.store()?;
        self.check_marker(&*store).await?;
        self.check_same_server(&*store).await?;
        self.stop_canaries().await;
        let before = self.before.as_ref().map_or(Ok(0), Holding::data)?;
        let ours = before + self.written.acknowledged.len() as u64 + self.written.failed;
        let there = store.count().await?;
        if there > ours {
            let reason = format!("{there} records are there, and only {ours} of them are ours");
            return Err(DrillError::Refused(reason));
        }
        let disaster = Instant::now();
        self.disaster = Some(disaster);
        store.destroy().await?;
        let mut left = store.residue().await?;
        left.extend(store.marker().await?.map(|_| "the marker".to_owned()));
        if !left.is_empty() {
            return Err(DrillError::Wrong(format!("still there: {}", left.join(", "))));
        }
        let detected = disaster.elapsed();
        self.report.absence_proven = true;
        self.report.times.detect_us = Some(detected.as_micros() as u64);
        Ok(format!("{there} records are gone, absence proven"))
    }

    /// Where restored data is: in the store itself, unless it was restored elsewhere.
    pub(super) fn restored_store(&self) -> Result<Arc<dyn DrillStore>, DrillError> {
        self.scratch.clone().map_or_else(|| self.store(), Ok)
    }

    /// What is backed up here must not be destroyed or restored elsewhere.
    pub(super) async fn check_same_server(&self, store: &dyn DrillStore) -> Result<(), DrillError> {
        let (now, then) = (store.identify().await?, self.identity()?);
        if now.id == then.id {
            return Ok(());
        }
        Err(DrillError::Refused(format!(
            "it is another server than at the beginning: {} ({}), and was {} ({})",
            now.server, now.id, then.server, then.id
        )))
    }
}

/// Refuses a scratch store that is the store itself.
pub fn check_other_server(course: &Course<'_>, target: &Identity) -> Result<(), DrillError> {
    let source = course.identity()?;
    if source.id != target.id {
        return Ok(());
    }
    Err(DrillError::Refused(format!(
        "the scratch store is the platform's own {} ({}): --arm-in-place NAME restores into it",
        target.server, target.id
    )))
}
