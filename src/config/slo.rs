//! `slo_definitions.yaml`: what the platform promises.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::compliance::{ComplianceRules, RecoveryRules};
use super::load::{read_text, read_yaml};
use super::notify::{Channel, EscalationLevel, NotifyRules};
use super::problem::{ConfigError, Place};
use super::secret::SecretSource;
use super::service::ServiceKind;
use super::threshold::Threshold;
use super::timespan::TimeSpan;

/// The definitions that are used when there is no file.
pub const SHIPPED_SLOS: &str = include_str!("../../slo_definitions.yaml");
/// The file that is used when none is named.
pub const DEFAULT_SLO_FILE: &str = "slo_definitions.yaml";
/// The schema that this program reads.
pub const SLO_SCHEMA: &str = "shakedown.slo/v1";

/// Everything that is promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloDefinitions {
    /// [`SLO_SCHEMA`].
    pub schema: String,
    /// Of which platform.
    pub metadata: SloMetadata,
    /// Confidence of every verdict, above 0.5 and below 1.
    pub confidence: f64,
    /// How the platform itself should be watched.
    pub collection: Collection,
    /// The objectives.
    pub slos: Vec<Slo>,
    /// Alerts on how fast a budget burns.
    #[serde(default)]
    pub burn_alerts: Vec<BurnAlert>,
    /// Who can be told.
    #[serde(default)]
    pub channels: BTreeMap<String, Channel>,
    /// Who is told after how long.
    #[serde(default)]
    pub escalation: Vec<EscalationLevel>,
    /// How alerts go out.
    #[serde(default)]
    pub notify: NotifyRules,
    /// Where the figures of the objectives' whole windows are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusSource>,
    /// Controls.
    pub compliance: ComplianceRules,
    /// How much may be lost, and for how long.
    pub recovery: RecoveryRules,
}

/// Of which platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloMetadata {
    /// Its name.
    pub platform: String,
    /// Who answers for it.
    pub owner: String,
    /// Revision of the definitions.
    pub revision: u32,
}

/// How the platform itself should be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// Time between two scrapes.
    pub metrics_interval: TimeSpan,
    /// Time between two health checks.
    pub health_check_interval: TimeSpan,
    /// A health check that takes longer has failed.
    pub health_check_timeout: TimeSpan,
    /// Light queries per second to each store while load runs; 0 asks none.
    #[serde(default = "five")]
    pub store_queries_per_second: u32,
}

const fn five() -> u32 {
    5
}

/// A Prometheus server that watches the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusSource {
    /// Its base URL, without credentials.
    pub url: String,
    /// A bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretSource>,
    /// Selects the series whose samples say how much of a window was scraped, such as
    /// `up{job="gateway"}`.
    pub up: String,
    /// Time between two scrapes.
    pub scrape_interval: TimeSpan,
}

/// How an objective is measured in Prometheus. `{{window}}` stands for the objective's window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusSli {
    /// Good events, such as `sum(increase(http_requests_total{code!~"5.."}[{{window}}]))`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<String>,
    /// All events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<String>,
    /// For latency: selects the buckets of a histogram in seconds, such as
    /// `http_request_duration_seconds_bucket{job="gateway"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<String>,
}

/// What kind of objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SloKind {
    /// Share of requests that the platform answered.
    Availability,
    /// Share of requests that failed in any way.
    ErrorRate,
    /// A quantile of response time.
    Latency,
    /// The longest response time.
    Longest,
    /// Requests per second that are sustained.
    Throughput,
    /// Records lost in the backup drill.
    DataLoss,
}

