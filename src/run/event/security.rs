//! What happens in the security audit.

use serde::{Deserialize, Serialize};

/// What happens in the security audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "security", rename_all = "snake_case")]
pub enum SecurityEvent {
    /// A check begins.
    CheckStarted {
        /// Its name.
        check: String,
    },
    /// Something was found.
    Found(Box<Finding>),
    /// A check is over.
    CheckFinished(CheckReport),
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

/// A weakness, with what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable id of the rule, such as `SDK-CORS-001`.
    pub rule: String,
    /// What it is, in a few words.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// CWE number.
    pub cwe: u32,
    /// Where: service, method and path, or an image.
    pub place: String,
    /// What was asked and what came, both sides; bounded, cleaned, secrets cut out.
    pub evidence: String,
    /// What to do.
    pub remedy: String,
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

/// How a check ended, and what it covered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Its name.
    pub check: String,
    /// How it ended.
    pub status: CheckStatus,
    /// Why, or what was covered, in words.
    pub coverage: String,
    /// Requests that it sent.
    pub requests: u64,
}

/// The score of the phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecurityScore {
    /// 0-100.
    pub score: f64,
    /// Checks that came to an end, of those that apply.
    pub covered: u32,
    /// Checks that apply.
    pub asked: u32,
}
