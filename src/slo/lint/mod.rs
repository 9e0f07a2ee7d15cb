//! What is wrong with definitions, and what contradicts itself in them.

mod contradictions;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use super::budget;
use crate::config::{
    Channel, LoadedSlos, Place, SLO_SCHEMA, Slo, SloKind, StoreKind, TimeSpan, Workloads,
};

/// Share by which a stated budget may differ from the computed one.
const TOLERANCE: f64 = 0.01;
/// Buckets of Prometheus' client libraries, in seconds: limits between them cannot be decided there.
const DEFAULT_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The definitions cannot be used as they are.
    Error,
    /// They can, but say two things at once.
    Warning,
}

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub weight: Weight,
    /// Where.
    pub place: Option<Place>,
    /// What, and what to do.
    pub message: String,
}

/// Everything that is to be told of definitions, and of what they ask of these workloads.
pub fn lint(loaded: &LoadedSlos, workloads: &Workloads) -> Vec<Finding> {
    let mut lint = Lint { loaded, found: Vec::new() };
    let definitions = &loaded.definitions;
    if definitions.schema != SLO_SCHEMA {
        lint.error("schema", format!("expected {SLO_SCHEMA}, got {}", definitions.schema));
    }
    if !(0.5..1.0).contains(&definitions.confidence) {
        lint.error("confidence", "expected a number from 0.5 to below 1, such as 0.95".into());
    }
    if definitions.slos.is_empty() {
        lint.error("slos", "nothing is promised: expected an objective at least".into());
    }
    let collection = &definitions.collection;
    if collection.health_check_timeout > collection.health_check_interval {
        let message = format!("longer than the interval of {}", collection.health_check_interval);
        lint.warn("collection.health_check_timeout", message);
    }
    let mut ids = BTreeSet::new();
    for (at, slo) in definitions.slos.iter().enumerate() {
        if !ids.insert(&slo.id) {
            lint.error(&format!("slos.{at}.id"), format!("`{}` stands here twice", slo.id));
        }
        objective(at, slo, &mut lint);
    }
    burn_alerts(&mut lint);
    channels(&mut lint);
    contradictions::find(&mut lint);
    steps::find(workloads, &mut lint);
    lint.found
}

struct Lint<'a> {
    loaded: &'a LoadedSlos,
    found: Vec<Finding>,
}

impl Lint<'_> {
    fn tell(&mut self, weight: Weight, path: &str, message: String) {
        let place = self.loaded.place(path);
        self.found.push(Finding { weight, place, message: format!("{path}: {message}") });
    }

    fn error(&mut self, path: &str, message: String) {
        self.tell(Weight::Error, path, message);
    }

    fn warn(&mut self, path: &str, message: String) {
        self.tell(Weight::Warning, path, message);
    }
}

fn objective(at: usize, slo: &Slo, lint: &mut Lint<'_>) {
    let path = format!("slos.{at}");
    let mut need = |there: bool, what: &str| {
        if !there {
            lint.error(&path, format!("`{}` needs {what}", slo.id));
        }
    };
    match slo.kind {
        SloKind::Availability => need(slo.objective_percent.is_some(), "objective_percent"),
        SloKind::ErrorRate => need(slo.below_percent.is_some(), "below_percent"),
        SloKind::Latency => {
            need(slo.quantile.is_some(), "a quantile: which percentile stays below the limit?");
            need(slo.below.is_some(), "below");
        }
        SloKind::Longest => need(slo.below.is_some(), "below"),
        SloKind::Throughput => {
            need(slo.at_least_per_second.is_some(), "at_least_per_second");
            need(slo.sustain.is_some(), "sustain");
            need(slo.service.is_some(), "a service");
        }
        SloKind::DataLoss => {}
    }
    if let Some(percent) = slo.objective_percent {
        if percent > 0.0 && percent <= 1.0 {
            let meant = percent * 100.0;
            lint.error(
                &format!("{path}.objective_percent"),
                format!("{percent} is a percentage: did you mean {meant}?"),
            );
        } else if !(0.0..100.0).contains(&percent) {
            lint.error(
                &format!("{path}.objective_percent"),
                "expected less than 100: without a budget every failure breaks it".into(),
            );
        }
    }
    if let Some(store) = &slo.store
        && !StoreKind::ALL.iter().any(|kind| kind.name() == store)
    {
        let known = StoreKind::ALL.map(StoreKind::name).join(", ");
        let message = format!("there is no store `{store}`: expected one of {known}");
        lint.error(&format!("{path}.store"), message);
    }
    if slo.quantile.is_some_and(|q| !(0.0..1.0).contains(&q)) {
        lint.error(&format!("{path}.quantile"), "expected 0 to below 1, such as 0.99".into());
    }
    budgets(at, slo, lint);
    buckets(at, slo, lint);
    brakes(at, slo, lint);
    monitored(at, slo, lint);
    let scrapes = lint.loaded.definitions.collection.metrics_interval.get() * 4;
    if slo.window.get() < scrapes {
        let seconds = scrapes.as_secs();
        lint.warn(
            &format!("{path}.window"),
            format!("shorter than four scrapes ({seconds} s): rates over it are noise"),
        );
    }
}

