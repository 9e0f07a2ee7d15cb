//! What a load phase measured besides requests: scenarios, thresholds, streamed answers.

mod figures;
pub mod html;
#[cfg(test)]
mod tests;
pub mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::event::{Iterations, Measurements, SeriesKey, ThresholdRow};
use crate::run::state::{Judged, LoadState, Standing, Totals};

pub use figures::{Documents, Figures, Latency, LoadSection, SeriesRow, latency, millis};

/// The standing of a generator whose figures say nothing about the target.
const INVALID: &str = "invalid";

/// How the generator fared, and how far its figures can be trusted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorSection {
    /// `sound`: what was measured is the target's doing; `ceiling`: users without think time used the
    /// generator's core up, so that the rate is the generator's; `invalid`: the figures say nothing
    /// about the target.
    pub standing: String,
    /// Why it is not sound; empty when it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What answers may have waited for the generator, P99 in milliseconds, its timer's lateness
    /// included.
    pub loop_lateness_p99_ms: Option<f64>,
    /// Intervals in which one of its threads used more than 90 % of a core.
    pub busy_intervals: u64,
    /// How late a timer is that nothing keeps waiting, in milliseconds: lateness below it tells
    /// nothing.
    pub timer_floor_ms: Option<f64>,
    /// What reading the clock costs, in nanoseconds.
    pub clock_read_ns: Option<u32>,
}

impl GeneratorSection {
    /// Whether what was measured says something about the target.
    pub fn is_sound(&self) -> bool {
        self.standing != INVALID
    }
}

/// One scenario.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioRow {
    /// Its name.
    pub scenario: String,
    /// Its model of load.
    pub model: String,
    /// Iterations (flows) that were taken to their end.
    pub finished: u64,
    /// Iterations that were given up before it.
    pub interrupted: u64,
    /// Iterations that were due and found no free user.
    pub dropped: u64,
    /// Iterations per second.
    pub iterations_per_second: Option<f64>,
    /// Length of those that were taken to their end.
    pub duration: Latency,
}

/// One threshold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdSection {
    /// What is measured, with its tags.
    pub metric: String,
    /// What is asked for.
    pub threshold: String,
    /// pass, fail, inconclusive, skipped, or invalid where the generator was the bottleneck.
    pub verdict: String,
    /// The last value, with its unit; `-` without samples.
    pub value: String,
    /// Samples behind it.
    pub n: u64,
    /// Seconds during which a threshold with a window was broken.
    pub broken_seconds: f64,
    /// The value of such a threshold that was furthest off.
    pub worst: Option<String>,
    /// Why nothing is decided.
    pub reason: String,
}

/// What is known of the largest rate that the platform sustains. Rates are flows per second.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LimitSection {
    /// Largest rate that is surely sustained: that at which flows ended while a rate was held, less what
    /// such a count owes to chance. Of a search that did not end, the largest rate that was borne.
    pub sustained: Option<f64>,
    /// Smallest rate that was not borne; the limit lies between the two.
    pub not_sustained: Option<f64>,
    /// The rate that was held for long in the end.
    #[serde(default)]
    pub held: Option<f64>,
    /// Whether the search came to its own end.
    pub complete: bool,
    /// In words.
    pub result: String,
    /// The steps.
    pub steps: Vec<LimitStepRow>,
}

/// One step of the search.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LimitStepRow {
    /// `try`; `again` after a failure that may have been chance; `hold` for the largest rate in the end.
    #[serde(default)]
    pub aim: String,
    /// Flows per second that were asked for.
    pub rate: f64,
    /// Flows per second that ended.
    pub achieved: f64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// Requests that were judged.
    pub n: u64,
    /// 99th percentile of response time, milliseconds.
    pub p99_ms: f64,
    /// Failed requests.
    pub failed: u64,
    /// Flows that found no free user.
    pub dropped: u64,
    /// Why it was not borne; null when it was.
    pub why_not: Option<String>,
}

