//! Controls, and what shows that they are met.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Control;

/// One control of one thing. Controls are never folded into a percentage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlResult {
    /// Which control.
    pub control: Control,
    /// Of what, such as `rag` or `postgres`; `platform` for all of it.
    pub subject: String,
    /// Whether it has to be met.
    pub required: bool,
    /// Whether it is.
    pub status: ControlStatus,
    /// What shows it, or what is missing, in words.
    pub evidence: String,
}

/// Whether a control is met.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ControlStatus {
    /// There is evidence that it is.
    Pass,
    /// There is no evidence either way.
    Unknown,
    /// There is evidence that it is not.
    Fail,
}

impl ControlStatus {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for ControlStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
