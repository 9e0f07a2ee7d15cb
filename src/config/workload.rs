//! Workloads as data: who does what, how often, and how many of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::ServiceKind;
use super::timespan::TimeSpan;

/// A workload: scenarios that run side by side for the length of a load phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Virtual users shared among the scenarios by weight. Left out where every scenario has `stages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// Virtual users started per second.
    #[serde(default = "default_spawn_rate")]
    pub spawn_rate: u32,
    /// Pause of a virtual user between two flows, drawn evenly from this range.
    pub think_time: ThinkTime,
    /// How long work in flight may take to end when users leave or the phase ends.
    #[serde(default = "default_graceful_stop")]
    pub graceful_stop: TimeSpan,
    /// The scenarios.
    pub scenarios: Vec<Scenario>,
}

const fn default_spawn_rate() -> u32 {
    10
}

const fn default_graceful_stop() -> TimeSpan {
    TimeSpan::secs(30)
}

/// Bounds of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThinkTime {
    /// Shortest pause.
    pub min: TimeSpan,
    /// Longest pause.
    pub max: TimeSpan,
}

/// One kind of user of one service.
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
    /// Own course of users over time, in place of a share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
    /// What a user does, drawn by weight each time.
    pub flows: Vec<Flow>,
    /// What must hold for this scenario over the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholds>,
}

const fn one() -> u32 {
    1
}

/// A ramp: users follow straight lines from target to target. The lengths are proportions: together
/// they are stretched to the length of the phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// Users at the start.
    pub start: u32,
    /// The lines, one after the other.
    pub steps: Vec<Stage>,
}

/// One line of a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Length of the line.
    pub duration: TimeSpan,
    /// Users at its end.
    pub target: u32,
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

/// One request (or a pause) of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Step {
    /// A chat completion. A conversation carries its history from one such step of a flow to the next.
    Chat {
        /// What the user says.
        prompt: String,
        /// Whether the answer is streamed.
        #[serde(default)]
        stream: bool,
    },
    /// Writes one marked document into the scratch collection.
    Ingest {
        /// The document's text.
        text: String,
    },
    /// Asks a question.
    Query {
        /// The question.
        question: String,
    },
    /// Calls one of the tools that the MCP service allows, in turn.
    Tool {},
    /// Lists the tools.
    ListTools {},
    /// MCP ping.
    Ping {},
    /// GET on the health path of the scenario's service.
    Health {},
    /// A pause.
    Think(TimeSpan),
}

impl Step {
    /// The service that the step needs; none for one that any service has.
    pub const fn service(&self) -> Option<ServiceKind> {
        match self {
            Self::Chat { .. } => Some(ServiceKind::Chat),
            Self::Ingest { .. } | Self::Query { .. } => Some(ServiceKind::Rag),
            Self::Tool {} | Self::ListTools {} | Self::Ping {} => Some(ServiceKind::Mcp),
            Self::Health {} | Self::Think(_) => None,
        }
    }

    /// The name under which the step's requests are counted.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Chat { stream: false, .. } => "completion",
            Self::Chat { stream: true, .. } => "completion (streamed)",
            Self::Ingest { .. } => "ingest",
            Self::Query { .. } => "query",
            Self::Tool {} => "tools/call",
            Self::ListTools {} => "tools/list",
            Self::Ping {} => "ping",
            Self::Health {} => "health",
            Self::Think(_) => "think",
        }
    }
}

/// What must hold for a scenario over a phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// The 99th percentile of response time stays below this.
    pub p99: TimeSpan,
    /// Failed requests stay below this share, in percent.
    pub error_rate_percent: f64,
}
