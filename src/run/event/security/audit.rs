//! What the audit covered, wrote and compared.

use serde::{Deserialize, Serialize};

use super::CheckStatus;

/// What there is to be audited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovered {
    /// Operations found.
    pub found: u32,
    /// Of those, the ones that may be attacked.
    pub attackable: u32,
    /// Insertion points in those.
    pub points: u32,
    /// How many came from where, such as `OpenAPI`.
    pub sources: Vec<(String, u32)>,
    /// Those that may not, with the reason; the first of them.
    pub skipped: Vec<Skipped>,
    /// What is worth knowing of the discovery itself.
    pub notes: Vec<String>,
}

/// An operation that is not attacked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Which.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// Operations of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    /// Found.
    pub found: u32,
    /// Tested by this check.
    pub tested: u32,
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
    /// Operations found and tested, where it is about operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<Operations>,
    /// Whether something was left open, although what was found makes it vulnerable.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

impl CheckReport {
    /// Whether something of it was not made, however much was found in the rest.
    pub const fn is_open(&self) -> bool {
        self.partial || self.status.is_open()
    }
}

/// Something that the audit writes into the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its name; it carries the run's id.
    pub name: String,
    /// What the platform calls it, once it has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<String>,
    /// Where the platform may be expected to put it, after where it put another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The name of the file that it was sent as; none for what is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where.
    pub place: String,
    /// How it is removed, in words.
    pub undo: String,
}

/// How the findings differ from those of the run before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Id of the run before; several, the latest first, where none made all the checks.
    pub run: String,
    /// Findings that it did not have.
    pub new: u32,
    /// Findings that it had too.
    pub unchanged: u32,
    /// What it had and this run looked for in vain.
    pub fixed: Vec<Gone>,
}

/// A finding of the run before that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Its fingerprint.
    pub fingerprint: String,
    /// What it was, and where.
    pub title: String,
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