fn budgets(at: usize, slo: &Slo, lint: &mut Lint<'_>) {
    for (number, stated) in slo.budget.iter().enumerate() {
        let Some(computed) = budget::allowed(slo, stated.window) else { continue };
        let (computed, said) = (computed.as_secs_f64(), stated.allow.get().as_secs_f64());
        if (computed - said).abs() > computed * TOLERANCE {
            lint.warn(
                &format!("slos.{at}.budget.{number}.allow"),
                format!(
                    "{} over {} is {:.1} min, not {:.1} min",
                    crate::slo::evaluation::asked(slo),
                    stated.window,
                    computed / 60.0,
                    said / 60.0
                ),
            );
        }
    }
}

fn buckets(at: usize, slo: &Slo, lint: &mut Lint<'_>) {
    let (SloKind::Latency, Some(below)) = (slo.kind, slo.below) else { return };
    let limit = below.get().as_secs_f64();
    if !DEFAULT_BUCKETS.iter().any(|bucket| (bucket - limit).abs() < 1e-9) {
        lint.warn(
            &format!("slos.{at}.below"),
            format!(
                "the usual Prometheus buckets have no {below}: there this can only be bracketed, \
                 not decided (runs decide it from full histograms)"
            ),
        );
    }
}

/// Longest window of a threshold that ends the load: so many intervals are kept.
const LONGEST_BRAKE: TimeSpan = TimeSpan::secs(900);

fn brakes(at: usize, slo: &Slo, lint: &mut Lint<'_>) {
    for (number, threshold) in slo.abort_when_broken.iter().enumerate() {
        let path = format!("slos.{at}.abort_when_broken.{number}");
        if threshold.window.is_some_and(|window| window > LONGEST_BRAKE) {
            lint.error(&path, format!("expected a window of at most {LONGEST_BRAKE}"));
        }
        if slo.store.is_some() {
            lint.error(
                &path,
                "queries to a store end no load: expected a service's objective".into(),
            );
        }
        if threshold.window.is_none() && threshold.min_samples.is_none() {
            lint.warn(&path, "without a window or n>= the first request may end the load".into());
        }
    }
}

fn monitored(at: usize, slo: &Slo, lint: &mut Lint<'_>) {
    let Some(sli) = &slo.prometheus else { return };
    let path = format!("slos.{at}.prometheus");
    if lint.loaded.definitions.prometheus.is_none() {
        lint.error(&path, "expected `prometheus` with the server's url at the top".into());
    }
    let ratio = sli.good.is_some() && sli.total.is_some();
    let buckets = sli.buckets.is_some() && slo.kind == SloKind::Latency;
    if !ratio && !buckets {
        lint.error(&path, "expected `good` and `total`, or for a latency `buckets`".into());
    }
    if sli.buckets.as_ref().is_some_and(|buckets| buckets.contains(['(', '['])) {
        lint.error(
            &format!("{path}.buckets"),
            "expected a selector alone, such as x_seconds_bucket{job=\"api\"}".into(),
        );
    }
    for (name, query) in [("good", &sli.good), ("total", &sli.total)] {
        if query.as_ref().is_some_and(|query| !query.contains("{{window}}")) {
            lint.error(&format!("{path}.{name}"), "expected `[{{window}}]` in the query".into());
        }
    }
}

fn burn_alerts(lint: &mut Lint<'_>) {
    for (at, alert) in lint.loaded.definitions.burn_alerts.iter().enumerate() {
        if alert.short >= alert.long {
            lint.error(
                &format!("burn_alerts.{at}.short"),
                format!("expected a shorter window than {}, such as its twelfth", alert.long),
            );
        }
        if !(alert.budget_percent > 0.0 && alert.budget_percent <= 100.0) {
            lint.error(
                &format!("burn_alerts.{at}.budget_percent"),
                "expected a share of the budget, above 0 and up to 100".into(),
            );
        }
    }
}

