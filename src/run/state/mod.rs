//! The state of a run: a pure fold over its events (`fold`). Screens, reports and clients read this and
//! nothing else, so that none of them can tell a live run from a recorded one.

mod backup;
mod chaos;
mod fold;
mod generator;
mod judged;
mod load;
mod narrative;
mod notify;
mod outlook;
mod phase;
mod security;
mod stores;
mod windows;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use backup::{BackupState, DrillState, StoreState};
pub use chaos::{ActiveFault, ChaosState, CurrentExperiment, IF_LEFT};
pub use generator::Standing;
pub use judged::Judged;
pub use load::{HistoryPoint, LoadState, RECENT_INTERVALS, Totals};
pub use narrative::narrate;
pub use notify::{AlertState, NotifyState};
pub use phase::{PhaseState, PhaseStatus};
pub use security::SecurityState;
pub use stores::StoreQueries;
pub use windows::{Counts, FullWindow, SLICE_US, Stretch, Windows};

use super::control::{Command, CommandId};
use super::event::{ControlResult, LogLevel, Objective, RunIdentity, RunVerdict};
use super::plan::Plan;
use crate::config::{Criteria, PhaseKind, ServiceKind, SloDefinitions, SloKind};

/// Log lines, annotations and acknowledgements kept; older ones stand in the journal.
const KEPT_LINES: usize = 500;

/// What the run is doing as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waiting for an operator to start it.
    #[default]
    Ready,
    /// At work.
    Running,
    /// Bringing work in flight to an end.
    Pausing,
    /// Holding at an operator's wish.
    Paused,
    /// Taking up work again.
    Resuming,
    /// Waiting for an operator; why, in words.
    Held(String),
    /// Healing and ending before its time; why, in words.
    Aborting(String),
    /// Over.
    Finished,
}

impl RunStatus {
    /// Whether the run is paused, or on its way into or out of a pause.
    pub const fn is_pause(&self) -> bool {
        matches!(self, Self::Pausing | Self::Paused | Self::Resuming)
    }

    /// In a word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Resuming => "resuming",
            Self::Held(_) => "held",
            Self::Aborting(_) => "aborting",
            Self::Finished => "finished",
        }
    }
}

impl std::fmt::Display for RunStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held(reason) | Self::Aborting(reason) => write!(f, "{}: {reason}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Microseconds since the run was created.
    pub at_us: u64,
    /// Wall-clock time.
    pub wall: Timestamp,
    /// The phase during which it was written.
    pub phase: Option<PhaseKind>,
    /// Severity.
    pub level: LogLevel,
    /// The text.
    pub message: String,
}

/// A mark in the timeline: pauses, rescales, remarks, guards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Microseconds since the run was created.
    pub at_us: u64,
    /// The phase, if any.
    pub phase: Option<PhaseKind>,
    /// What happened, in a few words.
    pub text: String,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Microseconds since the run was created.
    pub at_us: u64,
    /// The client's number for it.
    pub id: CommandId,
    /// Who sent it.
    pub client: String,
    /// The command.
    pub command: Command,
    /// Why it was refused; none if it was accepted.
    pub refused: Option<String>,
}

/// The last answer of a health check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthState {
    /// Microseconds since the run was created.
    pub at_us: u64,
    /// Whether the service is well.
    pub healthy: bool,
    /// Time to the answer in microseconds.
    pub latency_us: u64,
    /// Status or error in words.
    pub detail: String,
    /// How often it was asked.
    #[serde(default)]
    pub checks: u64,
    /// How often it was not well.
    #[serde(default)]
    pub failed: u64,
    /// For how long it was not well while neither load nor chaos measured it, microseconds.
    #[serde(default)]
    pub down_us: u64,
}

/// A running cooldown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// When it began, microseconds since the run was created; pauses move it on.
    pub since_us: u64,
    /// Since when it is paused, on the same clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_since_us: Option<u64>,
    /// Its longest length in microseconds.
    pub max_us: u64,
}

