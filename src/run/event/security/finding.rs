//! A weakness, with what proves it.

use serde::{Deserialize, Serialize};

use super::{Confidence, Severity};

/// A weakness, with what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable id of the rule, such as `SDK-CORS-001`.
    pub rule: String,
    /// What its rule is about, whatever was found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What it is, in a few words.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub confidence: Confidence,
    /// CWE number.
    pub cwe: u32,
    /// Where: service, method and route, or an image.
    pub place: String,
    /// What proves it, in words; bounded, cleaned, secrets cut out.
    pub evidence: String,
    /// What to do.
    pub remedy: String,
    /// The same for the same weakness in the same place, run after run: SHA-256 of rule, place and
    /// parameter, in hexadecimal.
    #[serde(default)]
    pub fingerprint: String,
    /// The parameter or package that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What it is called elsewhere: OWASP Top 10, API Top 10, WSTG, ASVS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// What was asked and what came, the attack and its control.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
    /// Whether there is a version that mends it; for packages of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixable: Option<bool>,
    /// Why it is accepted, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<String>,
    /// Whether the run before had it; none without a run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub novelty: Option<Novelty>,
}

impl Finding {
    /// Whether it counts: firm at least, and not accepted.
    pub fn counts(&self) -> bool {
        self.confidence >= Confidence::Firm && self.suppressed.is_none()
    }
}

/// A request and its answer; bounded, cleaned, secrets cut out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// attack or control.
    pub role: String,
    /// What was asked.
    pub request: String,
    /// What came.
    pub response: String,
}

/// A finding beside those of the run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Novelty {
    /// The run before did not have it.
    New,
    /// The run before had it too.
    Unchanged,
}

impl Novelty {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Unchanged => "unchanged",
        }
    }
}