fn channels(lint: &mut Lint<'_>) {
    let definitions = &lint.loaded.definitions;
    for (name, channel) in &definitions.channels {
        let path = format!("channels.{name}");
        if let Some((key, None)) = channel.secret() {
            lint.error(&path, format!("expected `{key}_env` or `{key}_file`"));
        }
        if let Channel::Alertmanager(manager) = channel
            && manager.silence_during_chaos.as_ref().is_some_and(BTreeMap::is_empty)
        {
            let path = format!("{path}.silence_during_chaos");
            lint.error(&path, "no matcher would silence everything: expected labels".into());
        }
    }
    let rising = definitions
        .escalation
        .windows(2)
        .all(|pair| pair[0].level < pair[1].level && pair[0].after <= pair[1].after);
    if !rising {
        lint.error("escalation", "expected levels that rise, each no earlier than the last".into());
    }
    for (at, level) in definitions.escalation.iter().enumerate() {
        for name in &level.channels {
            if !definitions.channels.contains_key(name) {
                let known: Vec<&str> = definitions.channels.keys().map(String::as_str).collect();
                lint.error(
                    &format!("escalation.{at}.channels"),
                    format!("no channel is called `{name}`: expected one of {}", known.join(", ")),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, SHIPPED_SLOS, parse};

    fn of(change: impl Fn(String) -> String) -> Vec<Finding> {
        let text = change(SHIPPED_SLOS.to_owned());
        let platform =
            parse("t", "target: { name: t, environment: sandbox }", &LoadOptions::default());
        let workloads = platform.expect("valid").config.workloads;
        lint(&LoadedSlos::parse("slo.yaml", &text).expect("well-formed"), &workloads)
    }

    #[test]
    fn what_is_shipped_has_no_errors_and_its_contradictions_are_told() {
        let found = of(|text| text);
        assert!(found.iter().all(|finding| finding.weight == Weight::Warning), "{found:#?}");
        for part in
            ["recovery.rto: a restore that meets it spends 111 %", "recovery.rpo", "no 1s800ms"]
        {
            assert!(found.iter().any(|f| f.message.contains(part)), "{part}: {found:#?}");
        }
    }

    #[test]
    fn definitions_that_promise_nothing_are_no_definitions() {
        let nothing = |text: String| {
            let (before, after) = text.split_once("slos:\n").expect("objectives");
            let (_, after) = after.split_once("# Alerts on how fast").expect("alerts");
            format!("{before}slos: []\n# {after}")
        };
        let found = of(nothing);
        assert!(
            found
                .iter()
                .any(|f| f.weight == Weight::Error && f.message.contains("nothing is promised")),
            "{found:#?}"
        );
    }

    #[test]
    fn the_beginning_of_a_step_is_enough_as_it_is_where_objectives_are_judged() {
        let found = of(|text| text.replacen("step: ingest", "step: ing", 1));
        assert!(!found.iter().any(|finding| finding.message.contains("no step")), "{found:#?}");
    }

    #[test]
    fn mistakes_are_found_where_they_stand() {
        for (from, to, part) in [
            ("objective_percent: 99.5", "objective_percent: 0.995", "did you mean 99.5"),
            ("allow: 3.6h", "allow: 43.2m", "is 216.0 min, not 43.2 min"),
            ("quantile: 0.50, ", "", "which percentile"),
            ("channels: [pager, slack, mail]", "channels: [paper]", "`paper`"),
            ("id: p95", "id: p50", "twice"),
            ("store: redis, quantile", "store: radis, quantile", "no store `radis`"),
            ("webhook_env: SLACK_WEBHOOK_URL", "", "`webhook_env` or `webhook_file`"),
            ("level: 2, after: 15m", "level: 2, after: 45m", "levels that rise"),
            (
                "below: 1500ms,",
                "below: 1500ms, abort_when_broken: [\"avg[1h]<1s\"],",
                "at most 15m",
            ),
            (
                "below: 1500ms,",
                "below: 1500ms, prometheus: { buckets: x },",
                "server's url at the top",
            ),
            ("below: 1500ms,", "below: 1500ms, prometheus: { good: a, total: b },", "{{window}}"),
            (
                "below: 1500ms,",
                "below: 1500ms, prometheus: { buckets: \"rate(x_bucket[5m])\" },",
                "a selector alone",
            ),
            ("long: 1h, short: 5m", "long: 5m, short: 1h", "a shorter window than 5m"),
            ("budget_percent: 2 ", "budget_percent: 0 ", "above 0"),
            (
                "p95, kind: latency, quantile: 0.95, below: 1500ms",
                "p95, kind: latency, quantile: 0.95, below: 3s",
                "`p99` asks for more",
            ),
            ("step: ingest", "step: ingests", "no step of rag is called `ingests`"),
            ("step: insert", "step: upsert", "expected one of insert, search"),
            ("health_check_timeout: 5s", "health_check_timeout: 45s", "the interval of 30s"),
        ] {
            let found = of(|text| text.replacen(from, to, 1));
            let one = found.iter().find(|finding| finding.message.contains(part));
            assert!(one.is_some_and(|finding| finding.place.is_some()), "{part}: {found:#?}");
        }
    }
}