/// The search of a phase, where there was one.
pub fn limit(load: &LoadState) -> Option<LimitSection> {
    let limit = load.limit.as_ref()?;
    let row = |step: &crate::run::event::LimitStep| LimitStepRow {
        aim: step.aim.word().to_owned(),
        rate: step.rate,
        achieved: step.achieved,
        requests_per_second: step.requests_per_second,
        n: step.n,
        p99_ms: step.p99_us as f64 / 1e3,
        failed: step.failed,
        dropped: step.dropped,
        why_not: step.why_not.clone(),
    };
    Some(LimitSection {
        sustained: limit.sustained,
        not_sustained: limit.not_sustained,
        held: limit.held,
        complete: limit.complete,
        result: limit.words(),
        steps: limit.steps.iter().map(row).collect(),
    })
}

/// What streamed answers consisted of.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StreamFigures {
    /// Streamed answers.
    pub streams: u64,
    /// From the send to the first event with content.
    pub first_token: Latency,
    /// Between two arrivals of content.
    pub token_gap: Latency,
    /// From first to last content, divided by tokens less one.
    pub time_per_token: Latency,
    /// Tokens per second of the phase.
    pub tokens_per_second: Option<f64>,
    /// Events with content.
    pub events: u64,
    /// Of these, events that arrived together with the one before.
    pub coalesced_events: u64,
    /// Answers that did not say how many tokens they have; their events are counted instead.
    pub without_usage: u64,
}

/// The scenarios of a phase.
pub fn scenarios(load: &LoadState) -> Vec<ScenarioRow> {
    let models = load.start.iter().flat_map(|start| &start.models);
    let row = |model: &crate::run::event::ScenarioModel| {
        let none = Iterations::default();
        let iterations = load.iterations.get(&model.scenario).unwrap_or(&none);
        let seconds = load.measured_us as f64 / 1e6;
        ScenarioRow {
            scenario: model.scenario.clone(),
            model: model.words.clone(),
            finished: iterations.finished,
            interrupted: iterations.interrupted,
            dropped: iterations.dropped,
            iterations_per_second: (seconds > 0.0).then(|| iterations.finished as f64 / seconds),
            duration: latency(&iterations.duration),
        }
    };
    models.map(row).collect()
}

/// The thresholds of a phase.
pub fn thresholds(load: &LoadState, standing: &Standing) -> Vec<ThresholdSection> {
    load.judged(standing).iter().map(|(row, judged)| threshold(row, judged)).collect()
}

fn threshold(row: &ThresholdRow, judged: &Judged) -> ThresholdSection {
    ThresholdSection {
        metric: row.metric.clone(),
        threshold: row.expression.clone(),
        verdict: judged.word().to_owned(),
        value: row.value.clone(),
        n: row.n,
        broken_seconds: Duration::from_micros(row.broken_us).as_secs_f64(),
        worst: row.worst.clone(),
        reason: judged.reason().to_owned(),
    }
}

/// A rate or a time to a tenth; a dash where none is known.
fn tenths(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.1}"))
}

/// Failed requests by kind, the most frequent first, in words.
fn errors(figures: &Figures) -> String {
    let mut kinds: Vec<(&String, &u64)> = figures.errors.iter().filter(|(_, n)| **n > 0).collect();
    kinds.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    kinds.iter().map(|(kind, n)| format!("{kind} {n}")).collect::<Vec<_>>().join(", ")
}

/// The streamed answers among a set of requests.
pub fn streams(totals: &Totals) -> Option<StreamFigures> {
    let measured = &totals.measured;
    let counts = measured.streams;
    let seconds = totals.length_us as f64 / 1e6;
    let of = |histogram: &Option<_>| latency(&histogram.clone().unwrap_or_default());
    (!counts.is_empty()).then(|| StreamFigures {
        streams: counts.streams,
        first_token: of(&measured.first_token),
        token_gap: of(&measured.token_gap),
        time_per_token: of(&measured.time_per_token),
        tokens_per_second: (seconds > 0.0).then(|| measured.tokens as f64 / seconds),
        events: counts.chunks,
        coalesced_events: counts.coalesced,
        without_usage: counts.without_usage,
    })
}

