//! What a load phase's measurements amount to.

use std::time::Duration;

use super::thresholds::words;
use crate::run::event::{LimitReport, PhaseOutcome, Verdict};
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
    /// A threshold that says so was broken.
    Threshold(String),
    /// A cap was reached.
    Cap(String),
}

impl EarlyEnd {
    /// Why, in words.
    pub fn reason(&self) -> &str {
        let (Self::Guard(reason) | Self::Threshold(reason) | Self::Cap(reason)) = self;
        reason
    }
}

/// Above this share of dropped iterations, in percent, the load that was asked for was not there.
const DROPPED_PERCENT: f64 = 1.0;

/// With one in so many requests not sent for want of a descriptor or port, the load was not there.
const STARVED_IN: u64 = 100;

/// The outcome of a phase.
pub fn outcome(
    load: &LoadState,
    early: Option<EarlyEnd>,
    overloaded_intervals: u64,
) -> PhaseOutcome {
    if let Some(limit) = &load.limit {
        return of_search(limit, early.as_ref());
    }
    if let Some(EarlyEnd::Guard(reason)) = early {
        return PhaseOutcome::new(Verdict::Fail, format!("stopped by its guard: {reason}"));
    }
    let totals = load.totals(None).measured;
    if totals.requests() + load.starved == 0 {
        return PhaseOutcome::new(Verdict::Inconclusive, "no request was finished");
    }
    if let Some(reason) = invalid(load, &totals.response, overloaded_intervals) {
        return PhaseOutcome::new(Verdict::Invalid, reason);
    }
    let broken = load.thresholds.iter().filter(|row| row.holds == Some(false)).map(words);
    let broken = broken.collect::<Vec<_>>().join("; ");
    if !broken.is_empty() {
        let stopped = matches!(early, Some(EarlyEnd::Threshold(_)));
        let early = if stopped { "stopped early: " } else { "" };
        return PhaseOutcome::new(Verdict::Fail, format!("{early}{broken}"));
    }
    if let Some(cleanup) = load.cleanup.as_ref().filter(|cleanup| cleanup.remaining_count > 0) {
        let reason = format!("{} documents could not be removed", cleanup.remaining_count);
        return PhaseOutcome::new(Verdict::Fail, reason);
    }
    if let Some(EarlyEnd::Cap(reason) | EarlyEnd::Threshold(reason)) = early {
        return PhaseOutcome::new(Verdict::Inconclusive, reason);
    }
    if let Some(reason) = undecided(load) {
        return PhaseOutcome::new(Verdict::Inconclusive, reason);
    }
    let (n, failed) = (totals.requests(), totals.failed());
    PhaseOutcome::new(Verdict::Pass, format!("{n} requests, {failed} failed, every threshold held"))
}

/// The outcome of a search for the largest sustained rate: finding it is what it is for.
fn of_search(limit: &LimitReport, early: Option<&EarlyEnd>) -> PhaseOutcome {
    let words = limit.words();
    match (&limit.invalid, early) {
        (Some(reason), _) => {
            let reason = format!("{reason} at {:.1} flows/s; the platform {words}", limit.rate);
            PhaseOutcome::new(Verdict::Invalid, reason)
        }
        (None, _) if limit.complete => PhaseOutcome::new(Verdict::Pass, words),
        (None, Some(early)) => {
            let reason = format!("ended before it was found ({}): {words}", early.reason());
            PhaseOutcome::new(Verdict::Inconclusive, reason)
        }
        (None, None) => {
            let reason = format!("the phase was over before it was found: {words}");
            PhaseOutcome::new(Verdict::Inconclusive, reason)
        }
    }
}

/// Why thresholds that were not broken prove nothing.
fn undecided(load: &LoadState) -> Option<String> {
    let iterations = load.iterations.values();
    let (dropped, begun) = iterations.fold((0, 0), |(dropped, begun), of| {
        (dropped + of.dropped, begun + of.finished + of.interrupted)
    });
    let percent = dropped as f64 * 100.0 / (dropped + begun).max(1) as f64;
    if percent > DROPPED_PERCENT {
        return Some(format!(
            "{dropped} iterations ({percent:.1} %) were dropped because no user was free: the load \
             that was asked for was not there; raise maxVUs"
        ));
    }
    let open = load.thresholds.iter().filter(|row| row.holds.is_none() && !row.skipped);
    let open = open.map(|row| format!("{}: {} ({})", row.metric, row.expression, row.why_open));
    let open = open.collect::<Vec<_>>().join("; ");
    (!open.is_empty()).then(|| format!("not decided: {open}"))
}

