//! Events: everything that happens in a run, in the order in which it happened.

mod backup;
mod chaos;
mod compliance;
mod drilled;
mod limit;
mod load;
mod measured;
mod notify;
mod outcome;
mod recovery;
mod security;
mod store;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use backup::{BackupEvent, DrillStart, DrillStep, DrillWay, StepProgress, StepReport};
pub use chaos::{
    ChaosEvent, ChaosScore, ChaosStart, ExperimentResult, ProbeSecond, Stage, SteadyFigures,
};
pub use compliance::{ControlResult, ControlStatus};
pub use drilled::{
    BackupFile, BackupLevel, Bystanders, ClosureReport, Difference, DrillSummary, RecordComparison,
    RecoveryTimes, StoreReport, VerifierTest,
};
pub use limit::{LimitAim, LimitReport, LimitStep};
pub use load::{
    CleanupReport, ClockFloor, GeneratorHealth, IntervalReport, LoadEvent, LoadStart,
    ScenarioModel, SeriesInterval, ThresholdRow,
};
pub use measured::{CheckCounts, ErrorKind, Iterations, Measurements, SeriesKey, StreamCounts};
pub use notify::{NotifyAction, NotifyEvent, Sent};
pub use outcome::{Budget, BurnRate, Objective, PhaseOutcome, RunVerdict, Verdict, WholeWindow};
pub use recovery::{Life, Lives, Moment, MomentKind, MomentSource, Timeline, known_from};
pub use security::{
    CheckReport, CheckStatus, Comparison, Confidence, Counts, Discovered, Exchange, Finding, Gone,
    ImageReport, ImageStatus, Novelty, Operations, SecurityEvent, SecurityScore, Severity, Skipped,
    VulnerabilityDatabase, Written,
};
pub use store::{StoreEvent, StoreInterval, StoreSeries};

use super::control::{Command, CommandId};
use super::plan::Plan;
use crate::config::{Criteria, Environment, PhaseKind, ServiceKind, SloDefinitions};

/// Version of the event format. Readers skip kinds that they do not know.
pub const EVENT_VERSION: u16 = 1;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// [`EVENT_VERSION`] of the writer.
    pub v: u16,
    /// Position in the run, from 1 without gaps.
    pub seq: u64,
    /// Microseconds of monotonic time since the run was created.
    pub at_us: u64,
    /// Wall-clock time of the engine's machine.
    pub wall: Timestamp,
    /// The phase that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseKind>,
    /// What happened.
    #[serde(deserialize_with = "known_or_unknown")]
    pub body: EventBody,
}

