//! What is done with records that a store is read for: they are noted, or kept.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::gate::Gate;
use super::reporter::Reporter;
use crate::backup::archive::ArchiveWriter;
use crate::backup::dataset::{canary_sequence, document_of};
use crate::backup::ledger::{Entry, Ledger, LedgerBuilder};
use crate::backup::record::{Record, RecordDigest};
use crate::backup::stores::{DrillError, RecordSink, is_definition};
use crate::config::StoreKind;

/// Everything that a store was found to hold.
pub struct Holding {
    /// Its records, without canaries.
    pub records: Ledger,
    /// The documents in it, with the digests of their bodies.
    pub documents: Ledger,
    /// Sequence numbers of its canaries.
    pub canaries: BTreeSet<u64>,
}

impl Holding {
    /// Number of records that are data.
    pub fn data(&self) -> io::Result<u64> {
        Ok(data(self.records.entries()?).count() as u64)
    }
}

/// Entries that are data: how a server words its definitions is its own affair.
pub fn data(
    entries: impl Iterator<Item = io::Result<Entry>>,
) -> impl Iterator<Item = io::Result<Entry>> {
    entries.filter(|entry| entry.as_ref().map_or(true, |entry| !is_definition_name(&entry.name)))
}

fn is_definition_name(name: &str) -> bool {
    name.split(' ').next().is_some_and(is_definition)
}

/// Notes what a store holds.
pub struct LedgerSink<'a> {
    kind: StoreKind,
    records: LedgerBuilder,
    documents: LedgerBuilder,
    canaries: BTreeSet<u64>,
    gate: &'a Gate,
    reporter: &'a mut Reporter,
}

impl<'a> LedgerSink<'a> {
    /// A sink whose ledgers are called `name` in a folder.
    pub fn new(
        kind: StoreKind,
        folder: &Path,
        name: &str,
        gate: &'a Gate,
        reporter: &'a mut Reporter,
    ) -> Self {
        Self {
            kind,
            records: LedgerBuilder::new(folder, name),
            documents: LedgerBuilder::new(folder, &format!("{name}-documents")),
            canaries: BTreeSet::new(),
            gate,
            reporter,
        }
    }

    /// Everything that was noted.
    pub fn finish(self) -> Result<Holding, DrillError> {
        Ok(Holding {
            records: self.records.finish()?,
            documents: self.documents.finish()?,
            canaries: self.canaries,
        })
    }
}

impl RecordSink for LedgerSink<'_> {
    fn take(&mut self, record: Record) -> Result<(), DrillError> {
        self.gate.check()?;
        let entry = Entry::of(&record);
        if let Some(sequence) = canary_sequence(&entry.name) {
            self.canaries.insert(sequence);
            return Ok(());
        }
        if let Some((name, digest)) = document_of(self.kind, &record) {
            self.documents.add(Entry { name, digest: digest_of_text(&digest) })?;
        }
        self.reporter.add(1, record.size() as u64);
        Ok(self.records.add(entry)?)
    }
}

/// A digest that is written out; another text stands for itself, and is equal to no digest.
pub fn digest_of_text(text: &str) -> RecordDigest {
    use sha2::{Digest, Sha256};
    let byte = |at: usize| text.get(2 * at..2 * at + 2).map(|two| u8::from_str_radix(two, 16));
    let mut digest = [0; 32];
    for (at, into) in digest.iter_mut().enumerate() {
        match byte(at) {
            Some(Ok(value)) if text.len() == 64 => *into = value,
            _ => return Sha256::digest(format!("no digest: {text}")).into(),
        }
    }
    digest
}

/// Writes a backup of what a store holds.
pub struct ArchiveSink<'a> {
    /// Where it goes.
    pub writer: ArchiveWriter,
    /// Whether it is to end.
    pub gate: &'a Gate,
    /// What is told how far it is.
    pub reporter: &'a mut Reporter,
}

impl RecordSink for ArchiveSink<'_> {
    fn take(&mut self, record: Record) -> Result<(), DrillError> {
        self.gate.check()?;
        let bytes = self.writer.add(&record)?;
        self.reporter.add(1, bytes);
        Ok(())
    }
}
