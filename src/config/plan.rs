//! Phases: their names, order, lengths and what a run must reach to pass.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::timespan::TimeSpan;

/// The phases of a run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PhaseKind {
    /// Constant users with a weighted mix of scenarios.
    Mixed,
    /// Scenarios side by side, each with its own ramp.
    Ramping,
    /// Faults that always heal.
    Chaos,
    /// Trivy and penetration tests.
    Security,
    /// Backup and restore drill.
    Backup,
    /// SLO compliance over what the load phases measured.
    Slo,
}

impl PhaseKind {
    /// All phases in their default order.
    pub const ALL: [Self; 6] =
        [Self::Mixed, Self::Ramping, Self::Chaos, Self::Security, Self::Backup, Self::Slo];

    /// The name used in configuration, events, screens and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Ramping => "ramping",
            Self::Chaos => "chaos",
            Self::Security => "security",
            Self::Backup => "backup",
            Self::Slo => "slo",
        }
    }

    /// Reads a name or one of the old script's words (`locust`, `k6`).
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "locust" => Some(Self::Mixed),
            "k6" => Some(Self::Ramping),
            _ => Self::ALL.into_iter().find(|phase| phase.name() == name),
        }
    }

    /// Whether the phase drives a workload whose samples count for the SLOs.
    pub const fn is_load(self) -> bool {
        matches!(self, Self::Mixed | Self::Ramping)
    }

    /// Whether the phase may leave something to heal or clean if nobody watches.
    pub const fn is_destructive(self) -> bool {
        matches!(self, Self::Chaos | Self::Security | Self::Backup)
    }
}

impl fmt::Display for PhaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Order, lengths and cooldown of the phases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Phases {
    /// The order in which phases run.
    pub order: Vec<PhaseKind>,
    /// Phases that are not run.
    pub skip: Vec<PhaseKind>,
    /// Longest pause between two phases; it ends early when the platform is steady again.
    pub cooldown: TimeSpan,
    /// Lengths in a full run.
    pub full: Lengths,
    /// Lengths in a quick run, which leaves out chaos and ramping load.
    pub quick: Lengths,
    /// Lengths in an extended run: a soak.
    pub extended: Lengths,
    /// Lengths in a disaster recovery exercise, which only backs up, destroys and restores.
    pub dr: Lengths,
}

impl Default for Phases {
    fn default() -> Self {
        Self {
            order: PhaseKind::ALL.to_vec(),
            skip: Vec::new(),
            cooldown: TimeSpan::secs(30),
            full: Lengths::default(),
            quick: Lengths {
                mixed: TimeSpan::secs(5 * 60),
                security: TimeSpan::secs(3 * 60),
                backup: TimeSpan::secs(2 * 60),
                ..Lengths::default()
            },
            extended: Lengths {
                mixed: TimeSpan::secs(2 * 3600),
                ramping: TimeSpan::secs(3600),
                chaos: TimeSpan::secs(30 * 60),
                security: TimeSpan::secs(30 * 60),
                backup: TimeSpan::secs(30 * 60),
                ..Lengths::default()
            },
            dr: Lengths { backup: TimeSpan::secs(4 * 3600), ..Lengths::default() },
        }
    }
}

/// How long each phase lasts (load) or may last (everything else).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lengths {
    /// Mixed load.
    pub mixed: TimeSpan,
    /// Ramping load.
    pub ramping: TimeSpan,
    /// Chaos.
    pub chaos: TimeSpan,
    /// Security.
    pub security: TimeSpan,
    /// Backup drill.
    pub backup: TimeSpan,
    /// SLO evaluation.
    pub slo: TimeSpan,
}

impl Default for Lengths {
    fn default() -> Self {
        Self {
            mixed: TimeSpan::secs(10 * 60),
            ramping: TimeSpan::secs(10 * 60),
            chaos: TimeSpan::secs(15 * 60),
            security: TimeSpan::secs(10 * 60),
            backup: TimeSpan::secs(5 * 60),
            slo: TimeSpan::secs(60),
        }
    }
}

impl Lengths {
    /// Length of one phase.
    pub const fn of(&self, phase: PhaseKind) -> TimeSpan {
        match phase {
            PhaseKind::Mixed => self.mixed,
            PhaseKind::Ramping => self.ramping,
            PhaseKind::Chaos => self.chaos,
            PhaseKind::Security => self.security,
            PhaseKind::Backup => self.backup,
            PhaseKind::Slo => self.slo,
        }
    }
}

/// What a run must reach to pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Criteria {
    /// Replaces the objective of `availability` in the SLO definitions, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_percent: Option<f64>,
    /// Replaces the limit of `p99` in the SLO definitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<TimeSpan>,
    /// Replaces the limit of `error_rate` in the SLO definitions, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate_percent: Option<f64>,
    /// Least resilience score, 0-100.
    pub resilience_percent: f64,
    /// Least security score, 0-100.
    pub security_percent: f64,
    /// What an inconclusive run means for CI: exit 3, or the exit of a pass or fail.
    pub inconclusive: InconclusiveExit,
}

impl Default for Criteria {
    fn default() -> Self {
        Self {
            availability_percent: None,
            p99: None,
            error_rate_percent: None,
            resilience_percent: 90.0,
            security_percent: 95.0,
            inconclusive: InconclusiveExit::Own,
        }
    }
}

/// The exit code of an inconclusive run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InconclusiveExit {
    /// Its own code, 3.
    Own,
    /// 0, as for a pass.
    Pass,
    /// 1, as for a fail.
    Fail,
}

/// Brakes that are always on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guards {
    /// Load stops when more than this share of requests fails, in percent ...
    pub error_rate_percent: f64,
    /// ... for this long.
    pub error_window: TimeSpan,
    /// Most requests that a run may send. Must be set for a production target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u64>,
    /// Most tokens that a run may ask for. Must be set for a production target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            error_rate_percent: 5.0,
            error_window: TimeSpan::secs(30),
            max_requests: None,
            max_tokens: None,
        }
    }
}

/// What a run does when nobody watches it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDetach {
    /// Goes on to the end.
    Continue,
    /// Holds before the next destructive phase until somebody attaches and resumes.
    Hold,
    /// Aborts and heals.
    Abort,
}
