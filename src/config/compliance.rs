//! Controls: what has to be shown besides the objectives. They are never folded into a percentage.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::timespan::TimeSpan;

/// Whether a control has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Required {
    /// It has to.
    Required,
    /// It need not.
    Optional,
}

/// A control.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// What is sent is encrypted.
    EncryptionInTransit,
    /// What is stored is encrypted.
    EncryptionAtRest,
    /// Keys are replaced often enough.
    KeyRotation,
    /// The audit log is kept long enough.
    AuditLog,
    /// No more than so much time's worth of data is lost.
    Rpo,
    /// A restore takes no longer than that.
    Rto,
}

impl Control {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::EncryptionInTransit,
        Self::EncryptionAtRest,
        Self::KeyRotation,
        Self::AuditLog,
        Self::Rpo,
        Self::Rto,
    ];

    /// The name used in configuration, screens and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EncryptionInTransit => "encryption_in_transit",
            Self::EncryptionAtRest => "encryption_at_rest",
            Self::KeyRotation => "key_rotation",
            Self::AuditLog => "audit_log",
            Self::Rpo => "rpo",
            Self::Rto => "rto",
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Controls that have to be met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComplianceRules {
    /// What is stored is encrypted.
    pub encryption_at_rest: Required,
    /// What is sent is encrypted.
    pub encryption_in_transit: Required,
    /// A certificate is good for at least that long yet.
    #[serde(default = "two_weeks")]
    pub certificate_min_validity: TimeSpan,
    /// Keys are replaced at least this often.
    pub key_rotation_max_age: TimeSpan,
    /// The audit log is kept at least this long.
    pub audit_log_retention_min: TimeSpan,
    /// What people have seen; it counts for this long.
    #[serde(default = "a_quarter")]
    pub evidence_max_age: TimeSpan,
    /// What people have seen with their own eyes, where a run cannot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

const fn two_weeks() -> TimeSpan {
    TimeSpan::secs(14 * 86_400)
}

const fn a_quarter() -> TimeSpan {
    TimeSpan::secs(90 * 86_400)
}

/// What somebody has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The control that it is for.
    pub control: Control,
    /// What was seen, in words, with a reference that others can follow.
    pub statement: String,
    /// Who has seen it.
    pub by: String,
    /// When, such as `2026-10-01`: for `key_rotation` the day on which the keys were replaced, for
    /// `audit_log` the day of the oldest entry that is still there.
    #[schemars(with = "String")]
    pub on: jiff::civil::Date,
    /// A file that has to be there for it to count, such as the signed protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// How much may be lost, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryRules {
    /// Recovery point objective: how much time's worth of data may be lost.
    pub rpo: TimeSpan,
    /// Recovery time objective: how long a restore may take.
    pub rto: TimeSpan,
}