/// One objective. Which fields it needs depends on its kind; `slo lint` says what is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Unique name.
    pub id: String,
    /// What kind.
    pub kind: SloKind,
    /// Only requests to this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceKind>,
    /// Only this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Light queries of a store rather than requests to a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The time over which the promise holds.
    pub window: TimeSpan,
    /// Whether a run can only pass when this is met.
    #[serde(default)]
    pub gate: bool,
    /// Least share in percent, for availability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective_percent: Option<f64>,
    /// The share in percent stays below this, for an error rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_percent: Option<f64>,
    /// Which quantile, 0-1, for latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// The time stays below this, for latency and longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<TimeSpan>,
    /// Requests per second, for throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least_per_second: Option<f64>,
    /// For how long throughput has to be sustained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sustain: Option<TimeSpan>,
    /// What the error budget is believed to be; checked against what it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget: Vec<BudgetAssertion>,
    /// Load is ended, and nothing but the evaluation follows, when one of these breaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abort_when_broken: Vec<Threshold>,
    /// How it is measured over its whole window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusSli>,
}

impl Slo {
    /// Whether requests of a step of a service are meant; a step is meant by the beginning of its name,
    /// such as `tools` for `tools/call` and `tools/list`.
    pub fn is_of(&self, service: ServiceKind, step: &str) -> bool {
        self.service.is_none_or(|of| of == service)
            && self.step.as_ref().is_none_or(|of| step.starts_with(of.as_str()))
    }

    /// Share of requests that may be bad, 0-1; none for objectives that are no ratio.
    pub fn allowed_bad(&self) -> Option<f64> {
        match self.kind {
            SloKind::Availability => Some(1.0 - self.objective_percent? / 100.0),
            SloKind::ErrorRate => Some(self.below_percent? / 100.0),
            SloKind::Latency => Some(1.0 - self.quantile?),
            SloKind::Longest | SloKind::Throughput | SloKind::DataLoss => None,
        }
    }
}

/// A belief about an error budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetAssertion {
    /// Over which window.
    pub window: TimeSpan,
    /// How long everything may be down.
    pub allow: TimeSpan,
}

/// An alert on how fast a budget burns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BurnAlert {
    /// How loud.
    pub severity: AlertSeverity,
    /// The window over which so much of the budget is gone.
    pub long: TimeSpan,
    /// The window that lets the alert end soon after the cause.
    pub short: TimeSpan,
    /// How much of the budget is gone in the long window, in percent.
    pub budget_percent: f64,
}

impl BurnAlert {
    /// The burn rate above which it fires, for an objective over this window.
    pub fn factor(&self, window: TimeSpan) -> f64 {
        let long = self.long.get().as_secs_f64();
        self.budget_percent / 100.0 * window.get().as_secs_f64() / long.max(1e-9)
    }
}

/// How loud an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    /// Somebody is woken.
    Page,
    /// Somebody looks at it in the morning.
    Ticket,
}

/// Definitions that have been read, and where each value stands.
#[derive(Clone, Debug)]
pub struct LoadedSlos {
    /// The definitions.
    pub definitions: SloDefinitions,
    /// The file's name, or `built-in`.
    pub source: String,
    /// Places of values by path, such as `slos.3.below`.
    places: super::position::Positions,
}

impl LoadedSlos {
    /// Reads definitions: from this file, else from [`DEFAULT_SLO_FILE`] where it exists, else the
    /// built-in ones.
    ///
    /// # Errors
    /// With file, line and hint.
    pub fn load(file: Option<&PathBuf>) -> Result<Self, ConfigError> {
        let default = PathBuf::from(DEFAULT_SLO_FILE);
        let file = file.or_else(|| default.is_file().then_some(&default));
        let Some(file) = file else { return Self::parse("built-in", SHIPPED_SLOS) };
        Self::parse(&file.display().to_string(), &read_text(file)?)
    }

    /// Reads definitions from a text; `name` stands in messages.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let (definitions, places) = read_yaml(name, text)?;
        Ok(Self { definitions, source: name.to_owned(), places })
    }

    /// Where a value stands.
    pub fn place(&self, path: &str) -> Option<Place> {
        self.places.of(path)
    }
}