/// Everything that is known about a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Sequence number of the last event.
    pub seq: u64,
    /// Monotonic time of the last event, microseconds since the run was created.
    pub now_us: u64,
    /// Wall-clock time of the last event.
    pub wall: Option<Timestamp>,
    /// Who runs what; none before the first event.
    pub identity: Option<RunIdentity>,
    /// Wall-clock time of creation.
    pub created: Option<Timestamp>,
    /// When the first phase began, microseconds since the run was created.
    pub started_us: Option<u64>,
    /// What the run must reach.
    pub criteria: Option<Criteria>,
    /// What the platform promises.
    #[serde(default)]
    pub promises: Option<Box<SloDefinitions>>,
    /// Whether it may work on a production target.
    #[serde(default)]
    pub armed: bool,
    /// The plan as it stands.
    pub plan: Option<Plan>,
    /// What the run is doing.
    pub status: RunStatus,
    /// The phases that have begun or were passed over, and those still to come, in plan order.
    pub phases: Vec<PhaseState>,
    /// The running cooldown.
    pub cooldown: Option<Cooldown>,
    /// Last health check by service.
    pub health: BTreeMap<ServiceKind, HealthState>,
    /// Attached operators.
    pub operators: u32,
    /// Marks in the timeline.
    pub marks: VecDeque<Mark>,
    /// The last log lines.
    pub log: VecDeque<LogLine>,
    /// What became of the last commands.
    pub acknowledgements: VecDeque<Acknowledgement>,
    /// The objectives as last evaluated.
    pub objectives: Vec<Objective>,
    /// Sliding windows of the objectives.
    #[serde(default)]
    pub windows: Windows,
    /// What the stores answered while load ran.
    #[serde(default)]
    pub stores: StoreQueries,
    /// The controls as last looked at.
    #[serde(default)]
    pub controls: Vec<ControlResult>,
    /// Who was told what.
    #[serde(default)]
    pub notify: NotifyState,
    /// Why the load was ended by a threshold.
    #[serde(default)]
    pub broken_threshold: Option<String>,
    /// Reports written on request.
    pub reports: Vec<String>,
    /// Bytes cut from a torn journal.
    pub journal_cut_bytes: u64,
    /// Overall verdict; none while the run goes on.
    pub verdict: Option<RunVerdict>,
}

impl RunState {
    /// The phase that runs now.
    pub fn running_phase(&self) -> Option<&PhaseState> {
        self.phases.iter().find(|phase| phase.status == PhaseStatus::Running)
    }

    /// The load phase that runs now or ran last.
    pub fn latest_load(&self) -> Option<&PhaseState> {
        let loads = || self.phases.iter().filter(|phase| phase.load.is_some());
        loads()
            .find(|phase| phase.status == PhaseStatus::Running)
            .or_else(|| loads().max_by_key(|phase| phase.started_us))
    }

    /// Whether it looks for the largest sustained rate: what is promised is broken on purpose then, and no
    /// objective is judged by it.
    pub fn is_search(&self) -> bool {
        self.phases.iter().any(|phase| phase.load.as_ref().is_some_and(|load| load.limit.is_some()))
    }

    /// The limit on the 99th percentile of all requests, for the line in histograms.
    pub fn p99_limit(&self) -> Option<std::time::Duration> {
        let slos = self.promises.iter().flat_map(|promises| &promises.slos);
        let mut whole = slos.filter(|slo| slo.service.is_none() && slo.store.is_none());
        let p99 = whole.find(|slo| slo.kind == SloKind::Latency && slo.quantile == Some(0.99))?;
        p99.below.map(|below| below.get())
    }

    /// The fault that is there now.
    pub fn active_fault(&self) -> Option<&ActiveFault> {
        self.running_phase()?.chaos.as_ref()?.current.as_ref()?.fault.as_ref()
    }

    /// The state of one phase.
    pub fn phase(&self, kind: PhaseKind) -> Option<&PhaseState> {
        self.phases.iter().find(|phase| phase.kind == kind)
    }
}

fn push_bounded<T>(lines: &mut VecDeque<T>, line: T) {
    if lines.len() == KEPT_LINES {
        lines.pop_front();
    }
    lines.push_back(line);
}
