//! What a backup drill has shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outcome::Verdict;
use crate::config::StoreKind;

/// How far a backup was shown to be good, one level above the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BackupLevel {
    /// It was asked for, and the answer was yes.
    L0,
    /// Its files are there, new and not empty.
    L1,
    /// Their checksums are right.
    L2,
    /// They can be read from beginning to end.
    L3,
    /// They were restored without an error.
    L4,
    /// Every restored record is what it was.
    L5,
    /// A query as the platform makes it finds what it looks for.
    L6,
}

impl BackupLevel {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::L4 => "L4",
            Self::L5 => "L5",
            Self::L6 => "L6",
        }
    }
}

/// What differs between what should be there and what is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Records that should be there.
    pub expected: u64,
    /// Records that are.
    pub found: u64,
    /// How many are missing.
    pub missing_count: u64,
    /// How many should not be there.
    pub extra_count: u64,
    /// How many hold something else.
    pub changed_count: u64,
    /// The first 50 of the missing.
    pub missing: Vec<String>,
    /// The first 50 of the extra.
    pub extra: Vec<String>,
    /// The first 50 of the changed.
    pub changed: Vec<String>,
}

impl Difference {
    /// Records that were lost: missing, or not what they were.
    pub const fn lost(&self) -> u64 {
        self.missing_count + self.changed_count
    }

    /// Whether nothing is missing, changed, or more than it was.
    pub const fn is_none(&self) -> bool {
        self.lost() == 0 && self.extra_count == 0
    }
}

/// The comparison record by record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordComparison {
    /// What differs.
    #[serde(flatten)]
    pub difference: Difference,
    /// Digest over all records before, in hexadecimal digits.
    pub digest_before: String,
    /// The same after the restore.
    pub digest_after: String,
}

/// What the verifier caught of what it was given to catch; none where it was not tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifierTest {
    /// A record in a copy was altered.
    pub altered: Option<bool>,
    /// One was removed.
    pub removed: Option<bool>,
    /// One was added.
    pub added: Option<bool>,
    /// One byte in a copy of the backup was flipped.
    pub flipped: Option<bool>,
}

impl VerifierTest {
    /// The four tests with their names.
    pub const fn all(self) -> [(&'static str, Option<bool>); 4] {
        [
            ("altered", self.altered),
            ("removed", self.removed),
            ("added", self.added),
            ("flipped", self.flipped),
        ]
    }
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// How much was lost and how long it took, by the canary writer and by timers. Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryTimes {
    /// From the last canary that came back to the disaster.
    pub rpo_us: Option<u64>,
    /// From the disaster to its detection.
    pub detect_us: Option<u64>,
    /// The restore itself.
    pub restore_us: Option<u64>,
    /// From the restore to the proof that everything is there.
    pub verify_us: Option<u64>,
    /// From the disaster to the proof.
    pub rto_us: Option<u64>,
    /// Canaries that the store acknowledged.
    pub canaries_written: u64,
    /// Canaries that came back.
    pub canaries_recovered: u64,
}

/// Things of others in a store, counted by metadata and estimates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bystanders {
    /// What was counted.
    pub what: String,
    /// Before the drill.
    pub before: u64,
    /// After everything was cleaned; none when it could not be asked.
    pub after: Option<u64>,
}

/// Everything that a drill showed of one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreReport {
    /// The store.
    pub store: StoreKind,
    /// Product and version, as it says itself; empty when it was not reached.
    pub server: String,
    /// What it really is, where its own word would mislead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// The highest level that was reached without a gap.
    pub level: Option<BackupLevel>,
    /// The comparison record by record, where it came to that.
    pub comparison: Option<RecordComparison>,
    /// Whether the data was proven to be gone between destruction and restore.
    pub absence_proven: bool,
    /// RPO and RTO.
    pub times: RecoveryTimes,
    /// The test of the verifier.
    pub verifier: VerifierTest,
    /// The backup's files.
    pub files: Vec<BackupFile>,
    /// SHA-256 of the manifest that names them; empty without one.
    pub manifest_sha256: String,
    /// What is not ours, before and after.
    pub bystanders: Vec<Bystanders>,
    /// What of ours is still there; empty when nothing is.
    pub residue: Vec<String>,
    /// What of the store's data such a drill does not cover.
    pub not_covered: Vec<String>,
    /// Remarks.
    pub notes: Vec<String>,
}

impl StoreReport {
    /// The report of a drill that has shown nothing yet.
    pub fn begun(store: StoreKind, label: Option<String>) -> Self {
        Self {
            store,
            server: String::new(),
            label,
            verdict: Verdict::Inconclusive,
            reason: String::new(),
            level: None,
            comparison: None,
            absence_proven: false,
            times: RecoveryTimes::default(),
            verifier: VerifierTest::default(),
            files: Vec::new(),
            manifest_sha256: String::new(),
            bystanders: Vec::new(),
            residue: Vec::new(),
            not_covered: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What the verifier missed of its own test. A flipped byte is asked of it only where the backup
    /// has checksums that can tell.
    pub fn verifier_missed(&self) -> Vec<&'static str> {
        let needs_flip = !self.manifest_sha256.is_empty();
        let missed = |name: &str, caught: Option<bool>| match caught {
            Some(caught) => !caught,
            None => needs_flip || name != "flipped",
        };
        let all = self.verifier.all().into_iter();
        all.filter(|(name, caught)| missed(name, *caught)).map(|(name, _)| name).collect()
    }
}

/// Whether every document is in all verified stores, with the same content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosureReport {
    /// Documents that were put in.
    pub documents: u64,
    /// Documents that are whole in every verified store.
    pub whole: u64,
    /// The first of the others, with the stores that lack them.
    pub broken: Vec<String>,
    /// The stores that were verified after their restore: nothing is said of the others.
    pub stores: Vec<StoreKind>,
}

impl ClosureReport {
    /// It in one line, with the stores that it speaks of.
    pub fn words(&self) -> String {
        let Self { documents, whole, stores, .. } = self;
        let stores: Vec<&str> = stores.iter().map(|store| store.name()).collect();
        format!("{whole} of {documents} documents are whole over {}", stores.join(", "))
    }
}

/// A drill that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillSummary {
    /// The worst store's verdict, or what the closure makes of it.
    pub verdict: Verdict,
    /// Stores that passed ...
    pub passed: u32,
    /// ... of those that were drilled.
    pub stores: u32,
    /// Records that should have come back.
    pub expected: u64,
    /// Records that came back as they were.
    pub restored: u64,
    /// Records that were lost; none where a store was not compared.
    pub lost: Option<u64>,
    /// The worst RPO, microseconds.
    pub rpo_us: Option<u64>,
    /// The worst RTO, microseconds.
    pub rto_us: Option<u64>,
}
