//! Events of the load phases.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limit::LimitReport;
use super::measured::{Iterations, Measurements, SeriesKey};
use crate::config::ServiceKind;
use crate::run::histogram::Histogram;

/// Something that happened in a load phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "load", rename_all = "snake_case")]
pub enum LoadEvent {
    /// The generator is up.
    Started(LoadStart),
    /// What was measured since the last interval (one second).
    Interval(Box<IntervalReport>),
    /// An operator changed the number of users.
    Rescaled {
        /// The scenario, or all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scenario: Option<String>,
        /// Users wanted from now on.
        users: u32,
    },
    /// Documents with numbers up to `last` may be written from now on; whoever cleans up after a
    /// crash removes them all.
    WriteBlock {
        /// The last number; the first is 0.
        last: u64,
    },
    /// A brake stopped the load.
    GuardTripped {
        /// Which and why.
        reason: String,
    },
    /// What the load wrote has been removed again, or not.
    Cleanup(CleanupReport),
    /// An operator changed the rate of arrivals.
    RateChanged {
        /// The scenario, or all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scenario: Option<String>,
        /// Percent of the planned rate from now on.
        percent: u32,
    },
    /// What is known of the largest sustained rate, after every step of the search.
    Limit(LimitReport),
    /// The thresholds were evaluated.
    Thresholds {
        /// One row a threshold.
        rows: Vec<ThresholdRow>,
    },
}

/// One threshold as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdRow {
    /// What is measured, with its tags.
    pub metric: String,
    /// What is asked for.
    pub expression: String,
    /// Whether it holds; none while nothing is decided.
    pub holds: Option<bool>,
    /// What was measured last, with its unit; `-` without samples.
    pub value: String,
    /// Samples behind it.
    pub n: u64,
    /// For a threshold with a window: how long it was broken altogether, microseconds.
    #[serde(default)]
    pub broken_us: u64,
    /// For a threshold with a window: the value that was furthest off.
    #[serde(default)]
    pub worst: Option<String>,
    /// Whether the load stops when it is broken.
    #[serde(default)]
    pub aborts: bool,
    /// Why nothing is decided, where that is so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why_open: String,
    /// Whether what it speaks of was left out, so that it decides nothing.
    #[serde(default)]
    pub skipped: bool,
}

#[cfg(test)]
impl ThresholdRow {
    /// The row of a threshold in a test: a thousand samples, open where nothing is said of it.
    pub fn of(metric: &str, expression: &str, holds: Option<bool>, value: &str) -> Self {
        Self {
            metric: metric.into(),
            expression: expression.into(),
            holds,
            value: value.into(),
            n: 1000,
            broken_us: 0,
            worst: None,
            aborts: false,
            why_open: if holds.is_none() { "no samples".into() } else { String::new() },
            skipped: false,
        }
    }
}

/// What a generator is about to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadStart {
    /// Name of what drives the load: `built-in`, or the external tool that really runs.
    pub engine: String,
    /// Threads of the generator.
    pub threads: u32,
    /// Scenario names with the service each speaks to.
    pub scenarios: Vec<(String, ServiceKind)>,
    /// Scenarios or flows that cannot run, with the reason.
    pub left_out: Vec<(String, String)>,
    /// The model of load of each scenario.
    #[serde(default)]
    pub models: Vec<ScenarioModel>,
    /// What the generator's clock can tell apart; none for an external tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockFloor>,
}

/// What a clock can tell apart: finer figures are the clock's, not the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockFloor {
    /// What it costs to read it once, nanoseconds.
    pub read_ns: u32,
    /// How late a timer is that nothing keeps waiting (median), microseconds.
    pub timer_us: u32,
}

impl ClockFloor {
    /// Lateness below this is the timer's own.
    pub fn timer(self) -> Duration {
        Duration::from_micros(self.timer_us.into())
    }
}

/// The model of load of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioModel {
    /// Name of the scenario.
    pub scenario: String,
    /// The model in words, such as `constant-arrival-rate, 50 /s`.
    pub words: String,
    /// Whether iterations begin by the clock, so that their rate can be changed.
    pub open: bool,
    /// Whether it is so many flows by so many users: nobody changes them.
    #[serde(default)]
    pub counted: bool,
    /// Whether users send as soon as they have their answer: nothing is intended for a moment, and
    /// the rate is what target and generator can do.
    #[serde(default)]
    pub unpaced: bool,
}

/// What one series measured in one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesInterval {
    /// Which requests.
    pub key: SeriesKey,
    /// What they measured.
    #[serde(flatten)]
    pub measured: Measurements,
}

/// One interval of a load phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntervalReport {
    /// Length of the interval in microseconds.
    pub length_us: u64,
    /// Virtual users at its end, by scenario.
    pub users: BTreeMap<String, u32>,
    /// The series that had requests.
    pub series: Vec<SeriesInterval>,
    /// Iterations by scenario.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub iterations: BTreeMap<String, Iterations>,
    /// How the generator itself fared.
    pub generator: GeneratorHealth,
}

/// How the generator fared in one interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorHealth {
    /// From the intended start to the actual send, microseconds.
    pub lateness: Histogram,
    /// What answers may have waited for the generator's loop to get to them, microseconds: its timer's
    /// lateness, by the answers that came around then.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub loop_lateness: Histogram,
    /// Share of one core that the generator's busiest thread used, in percent.
    pub busiest_thread_percent: f32,
    /// Measurements that were lost because the consumer was too slow.
    pub dropped: u64,
    /// Requests in flight at its end.
    #[serde(default)]
    pub in_flight: u32,
    /// Requests that could not be sent, because this machine had no descriptor or port left. They
    /// stand in no other count.
    #[serde(default)]
    pub starved: u64,
    /// Requests that nobody can send, for a path or a header that an answer brought. They stand in no other
    /// count.
    #[serde(default)]
    pub unsendable: u64,
}

/// What became of the documents that the load wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanupReport {
    /// Documents written.
    pub written: u64,
    /// Documents removed and found absent afterwards.
    pub removed: u64,
    /// Documents whose absence could not be shown, at most fifty ids.
    pub remaining: Vec<String>,
    /// How many those are.
    pub remaining_count: u64,
}
