//! The search for the largest rate that a platform sustains.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::timespan::TimeSpan;

/// Whether answers take ever longer is told from the medians of six seconds at least; the two thirds of a
/// shorter step that are judged have fewer.
pub const LEAST_STEP: TimeSpan = TimeSpan::secs(9);

/// How the largest sustained rate is looked for: the rate grows from step to step until a step breaks
/// what is promised, then the gap between the last good and the first bad rate is halved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FindLimit {
    /// First rate, iterations per second of all scenarios together.
    pub start_rate: f64,
    /// Each step is this many times the one before.
    pub growth: f64,
    /// Length of a step, at least 9s; its first third is not judged.
    pub step: TimeSpan,
    /// The search ends when the gap is at most this share of the rate, in percent.
    pub precision_percent: f64,
    /// No rate above this one is tried.
    pub max_rate: f64,
    /// Most users at a time.
    pub max_users: u32,
}

impl Default for FindLimit {
    fn default() -> Self {
        Self {
            start_rate: 5.0,
            growth: 1.5,
            step: TimeSpan::secs(15),
            precision_percent: 5.0,
            max_rate: 10_000.0,
            max_users: 2_000,
        }
    }
}
