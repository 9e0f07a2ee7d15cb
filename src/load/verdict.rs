//! What a load phase's measurements amount to.

use std::time::Duration;

use crate::config::Workload;
use crate::run::event::{Measurements, PhaseOutcome, Verdict};
use crate::run::histogram::Histogram;
use crate::run::state::LoadState;

/// The generator is the bottleneck when its lateness is above this and above a tenth of what it
/// measures: then the target is not slow, the measurement is invalid.
const LATE: Duration = Duration::from_millis(20);
/// A thread that is busier than this cannot keep time.
pub const OVERLOADED_PERCENT: f32 = 90.0;

/// Why a phase ended before its length was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EarlyEnd {
    /// Too many requests failed.
    Guard(String),
    /// A cap was reached.
    Cap(String),
}

/// The outcome of a phase.
pub fn outcome(
    load: &LoadState,
    workload: &Workload,
    early: Option<EarlyEnd>,
    overloaded_intervals: u64,
) -> PhaseOutcome {
    if let Some(EarlyEnd::Guard(reason)) = early {
        return PhaseOutcome::new(Verdict::Fail, format!("stopped by its guard: {reason}"));
    }
    let totals = load.totals(None).measured;
    if totals.requests() == 0 {
        return PhaseOutcome::new(Verdict::Inconclusive, "no request was finished");
    }
    if let Some(reason) = invalid(load, &totals.response, overloaded_intervals) {
        return PhaseOutcome::new(Verdict::Invalid, reason);
    }
    let broken = broken_thresholds(load, workload);
    if !broken.is_empty() {
        return PhaseOutcome::new(Verdict::Fail, broken.join("; "));
    }
    if let Some(cleanup) = load.cleanup.as_ref().filter(|cleanup| cleanup.remaining_count > 0) {
        let reason = format!("{} documents could not be removed", cleanup.remaining_count);
        return PhaseOutcome::new(Verdict::Fail, reason);
    }
    if let Some(EarlyEnd::Cap(reason)) = early {
        return PhaseOutcome::new(Verdict::Inconclusive, reason);
    }
    let (n, failed) = (totals.requests(), totals.failed());
    PhaseOutcome::new(Verdict::Pass, format!("{n} requests, {failed} failed, every threshold held"))
}

fn invalid(load: &LoadState, response: &Histogram, overloaded: u64) -> Option<String> {
    let late = load.lateness.quantile(0.99)?;
    let measured = response.quantile(0.99)?;
    if late > LATE && late > measured / 10 {
        return Some(format!(
            "the generator was late (P99 {} ms of {} ms measured): its figures say nothing about the target",
            late.as_millis(),
            measured.as_millis()
        ));
    }
    (overloaded * 10 > load.intervals).then(|| {
        format!("the generator was out of CPU in {overloaded} of {} intervals", load.intervals)
    })
}

fn broken_thresholds(load: &LoadState, workload: &Workload) -> Vec<String> {
    let mut broken = Vec::new();
    for scenario in &workload.scenarios {
        let Some(thresholds) = scenario.thresholds else { continue };
        let mut measured = Measurements::default();
        let own = load.series.iter().filter(|(key, _)| key.scenario == scenario.name);
        own.for_each(|(_, series)| measured.add(series));
        let n = measured.requests();
        if n == 0 {
            continue;
        }
        let (limit, percent) =
            (thresholds.p99.get(), measured.error_rate_percent().unwrap_or_default());
        if let Some(p99) = measured.response.quantile(0.99).filter(|p99| *p99 >= limit) {
            broken.push(format!(
                "{}: P99 {} ms, asked < {} ms (n {n})",
                scenario.name,
                p99.as_millis(),
                limit.as_millis()
            ));
        }
        if percent >= thresholds.error_rate_percent {
            broken.push(format!(
                "{}: {percent:.2} % failed, asked < {} % (n {n})",
                scenario.name, thresholds.error_rate_percent
            ));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Scenario, ServiceKind, ThinkTime, Thresholds, TimeSpan};
    use crate::run::event::{CleanupReport, ErrorKind, SeriesKey};

    fn workload() -> Workload {
        Workload {
            users: Some(1),
            spawn_rate: 1,
            think_time: ThinkTime { min: TimeSpan::secs(1), max: TimeSpan::secs(1) },
            graceful_stop: TimeSpan::secs(1),
            scenarios: vec![Scenario {
                name: "chat".into(),
                service: ServiceKind::Chat,
                weight: 1,
                stages: None,
                flows: vec![],
                thresholds: Some(Thresholds { p99: TimeSpan::secs(2), error_rate_percent: 0.5 }),
            }],
        }
    }

    fn load(latency_ms: u64, lateness_ms: u64, failed: u64) -> LoadState {
        let mut load = LoadState { intervals: 100, ..LoadState::default() };
        let mut series = Measurements::default();
        series.response.record_us(latency_ms * 1000, 1000);
        series.errors.insert(ErrorKind::Timeout, failed);
        load.lateness.record_us(lateness_ms * 1000, 1000);
        let key =
            SeriesKey { service: ServiceKind::Chat, scenario: "chat".into(), step: "s".into() };
        load.series.insert(key, series);
        load
    }

    fn verdict(load: &LoadState, early: Option<EarlyEnd>, overloaded: u64) -> Verdict {
        outcome(load, &workload(), early, overloaded).verdict
    }

    #[test]
    fn thresholds_decide() {
        assert_eq!(verdict(&load(300, 1, 0), None, 0), Verdict::Pass);
        assert_eq!(verdict(&load(2100, 1, 0), None, 0), Verdict::Fail);
        assert_eq!(verdict(&load(300, 1, 5), None, 0), Verdict::Fail);
        assert_eq!(verdict(&LoadState::default(), None, 0), Verdict::Inconclusive);
    }

    #[test]
    fn a_late_or_overloaded_generator_blames_itself() {
        assert_eq!(verdict(&load(2100, 500, 0), None, 0), Verdict::Invalid);
        assert_eq!(verdict(&load(300, 1, 0), None, 11), Verdict::Invalid);
        assert_eq!(verdict(&load(15_000, 500, 0), None, 0), Verdict::Fail, "late by 3 % only");
    }

    #[test]
    fn a_guard_fails_and_a_cap_leaves_it_open() {
        assert_eq!(verdict(&load(300, 1, 0), Some(EarlyEnd::Guard("x".into())), 0), Verdict::Fail);
        assert_eq!(
            verdict(&load(300, 1, 0), Some(EarlyEnd::Cap("x".into())), 0),
            Verdict::Inconclusive
        );
    }

    #[test]
    fn what_could_not_be_removed_is_no_pass() {
        let mut load = load(300, 1, 0);
        load.cleanup = Some(CleanupReport { remaining_count: 1, ..CleanupReport::default() });
        assert_eq!(verdict(&load, None, 0), Verdict::Fail);
    }
}