/// The steps whose answers were streamed.
fn streamed(rows: &[SeriesRow]) -> Vec<(&SeriesRow, &StreamFigures)> {
    rows.iter().filter_map(|row| Some((row, row.figures.streams.as_ref()?))).collect()
}

/// What a load phase measured.
pub fn section(load: &LoadState) -> LoadSection {
    let (start, standing) = (load.start.as_ref(), load.standing());
    let mut services: BTreeMap<String, Figures> = load
        .services()
        .into_iter()
        .map(|service| (service.name().to_owned(), figures(&load.totals(Some(service)))))
        .collect();
    services.insert("all".into(), figures(&load.totals(None)));
    LoadSection {
        engine: start.map(|start| start.engine.clone()).unwrap_or_default(),
        left_out: start.map(|s| s.left_out.iter().cloned().collect()).unwrap_or_default(),
        services,
        series: load.series.iter().map(|(key, series)| series_row(load, key, series)).collect(),
        scenarios: scenarios(load),
        thresholds: thresholds(load, &standing),
        limit: limit(load),
        generator_lateness_p99_ms: load.lateness.quantile(0.99).map(millis),
        generator: generator(load, standing),
        dropped: load.dropped,
        guard: load.guard.clone(),
        documents: load.cleanup.as_ref().map(|cleanup| Documents {
            written: cleanup.written,
            removed: cleanup.removed,
            remaining: cleanup.remaining_count,
            remaining_ids: cleanup.remaining.clone(),
        }),
    }
}

/// How the generator fared.
fn generator(load: &LoadState, standing: Standing) -> GeneratorSection {
    let waited = load.loop_lateness.quantile(0.99);
    let (standing, reason) = match standing {
        Standing::Sound => ("sound", String::new()),
        Standing::Ceiling { own, .. } => {
            let own = millis(own);
            let reason = format!(
                "users without think time used the generator's core up: the rate is its ceiling, and \
                 {own:.1} ms (P99) of a response time may be its own"
            );
            ("ceiling", reason)
        }
        Standing::Invalid(reason) => (INVALID, reason),
    };
    let clock = load.start.as_ref().and_then(|start| start.clock);
    GeneratorSection {
        standing: standing.into(),
        reason,
        loop_lateness_p99_ms: waited.map(millis),
        busy_intervals: load.busy_intervals,
        timer_floor_ms: clock.map(|clock| millis(clock.timer())),
        clock_read_ns: clock.map(|clock| clock.read_ns),
    }
}

fn series_row(load: &LoadState, key: &SeriesKey, series: &Measurements) -> SeriesRow {
    let totals = Totals { measured: series.clone(), length_us: load.measured_us };
    SeriesRow {
        service: key.service,
        scenario: key.scenario.clone(),
        step: key.step.clone(),
        figures: figures(&totals),
    }
}

fn figures(totals: &Totals) -> Figures {
    let measured = &totals.measured;
    Figures {
        n: measured.requests(),
        failed: measured.failed(),
        cut_off: measured.cut_off.count(),
        error_rate_percent: measured.error_rate_percent(),
        requests_per_second: totals.rate(),
        errors: measured.errors.iter().map(|(kind, n)| (kind.word().to_owned(), *n)).collect(),
        response: latency(&measured.response),
        service_time: latency(&measured.service_time),
        lateness: latency(&measured.lateness),
        streams: streams(totals),
        checks_passed: measured.checks.passed,
        checks_failed: measured.checks.failed,
        bytes: measured.bytes,
        tokens: measured.tokens,
    }
}
