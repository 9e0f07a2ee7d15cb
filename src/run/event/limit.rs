//! What a search for the largest sustained rate found.

use serde::{Deserialize, Serialize};

/// What is known of the largest rate that the platform sustains. Rates are flows per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitReport {
    /// The rate that is tried now.
    pub rate: f64,
    /// Largest rate that was borne; at the end what flows of the rate that was held ended at, less what
    /// such a count owes to chance.
    pub sustained: Option<f64>,
    /// Smallest rate that was not borne, each of two times where the first may have been chance.
    pub not_sustained: Option<f64>,
    /// The rate that was held for long in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<f64>,
    /// Whether the search came to its own end.
    pub complete: bool,
    /// Why the search says nothing: the generator is the bottleneck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
    /// The steps so far.
    pub steps: Vec<LimitStep>,
}

/// What a step of a search is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitAim {
    /// Whether a rate is borne.
    #[default]
    Try,
    /// The same once more and for longer, after a failure that may have been chance.
    Again,
    /// Whether the largest rate that was borne is borne for long.
    Hold,
}

impl LimitAim {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Try => "try",
            Self::Again => "again",
            Self::Hold => "hold",
        }
    }
}

/// One step of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitStep {
    /// What it was for.
    #[serde(default)]
    pub aim: LimitAim,
    /// Flows per second that were asked for.
    pub rate: f64,
    /// Flows per second that ended.
    pub achieved: f64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// Requests that were judged.
    pub n: u64,
    /// 99th percentile of response time, microseconds.
    pub p99_us: u64,
    /// Failed requests.
    pub failed: u64,
    /// Flows that found no free user.
    pub dropped: u64,
    /// Why it was not borne; none when it was.
    pub why_not: Option<String>,
}

impl LimitReport {
    /// What is known, in words.
    pub fn words(&self) -> String {
        let failed = self.steps.iter().rev().filter(|step| Some(step.rate) == self.not_sustained);
        let why = failed.filter_map(|step| step.why_not.as_deref()).next().unwrap_or("");
        let held =
            self.held.map_or_else(String::new, |held| format!(" (held while {held:.1} came)"));
        match (self.sustained, self.not_sustained) {
            (Some(good), Some(bad)) => {
                format!("sustains {good:.1} flows/s{held}, not {bad:.1}: {why}")
            }
            (Some(good), None) => format!("sustains {good:.1} flows/s{held}; no limit was found"),
            (None, Some(bad)) => format!("does not sustain {bad:.1} flows/s: {why}"),
            (None, None) => "nothing is known yet".into(),
        }
    }
}
