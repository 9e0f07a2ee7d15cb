//! What happens in the security audit.

mod audit;
mod finding;
mod images;

use serde::{Deserialize, Serialize};

pub use audit::{
    CheckReport, Comparison, Discovered, Gone, Operations, SecurityScore, Skipped, Written,
};
pub use finding::{Exchange, Finding, Novelty};
pub use images::{Counts, ImageReport, ImageStatus, VulnerabilityDatabase};

/// What happens in the security audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "security", rename_all = "snake_case")]
pub enum SecurityEvent {
    /// What there is to be audited.
    Discovered(Discovered),
    /// A check begins.
    CheckStarted {
        /// Its name.
        check: String,
    },
    /// A check has come so far.
    Progress {
        /// The check.
        check: String,
        /// Steps done.
        done: u32,
        /// Steps altogether.
        of: u32,
        /// What it is at, in words.
        at: String,
    },
    /// What Trivy knows.
    Database(VulnerabilityDatabase),
    /// The images that are scanned, in order.
    ImagesFound {
        /// Their names.
        images: Vec<String>,
    },
    /// The scan of an image has come so far.
    ImageStep {
        /// The image.
        image: String,
        /// What Trivy is doing, in its words.
        step: String,
    },
    /// The scan of an image begins.
    ImageStarted {
        /// The image.
        image: String,
    },
    /// An image has been scanned, or could not be.
    ImageFinished(ImageReport),
    /// Something is written next; on disk before it is done.
    Writing(Written),
    /// Something may take the place of what a configured request says next; on disk before it does.
    Replacing(Written),
    /// The platform said where it put something that was written.
    Stored {
        /// Its name, as in [`Written`].
        name: String,
        /// What the platform calls it.
        at: String,
    },
    /// What became of something that was written or replaced.
    Removed {
        /// Its name, as in [`Written`].
        name: String,
        /// Whether its absence was shown.
        gone: bool,
        /// Why it was not.
        detail: String,
    },
    /// Something was found.
    Found(Box<Finding>),
    /// A check is over.
    CheckFinished(CheckReport),
    /// How the findings differ from those of the run before.
    Compared(Comparison),
    /// The score of the phase.
    Scored(SecurityScore),
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// A hardening that is missing.
    Low,
    /// Helps an attacker.
    Medium,
    /// Harms users.
    High,
    /// Gives the platform away.
    Critical,
}

impl Severity {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// How sure a finding is; only firm and above counts for the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// It looks like it.
    Tentative,
    /// It differs from its control.
    Firm,
    /// It differs from its control, again and again.
    Confirmed,
}

impl Confidence {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tentative => "tentative",
            Self::Firm => "firm",
            Self::Confirmed => "confirmed",
        }
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// At least one firm finding.
    Vulnerable,
    /// Everything was asked, and nothing found.
    Pass,
    /// The target has nothing that this check is about.
    NotApplicable,
    /// Something in between refused to let it through.
    Blocked,
    /// It failed by itself.
    Error,
    /// It could not be made.
    NotTested,
}

impl CheckStatus {
    /// The words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Vulnerable => "vulnerable",
            Self::Pass => "pass",
            Self::NotApplicable => "not applicable",
            Self::Blocked => "blocked",
            Self::Error => "error",
            Self::NotTested => "not tested",
        }
    }

    /// Whether it leaves something undecided.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Blocked | Self::Error | Self::NotTested)
    }
}