/// Why the generator is the bottleneck in an interval; none when it is not.
pub fn bottleneck(late: Duration, measured: Duration, busy_percent: f32) -> Option<String> {
    if late > LATE && late > measured / 10 {
        let (late, measured) = (late.as_millis(), measured.as_millis());
        return Some(format!("the generator was late (P99 {late} ms of {measured} ms measured)"));
    }
    (busy_percent > OVERLOADED_PERCENT).then(|| "the generator was out of CPU".into())
}

fn invalid(load: &LoadState, response: &Histogram, overloaded: u64) -> Option<String> {
    if load.starved > 0 && load.starved * STARVED_IN >= response.count() + load.starved {
        return Some(format!(
            "{} requests could not be sent: this machine was out of descriptors or ports (raise \
             `ulimit -n`)",
            load.starved
        ));
    }
    let late = load.lateness.quantile(0.99)?;
    let measured = response.quantile(0.99)?;
    if let Some(reason) = bottleneck(late, measured, 0.0) {
        return Some(format!("{reason}: its figures say nothing about the target"));
    }
    (overloaded * 10 > load.intervals).then(|| {
        format!("the generator was out of CPU in {overloaded} of {} intervals", load.intervals)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceKind;
    use crate::run::event::{
        CleanupReport, ErrorKind, Iterations, Measurements, SeriesKey, ThresholdRow,
    };

    fn row(holds: Option<bool>) -> ThresholdRow {
        ThresholdRow {
            metric: "response_time".into(),
            expression: "p(99)<2s".into(),
            holds,
            value: "2100 ms".into(),
            n: 1000,
            broken_us: 0,
            worst: None,
            aborts: false,
            why_open: String::new(),
            skipped: false,
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
        load.thresholds = vec![row(Some(latency_ms < 2000))];
        load
    }

    fn verdict(load: &LoadState, early: Option<EarlyEnd>, overloaded: u64) -> Verdict {
        outcome(load, early, overloaded).verdict
    }

    #[test]
    fn thresholds_decide() {
        assert_eq!(verdict(&load(300, 1, 0), None, 0), Verdict::Pass);
        assert_eq!(verdict(&load(2100, 1, 0), None, 0), Verdict::Fail);
        assert_eq!(verdict(&LoadState::default(), None, 0), Verdict::Inconclusive);
        let mut open = load(300, 1, 0);
        open.thresholds.push(row(None));
        assert_eq!(verdict(&open, None, 0), Verdict::Inconclusive);
        open.thresholds[1].skipped = true;
        assert_eq!(verdict(&open, None, 0), Verdict::Pass);
    }

    #[test]
    fn load_that_was_not_there_proves_nothing() {
        let mut load = load(300, 1, 0);
        let iterations = |dropped| Iterations { finished: 980, dropped, ..Iterations::default() };
        load.iterations.insert("chat".into(), iterations(5));
        assert_eq!(verdict(&load, None, 0), Verdict::Pass);
        load.iterations.insert("chat".into(), iterations(20));
        assert_eq!(verdict(&load, None, 0), Verdict::Inconclusive);
    }

    #[test]
    fn a_late_or_overloaded_generator_blames_itself() {
        assert_eq!(verdict(&load(2100, 500, 0), None, 0), Verdict::Invalid);
        assert_eq!(verdict(&load(300, 1, 0), None, 11), Verdict::Invalid);
        assert_eq!(verdict(&load(15_000, 500, 0), None, 0), Verdict::Fail, "late by 3 % only");
    }

    #[test]
    fn requests_that_could_not_be_sent_make_it_invalid_and_not_the_target_bad() {
        let mut load = load(300, 1, 0);
        load.starved = 5;
        assert_eq!(verdict(&load, None, 0), Verdict::Pass);
        load.starved = 50;
        assert_eq!(verdict(&load, None, 0), Verdict::Invalid);
        let nothing = LoadState { starved: 3, ..LoadState::default() };
        assert_eq!(verdict(&nothing, None, 0), Verdict::Invalid);
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
