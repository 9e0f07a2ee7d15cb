//! `shakedown.yaml`: the platform under validation, its workloads, and what a run must reach.

mod backup;
mod chaos;
mod compliance;
mod counted;
mod executor;
mod feeder;
mod feeds;
mod k6_options;
mod limit;
mod load;
pub mod metric;
mod monitoring;
mod notify;
mod overrides;
mod placeholder;
mod plan;
mod position;
mod problem;
mod secret;
mod security;
mod service;
mod slo;
mod step;
mod store;
mod think;
mod threshold;
mod timespan;
mod validate;
mod validate_thresholds;
mod validate_workload;
mod wire;
mod workload;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use backup::{
    Artefact, ArtefactBucket, ArtefactFormat, Backup, BackupWay, Call, CommandCall, HttpCall,
    MAX_DOCUMENTS, PlatformBackup, Restore, Wait,
};
pub use chaos::{
    BlastRadius, Chaos, Cpu, CutKind, Docker, ExperimentKind, FirewallChoice, Helpers, Kill,
    Memory, Partition, Probe, RuntimeKind, SteadyRules,
};
pub use compliance::{ComplianceRules, Control, Evidence, RecoveryRules, Required};
pub use counted::{Counted, HANDSHAKE};
pub use executor::{Arrivals, ExecutorKind, Stage};
pub use feeder::{Feeder, FeederOrder, FeederRows};
pub use feeds::check_feeders;
pub use limit::{FindLimit, LEAST_STEP};
pub use load::{
    DEFAULT_FILE, LoadOptions, Loaded, SHIPPED, apply_overrides, load, parse, read_text, read_yaml,
    runs_folder,
};
pub use metric::{LongThreshold, ThresholdEntry, ThresholdMap};
pub use monitoring::{Grafana, Monitoring};
pub use notify::{
    AlertmanagerChannel, Channel, EmailChannel, EscalationLevel, ExpectedAlert, NotifyMode,
    NotifyRules, PagerDutyChannel, SlackChannel, WebhookChannel,
};
pub use placeholder::{BUILT_IN, placeholders};
pub use plan::{Criteria, Guards, InconclusiveExit, Lengths, OnDetach, PhaseKind, Phases};
pub use position::Positions;
pub use problem::{ConfigError, Place, Problem};
pub use secret::{Secret, SecretError, SecretSource, without_secrets};
pub use security::{
    AuditedOperation, CheckKind, Discovery, Images, Login, OpenApi, PrivateOperation,
    PrivateReason, Security, TrivyContainer, Upload,
};
pub use service::{
    Auth, ChatService, Endpoint, McpService, Operation, RagService, Scratch, ServiceKind, Services,
    Tool,
};
pub use slo::{
    AlertSeverity, BudgetAssertion, BurnAlert, Collection, DEFAULT_SLO_FILE, LoadedSlos,
    PrometheusSli, PrometheusSource, SHIPPED_SLOS, SLO_SCHEMA, Slo, SloDefinitions, SloKind,
    SloMetadata,
};
pub use step::{AnswerCheck, Extraction, Part, RequestStep, StatusCheck, Step, TextBody};
pub use store::{Store, StoreKind, Stores};
pub use think::{ThinkDistribution, ThinkTime};
pub use threshold::{Aggregation, Comparison, Threshold, ThresholdError};
pub use timespan::{TimeSpan, TimeSpanError};
pub use wire::{ConnectionSettings, HttpVersion, ProxyAuth, TlsSettings};
pub use workload::{Durations, Flow, LoadEngine, Scenario, SessionLife, Workload};

/// The whole configuration of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is validated.
    pub target: Target,
    /// Its services.
    #[serde(default)]
    pub services: Services,
    /// Its stores, by name.
    #[serde(default)]
    pub stores: Stores,
    /// Workload of each load phase.
    #[serde(default)]
    pub workloads: Workloads,
    /// Order and lengths of the phases.
    #[serde(default)]
    pub phases: Phases,
    /// What the chaos phase may break, how, and for how long.
    #[serde(default)]
    pub chaos: Chaos,
    /// What the security audit may ask.
    #[serde(default)]
    pub security: Security,
    /// What the backup drill puts into the stores, and whose backup it drills.
    #[serde(default)]
    pub backup: Backup,
    /// What a run must reach to pass.
    #[serde(default)]
    pub criteria: Criteria,
    /// The file with the objectives; `slo_definitions.yaml` where it exists, else the built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo_definitions: Option<PathBuf>,
    /// Brakes.
    #[serde(default)]
    pub guards: Guards,
    /// What a run without anyone watching does; a production target holds, any other continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_detach: Option<OnDetach>,
    /// Where runs and reports go.
    #[serde(default)]
    pub report: ReportSettings,
    /// Who may watch a run from outside.
    #[serde(default, skip_serializing_if = "Monitoring::is_empty")]
    pub monitoring: Monitoring,
    /// How long runs stay.
    #[serde(default)]
    pub runs: Runs,
}

/// What is validated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Name on screens and in reports; it is what `--arm` asks for.
    pub name: String,
    /// How careful a run has to be.
    pub environment: Environment,
}

/// How careful a run has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// The embedded practice platform.
    Sandbox,
    /// A developer's own.
    Development,
    /// Shared, but not what customers use.
    Staging,
    /// What customers use: everything that loads, writes or breaks has to be armed.
    Production,
}

impl Environment {
    /// The name used in configuration, screens and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// Workload of each load phase. One that is left out is the shipped one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Workloads {
    /// The mixed phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixed: Option<Workload>,
    /// The ramping phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramping: Option<Workload>,
}

impl Workloads {
    /// The workload of a phase; none for a phase that does not load.
    pub const fn of(&self, phase: PhaseKind) -> Option<&Workload> {
        match phase {
            PhaseKind::Mixed => self.mixed.as_ref(),
            PhaseKind::Ramping => self.ramping.as_ref(),
            _ => None,
        }
    }
}

/// Where runs and reports go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReportSettings {
    /// Folder that holds one folder per run.
    pub runs: PathBuf,
    /// Folder that gets a copy of the report when a run ends.
    pub copy_to: PathBuf,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self { runs: "runs".into(), copy_to: ".".into() }
    }
}

/// How long runs stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Runs {
    /// What stays of them; a run that goes leaves its reports in `archive` beside it.
    pub keep: Keep,
}

/// Bounds on the runs that stay; the latest does whatever its age and size. Without any, all stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// How many beside the one that begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// How old the oldest may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<TimeSpan>,
    /// How large they may be all together, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mebibytes: Option<u64>,
}

/// The JSON schema of the configuration, as shipped in `docs/`.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
