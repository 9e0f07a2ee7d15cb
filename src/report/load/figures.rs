//! The figures of requests, as they stand in the JSON report.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GeneratorSection, LimitSection, ScenarioRow, StreamFigures, ThresholdSection};
use crate::config::ServiceKind;
use crate::run::histogram::Histogram;

/// What a load phase measured.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LoadSection {
    /// What drove the load: `built-in`, or the external tool that really ran.
    pub engine: String,
    /// Scenarios or flows that could not run, with the reason.
    pub left_out: BTreeMap<String, String>,
    /// Figures by service, and `all`.
    pub services: BTreeMap<String, Figures>,
    /// Figures by series.
    pub series: Vec<SeriesRow>,
    /// Iterations by scenario.
    #[serde(default)]
    pub scenarios: Vec<ScenarioRow>,
    /// The thresholds.
    #[serde(default)]
    pub thresholds: Vec<ThresholdSection>,
    /// The largest sustained rate, where it was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitSection>,
    /// Generator lateness P99 in milliseconds.
    pub generator_lateness_p99_ms: Option<f64>,
    /// How far the figures can be trusted.
    #[serde(default)]
    pub generator: GeneratorSection,
    /// Measurements lost.
    pub dropped: u64,
    /// The brake that stopped the load, if one did.
    pub guard: Option<String>,
    /// Documents written, removed and left over.
    pub documents: Option<Documents>,
}

/// What became of written documents.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Documents {
    /// Written.
    pub written: u64,
    /// Removed, absence checked.
    pub removed: u64,
    /// Absence could not be shown.
    pub remaining: u64,
    /// The first of those.
    pub remaining_ids: Vec<String>,
}

/// One series.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SeriesRow {
    /// The service.
    pub service: ServiceKind,
    /// The scenario.
    pub scenario: String,
    /// The step.
    pub step: String,
    /// Its figures.
    pub figures: Figures,
}

/// Figures of a set of requests. Percentiles are HdrHistogram's (three significant digits); null
/// without data.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Finished requests.
    pub n: u64,
    /// Failed requests.
    pub failed: u64,
    /// Requests without an answer when their users had to leave; they stand in no other figure.
    #[serde(default)]
    pub cut_off: u64,
    /// Failed share in percent.
    pub error_rate_percent: Option<f64>,
    /// Requests per second.
    pub requests_per_second: Option<f64>,
    /// Failed requests by kind.
    pub errors: BTreeMap<String, u64>,
    /// Response time, from the intended start.
    pub response: Latency,
    /// Service time, from the actual send.
    pub service_time: Latency,
    /// Lateness of the generator, from the intended start to the actual send.
    pub lateness: Latency,
    /// What streamed answers consisted of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<StreamFigures>,
    /// Checks of answers that held.
    #[serde(default)]
    pub checks_passed: u64,
    /// Checks of answers that did not.
    #[serde(default)]
    pub checks_failed: u64,
    /// Response body bytes.
    pub bytes: u64,
    /// Tokens, as far as the answers say.
    pub tokens: u64,
}

/// A latency distribution.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Smallest, milliseconds.
    pub min_ms: Option<f64>,
    /// Mean, milliseconds.
    pub mean_ms: Option<f64>,
    /// Median, milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile, milliseconds.
    pub p95_ms: Option<f64>,
    /// 99th percentile, milliseconds.
    pub p99_ms: Option<f64>,
    /// 99.9th percentile, milliseconds.
    #[serde(default)]
    pub p999_ms: Option<f64>,
    /// Largest, milliseconds.
    pub max_ms: Option<f64>,
    /// The histogram in microseconds: HdrHistogram V2, base64.
    pub histogram_v2: String,
}

/// The figures of a latency distribution.
pub fn latency(histogram: &Histogram) -> Latency {
    Latency {
        min_ms: histogram.quantile(0.0).map(millis),
        mean_ms: histogram.mean().map(millis),
        p50_ms: histogram.quantile(0.5).map(millis),
        p95_ms: histogram.quantile(0.95).map(millis),
        p99_ms: histogram.quantile(0.99).map(millis),
        p999_ms: histogram.quantile(0.999).map(millis),
        max_ms: histogram.max().map(millis),
        histogram_v2: histogram.to_base64().unwrap_or_default(),
    }
}

/// Milliseconds.
pub fn millis(duration: std::time::Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}
