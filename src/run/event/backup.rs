//! What happens in the backup drill.

use serde::{Deserialize, Serialize};

use super::drilled::{ClosureReport, DrillSummary, StoreReport};
use crate::config::StoreKind;

/// What happens in the backup drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "backup", rename_all = "snake_case")]
pub enum BackupEvent {
    /// A drill begins.
    Started(DrillStart),
    /// A step of a store begins. What destroys is on disk before it is done.
    StepStarted {
        /// The store.
        store: StoreKind,
        /// The step.
        step: DrillStep,
    },
    /// How far a step is.
    Progress(StepProgress),
    /// A step is over.
    StepFinished(StepReport),
    /// Everything of a store is over, its cleaning too.
    StoreFinished(Box<StoreReport>),
    /// What the platform's backup service said or left, in one line.
    Service {
        /// What, cleaned and bounded.
        message: String,
    },
    /// Whether every document is in all restored stores.
    Closure(ClosureReport),
    /// The drill is over.
    Finished(DrillSummary),
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Whose backup is drilled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillWay {
    /// A logical backup by shakedown itself.
    #[default]
    BuiltIn,
    /// The platform's own backup service.
    Platform,
}

impl DrillWay {
    /// The words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Platform => "platform",
        }
    }
}

/// A drill as it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillStart {
    /// Whose backup.
    pub way: DrillWay,
    /// Synthetic documents, each of which is in every store.
    pub documents: u64,
    /// From which all data follows.
    pub seed: u64,
    /// The name under which everything is done.
    pub namespace: String,
    /// The stores.
    pub stores: Vec<StoreKind>,
    /// Stores that are left out, and why.
    pub skipped: Vec<(StoreKind, String)>,
}

/// The steps of a drill, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillStep {
    /// The server is asked what it is and how much room it has, and gives us a place of our own.
    Setup,
    /// The data is written.
    Inject,
    /// It is read back and compared with what was written.
    VerifyInitial,
    /// The backup is made.
    Backup,
    /// Its files are checked.
    VerifyBackup,
    /// The data is destroyed, and its absence proven.
    Destroy,
    /// The data is restored from the backup alone.
    Restore,
    /// Everything is read and compared with what was there before.
    VerifyIntegrity,
    /// Whether anything was lost.
    DataLoss,
}

impl DrillStep {
    /// All steps in order.
    pub const ALL: [Self; 9] = [
        Self::Setup,
        Self::Inject,
        Self::VerifyInitial,
        Self::Backup,
        Self::VerifyBackup,
        Self::Destroy,
        Self::Restore,
        Self::VerifyIntegrity,
        Self::DataLoss,
    ];

    /// The words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Inject => "inject",
            Self::VerifyInitial => "verify initial",
            Self::Backup => "backup",
            Self::VerifyBackup => "verify backup",
            Self::Destroy => "destroy",
            Self::Restore => "restore",
            Self::VerifyIntegrity => "verify integrity",
            Self::DataLoss => "zero data loss",
        }
    }
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepProgress {
    /// The store.
    pub store: StoreKind,
    /// The step.
    pub step: DrillStep,
    /// Records so far.
    pub records: u64,
    /// Records altogether, where that is known.
    pub of: Option<u64>,
    /// Bytes so far.
    pub bytes: u64,
}

/// A step that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// The store.
    pub store: StoreKind,
    /// The step.
    pub step: DrillStep,
    /// Whether it did what it should.
    pub passed: bool,
    /// What was seen, or why it failed.
    pub detail: String,
    /// Records that it went through.
    pub records: u64,
    /// Bytes that it went through.
    pub bytes: u64,
    /// How long it took, microseconds.
    pub took_us: u64,
}
