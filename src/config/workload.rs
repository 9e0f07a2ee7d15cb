//! Workloads as data: who does what, how often, and how many of them.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::executor::{Arrivals, ExecutorKind, Stage};
use super::feeder::Feeder;
use super::limit::FindLimit;
use super::metric::ThresholdMap;
use super::service::ServiceKind;
use super::step::Step;
use super::think::ThinkTime;
use super::timespan::TimeSpan;

/// A workload: scenarios that run side by side for the length of a load phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// What drives the load.
    #[serde(default, skip_serializing_if = "LoadEngine::is_built_in")]
    pub engine: LoadEngine,
    /// Virtual users shared by weight among the scenarios that have no `executor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// Of these, virtual users started per second.
    #[serde(default = "default_spawn_rate")]
    pub spawn_rate: u32,
    /// Pause of a virtual user between two flows.
    pub think_time: ThinkTime,
    /// How long flows that have begun may take to end when users leave or the phase ends.
    #[serde(default = "default_graceful_stop")]
    pub graceful_stop: TimeSpan,
    /// Whether lengths in scenarios are taken as they are, or stretched to the length of the phase.
    #[serde(default)]
    pub durations: Durations,
    /// Rows of values for the flows, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub feeders: BTreeMap<String, Feeder>,
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
    /// What must hold, in k6's grammar: `http_req_failed: [rate<0.01]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: ThresholdMap,
    /// An `options` block of k6 (or what `k6 inspect` prints): its scenarios' executors and its
    /// thresholds apply to the scenarios of the same names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, serde_json::Value>,
    /// How `load --find-limit` looks for the largest rate that the platform sustains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub find_limit: Option<FindLimit>,
}

const fn default_spawn_rate() -> u32 {
    10
}

const fn default_graceful_stop() -> TimeSpan {
    TimeSpan::secs(30)
}

/// What drives the load of a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoadEngine {
    /// shakedown's own.
    #[default]
    BuiltIn,
    /// The k6 that is installed.
    K6,
    /// The Locust that is installed.
    Locust,
}

impl LoadEngine {
    /// The name used in configuration, events, screens and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::K6 => "k6",
            Self::Locust => "locust",
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    fn is_built_in(&self) -> bool {
        *self == Self::BuiltIn
    }
}

/// What the lengths in scenarios mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durations {
    /// As written; the phase ends when all scenarios are over, or after its own length.
    #[default]
    Exact,
    /// Proportions: together they are stretched (or compressed) to the length of the phase.
    Stretched,
}

/// One kind of user of one service. Without an `executor` it takes its share of the workload's
/// `users`; the keys of the executors are k6's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Name on screens and in reports.
    pub name: String,
    /// The service that it speaks to.
    pub service: ServiceKind,
    /// Share of the workload's users.
    #[serde(default = "one")]
    pub weight: u32,
    /// Model of load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<ExecutorKind>,
    /// When it begins, after the start of the phase.
    #[serde(default, rename = "startTime", skip_serializing_if = "Option::is_none")]
    pub start_time: Option<TimeSpan>,
    /// How long flows that have begun may take to end; the workload's `graceful_stop` without it.
    #[serde(default, rename = "gracefulStop", skip_serializing_if = "Option::is_none")]
    pub graceful_stop: Option<TimeSpan>,
    /// Users (constant-vus, shared-iterations, per-vu-iterations).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vus: Option<u32>,
    /// Length; to the end of the phase without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<TimeSpan>,
    /// Users at the start (ramping-vus); 1 without it.
    #[serde(default, rename = "startVUs", skip_serializing_if = "Option::is_none")]
    pub start_vus: Option<u32>,
    /// Straight lines, one after the other (ramping-vus, ramping-arrival-rate).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Vec<Stage>>,
    /// How long flows of users that ramp down may take to end.
    #[serde(default, rename = "gracefulRampDown", skip_serializing_if = "Option::is_none")]
    pub graceful_ramp_down: Option<TimeSpan>,
    /// Iterations that begin every `timeUnit` (constant-arrival-rate).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Unit of rates; 1s without it.
    #[serde(default, rename = "timeUnit", skip_serializing_if = "Option::is_none")]
    pub time_unit: Option<TimeSpan>,
    /// Rate at the start (ramping-arrival-rate); 0 without it.
    #[serde(default, rename = "startRate", skip_serializing_if = "Option::is_none")]
    pub start_rate: Option<f64>,
    /// Users that are there from the start (arrival rates).
    #[serde(default, rename = "preAllocatedVUs", skip_serializing_if = "Option::is_none")]
    pub pre_allocated_vus: Option<u32>,
    /// Most users; an iteration that finds none free is dropped. `preAllocatedVUs` without it.
    #[serde(default, rename = "maxVUs", skip_serializing_if = "Option::is_none")]
    pub max_vus: Option<u32>,
    /// How arrivals are spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// Iterations, altogether (shared-iterations) or per user (per-vu-iterations).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u64>,
    /// Longest length of the two; 10m without it.
    #[serde(default, rename = "maxDuration", skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<TimeSpan>,
    /// Pause between two flows; the workload's without it. None in open models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think_time: Option<ThinkTime>,
    /// Flows of one user begin at least this far apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pacing: Option<TimeSpan>,
    /// How long cookies, MCP sessions and connections live.
    #[serde(default)]
    pub session: SessionLife,
    /// Tags for thresholds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What a user does, drawn by weight each time.
    pub flows: Vec<Flow>,
    /// What must hold for this scenario, in k6's grammar.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: ThresholdMap,
}

const fn one() -> u32 {
    1
}

impl Scenario {
    /// Length that its model states, `startTime` included; none when it lasts as long as the phase.
    pub fn stated_length(&self) -> Option<Duration> {
        let start = self.start_time.unwrap_or_default().get();
        let stages =
            self.stages.as_ref().map(|stages| stages.iter().map(|s| s.duration.get()).sum());
        let length: Option<Duration> = stages.or(self.duration.map(TimeSpan::get));
        length.map(|length| start + length)
    }
}

/// How long a user's cookies, MCP session and connection live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionLife {
    /// As long as the user.
    #[default]
    User,
    /// For one flow.
    Flow,
}

/// A sequence of steps that a user takes without thinking in between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Name on screens and in reports.
    pub name: String,
    /// Share among the flows of the scenario.
    #[serde(default = "one")]
    pub weight: u32,
    /// The steps, in order.
    pub steps: Vec<Step>,
}