/// A newer version's event: its place in the order counts, its content is unknown to us.
fn known_or_unknown<'de, D: serde::Deserializer<'de>>(json: D) -> Result<EventBody, D::Error> {
    let content = serde_json::Value::deserialize(json)?;
    Ok(EventBody::deserialize(content).unwrap_or(EventBody::Unknown))
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// First event of every journal.
    RunCreated {
        /// Who, what and where.
        identity: Box<RunIdentity>,
        /// What is going to be done.
        plan: Plan,
        /// What must be reached.
        criteria: Criteria,
        /// What the platform promises.
        #[serde(default)]
        promises: Option<Box<SloDefinitions>>,
    },
    /// The run may work on its production target.
    Armed {
        /// Who named the target: an operator, or `--arm`.
        by: String,
    },
    /// Nothing runs until an operator says so.
    Ready {},
    /// The first phase is about to start.
    RunStarted {},
    /// Order or skips of phases that have not run yet were changed.
    PlanChanged {
        /// The plan from now on.
        plan: Plan,
    },
    /// A phase begins; `phase` of the event says which.
    PhaseStarted {
        /// Planned length in microseconds, pauses not counted.
        planned_us: u64,
    },
    /// A phase ended.
    PhaseFinished {
        /// How.
        outcome: PhaseOutcome,
    },
    /// Between two phases the platform is left alone until it is steady or the time is up.
    CooldownStarted {
        /// Longest length in microseconds.
        max_us: u64,
    },
    /// The cooldown is over.
    CooldownEnded {
        /// Whether the platform was found steady, and why it ended.
        steady: bool,
        /// Why it ended, in words.
        reason: String,
    },
    /// An operator's command has been accepted; what it does follows as events of its own.
    CommandAccepted {
        /// The client's number for it.
        id: CommandId,
        /// Who sent it.
        client: String,
        /// The command.
        command: Command,
    },
    /// A command cannot be carried out now.
    CommandRefused {
        /// The client's number for it.
        id: CommandId,
        /// Who sent it.
        client: String,
        /// The command.
        command: Command,
        /// Why, and what to do instead.
        reason: String,
    },
    /// Work in flight is being brought to an end before the run holds.
    Pausing {},
    /// Nothing is in flight; the plan clock stands still.
    Paused {},
    /// The phase takes up its work again.
    Resuming {},
    /// Work goes on.
    Resumed {},
    /// The run waits for an operator before it goes on.
    Held {
        /// Why.
        reason: String,
    },
    /// The wait of a held run is over.
    Released {},
    /// The run is being brought to an orderly end before its time.
    Aborting {
        /// Who or what asked for it.
        reason: String,
    },
    /// The number of attached operators (clients that may send commands) changed.
    Operators {
        /// How many are attached now.
        attached: u32,
    },
    /// An operator's remark in the timeline.
    Annotation {
        /// Who.
        client: String,
        /// What.
        text: String,
    },
    /// A line of the program's log.
    Log {
        /// Severity.
        level: LogLevel,
        /// The module that wrote it.
        target: String,
        /// The text, control characters removed.
        message: String,
    },
    /// A health check was answered, or not.
    Health {
        /// Which service.
        service: ServiceKind,
        /// Whether it is well.
        healthy: bool,
        /// Time to the answer in microseconds.
        latency_us: u64,
        /// Status or error in words.
        detail: String,
    },
    /// Something of a load phase.
    Load(LoadEvent),
    /// Something of the chaos phase.
    Chaos(ChaosEvent),
    /// Something of the security audit.
    Security(SecurityEvent),
    /// Something of the backup drill.
    Backup(BackupEvent),
    /// The objectives were evaluated.
    ObjectivesEvaluated {
        /// One row an objective.
        objectives: Vec<Objective>,
    },
    /// A threshold that ends the load is broken.
    ThresholdBroken {
        /// The objective.
        objective: String,
        /// Which threshold, what was measured, and over how many requests.
        reason: String,
    },
    /// The controls were looked at.
    ControlsChecked {
        /// One row a control and thing.
        controls: Vec<ControlResult>,
    },
    /// Something of the light queries to the stores.
    Stores(StoreEvent),
    /// Somebody was told, or could not be.
    Notify(NotifyEvent),
    /// A report was written on request.
    ReportWritten {
        /// Where.
        path: String,
    },
    /// The journal ended in the middle of an event, and was cut there.
    JournalRepaired {
        /// Bytes that were cut.
        cut_bytes: u64,
    },
    /// The last event of a run that ended by itself.
    RunFinished {
        /// Overall verdict.
        verdict: RunVerdict,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

impl EventBody {
    /// Whether the event has to be on disk before the run goes on.
    pub const fn must_be_durable(&self) -> bool {
        !matches!(
            self,
            Self::Load(LoadEvent::Interval(_) | LoadEvent::Thresholds { .. })
                | Self::Chaos(
                    ChaosEvent::Probed { .. }
                        | ChaosEvent::Measured { .. }
                        | ChaosEvent::EffectNow { .. }
                )
                | Self::Backup(BackupEvent::Progress(_))
                | Self::Security(SecurityEvent::Progress { .. })
                | Self::Log { .. }
                | Self::Health { .. }
                | Self::Stores(StoreEvent::Interval { .. })
                | Self::ObjectivesEvaluated { .. }
                | Self::Operators { .. }
        )
    }
}

/// Who runs what against what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// The run's id, such as `20261123-175746-7f3a91`.
    pub id: String,
    /// Program version.
    pub version: String,
    /// Name of the target.
    pub target: String,
    /// Its environment.
    pub environment: Environment,
    /// Origins (scheme, host, port) of the services, by name.
    pub origins: Vec<(ServiceKind, String)>,
    /// Services whose certificates are not checked, because the configuration says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub insecure: Vec<ServiceKind>,
    /// Host of the engine.
    pub host: String,
    /// Process id of the engine.
    pub pid: u32,
    /// Seed of every random choice of the run.
    pub seed: u64,
    /// Where the configuration came from, in words.
    pub config_source: String,
}

/// Name of this machine.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl RunIdentity {
    /// A run by this program in this process: no origins, seed 0, no words on the configuration.
    pub fn new(id: impl Into<String>, target: impl Into<String>, environment: Environment) -> Self {
        Self {
            id: id.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: target.into(),
            environment,
            origins: vec![],
            insecure: vec![],
            host: host_name(),
            pid: std::process::id(),
            seed: 0,
            config_source: String::new(),
        }
    }
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something needs attention.
    Warn,
    /// Something worth knowing.
    Info,
    /// Detail.
    Debug,
}
