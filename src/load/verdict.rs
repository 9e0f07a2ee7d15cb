//! What a load phase's measurements amount to.

use super::thresholds::words;
use crate::run::event::{LimitReport, PhaseOutcome, SeriesKey, ThresholdRow, Verdict};
use crate::run::state::{Judged, LoadState, Standing};

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
/// The same of requests that nobody can send.
const UNSENDABLE_PERCENT: f64 = 1.0;

/// The outcome of a phase.
pub fn outcome(load: &LoadState, early: Option<EarlyEnd>) -> PhaseOutcome {
    if let Some(limit) = &load.limit {
        return of_search(limit, early.as_ref());
    }
    if let Some(EarlyEnd::Guard(reason)) = early {
        return PhaseOutcome::new(Verdict::Fail, format!("stopped by its guard: {reason}"));
    }
    let totals = load.totals(None).measured;
    if totals.requests() + load.starved == 0 {
        let why = early.map(|early| early.reason().to_owned()).or_else(|| unsendable(load));
        let why = why.map_or_else(String::new, |why| format!("{why}: "));
        let reason = format!("{why}no request was finished");
        return PhaseOutcome::new(Verdict::Inconclusive, reason);
    }
    let standing = load.standing();
    if let Standing::Invalid(reason) = standing {
        return PhaseOutcome::new(Verdict::Invalid, reason);
    }
    let judged = load.judged(&standing);
    let broken = join(&judged, |judged| matches!(judged, Judged::Broken));
    let own = join(&judged, |judged| matches!(judged, Judged::Invalid(_)));
    if !broken.is_empty() {
        let stopped = matches!(early, Some(EarlyEnd::Threshold(_)));
        let early = if stopped { "stopped early: " } else { "" };
        return PhaseOutcome::new(Verdict::Fail, format!("{early}{broken}"));
    }
    if totals.failed() > 0 && totals.failed() == totals.requests() {
        let reason = format!("not one of {} requests succeeded", totals.requests());
        return PhaseOutcome::new(Verdict::Fail, reason);
    }
    if let Some((_, judged)) =
        judged.iter().find(|(_, judged)| matches!(judged, Judged::Invalid(_)))
    {
        let reason = format!("{own}; but {}", judged.reason());
        return PhaseOutcome::new(Verdict::Invalid, reason);
    }
    if let Some(cleanup) = load.cleanup.as_ref().filter(|cleanup| cleanup.remaining_count > 0) {
        let reason = format!("{} documents could not be removed", cleanup.remaining_count);
        return PhaseOutcome::new(Verdict::Fail, reason);
    }
    if let Some(EarlyEnd::Cap(reason) | EarlyEnd::Threshold(reason)) = early {
        return PhaseOutcome::new(Verdict::Inconclusive, reason);
    }
    if let Some(reason) = undecided(load, &judged) {
        return PhaseOutcome::new(Verdict::Inconclusive, reason);
    }
    let (n, failed) = (totals.requests(), totals.failed());
    let ceiling = match standing {
        Standing::Ceiling { .. } => "; the rate is the generator's ceiling, not the target's",
        _ => "",
    };
    let thresholds = match judged.is_empty() {
        true => "no threshold is set",
        false if judged.iter().any(|(row, _)| row.skipped) => {
            "every threshold that was measured held"
        }
        false => "every threshold held",
    };
    let reason = format!("{n} requests, {failed} failed, {thresholds}{ceiling}");
    PhaseOutcome::new(Verdict::Pass, reason)
}

/// The outcome of a search for the largest sustained rate: finding it is what it is for.
fn of_search(limit: &LimitReport, early: Option<&EarlyEnd>) -> PhaseOutcome {
    let words = limit.words();
    match (&limit.invalid, early) {
        (Some(reason), _) => {
            let reason = format!("{reason} at {:.1} flows/s; the platform {words}", limit.rate);
            PhaseOutcome::new(Verdict::Invalid, reason)
        }
        (None, _) if limit.complete && limit.sustained.is_none() => {
            PhaseOutcome::new(Verdict::Fail, words)
        }
        (None, _) if limit.complete && limit.sustained <= Some(0.0) => {
            let reason = format!("too few flows ended to say a rate, take longer steps: {words}");
            PhaseOutcome::new(Verdict::Inconclusive, reason)
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
fn undecided(load: &LoadState, judged: &[(&ThresholdRow, Judged)]) -> Option<String> {
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
    if let Some(reason) = unsendable(load).or_else(|| cut_short(load)) {
        return Some(reason);
    }
    // One that was skipped decides nothing; where all of them were, nothing is decided.
    let all_skipped = judged.iter().all(|(row, _)| row.skipped);
    let open = judged.iter().filter_map(|(row, judged)| match judged {
        Judged::Open(why) => Some((row, why)),
        Judged::Skipped(why) if all_skipped => Some((row, why)),
        _ => None,
    });
    let open = open.map(|(row, why)| format!("{}: {} ({why})", row.metric, row.expression));
    let open = open.collect::<Vec<_>>().join("; ");
    (!open.is_empty()).then(|| format!("not decided: {open}"))
}

/// Why so many requests could not be sent that the load which was asked for was not there.
fn unsendable(load: &LoadState) -> Option<String> {
    let (n, requests) = (load.unsendable, load.totals(None).measured.requests());
    let percent = n as f64 * 100.0 / (n + requests).max(1) as f64;
    (percent > UNSENDABLE_PERCENT).then(|| {
        format!(
            "{n} requests ({percent:.1} %) could not be sent by anybody, for a path or a header that is \
             none (the log shows one): the load that was asked for was not there"
        )
    })
}

/// Which requests were cut off of whose times too little is known to say how slow they are.
fn cut_short(load: &LoadState) -> Option<String> {
    let cut = load.series.iter().filter_map(|(key, series)| Some((key, series.cut_short()?)));
    let words = |(key, n): (&SeriesKey, u64)| format!("{n} of {}: {}", key.scenario, key.step);
    let cut = cut.map(words).collect::<Vec<_>>().join(", ");
    (!cut.is_empty()).then(|| {
        format!(
            "requests had no answer yet when their users had to leave, and are in no figure ({cut}): a \
             longer graceful stop waits for them"
        )
    })
}

/// The thresholds that amount to this, in words.
fn join(judged: &[(&ThresholdRow, Judged)], amounts: impl Fn(&Judged) -> bool) -> String {
    let rows = judged.iter().filter(|(_, judged)| amounts(judged)).map(|(row, _)| words(row));
    rows.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceKind;
    use crate::run::event::{
        CleanupReport, ErrorKind, Iterations, LoadStart, Measurements, ScenarioModel,
    };

    fn row(holds: Option<bool>) -> ThresholdRow {
        ThresholdRow::of("response_time", "p(99)<2s", holds, "2100 ms")
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

    fn verdict(load: &LoadState, early: Option<EarlyEnd>) -> Verdict {
        outcome(load, early).verdict
    }

    #[test]
    fn thresholds_decide() {
        assert_eq!(verdict(&load(300, 1, 0), None), Verdict::Pass);
        assert_eq!(verdict(&load(2100, 1, 0), None), Verdict::Fail);
        assert_eq!(verdict(&LoadState::default(), None), Verdict::Inconclusive);
        let capped = outcome(&LoadState::default(), Some(EarlyEnd::Cap("the cap".into())));
        assert_eq!(capped.reason, "the cap: no request was finished");
        let mut open = load(300, 1, 0);
        open.thresholds.push(row(None));
        assert_eq!(verdict(&open, None), Verdict::Inconclusive);
        open.thresholds[1].skipped = true;
        assert_eq!(verdict(&open, None), Verdict::Pass);
        open.thresholds.remove(0);
        let nothing_decided = outcome(&open, None);
        assert_eq!(nothing_decided.verdict, Verdict::Inconclusive);
        assert!(nothing_decided.reason.contains("no samples"), "{}", nothing_decided.reason);
    }

    #[test]
    fn a_phase_without_thresholds_does_not_pass_on_failures_alone() {
        let mut load = load(300, 1, 999);
        load.thresholds.clear();
        let passed = outcome(&load, None);
        assert_eq!(passed.verdict, Verdict::Pass);
        assert_eq!(passed.reason, "1000 requests, 999 failed, no threshold is set");
        load.series
            .values_mut()
            .for_each(|series| *series.errors.values_mut().next().expect("one") = 1000);
        let outcome = outcome(&load, None);
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert_eq!(outcome.reason, "not one of 1000 requests succeeded");
    }

    #[test]
    fn load_that_was_not_there_proves_nothing() {
        let mut load = load(300, 1, 0);
        let iterations = |dropped| Iterations { finished: 980, dropped, ..Iterations::default() };
        load.iterations.insert("chat".into(), iterations(5));
        assert_eq!(verdict(&load, None), Verdict::Pass);
        load.iterations.insert("chat".into(), iterations(20));
        assert_eq!(verdict(&load, None), Verdict::Inconclusive);
    }

    #[test]
    fn requests_that_were_cut_off_while_they_were_slow_leave_it_open() {
        let with_cut_off = |n: u64, after_ms: u64| {
            let mut load = load(300, 1, 0);
            let series = load.series.values_mut().next().expect("one");
            series.cut_off.record_us(after_ms * 1000, n);
            outcome(&load, None)
        };
        assert_eq!(
            with_cut_off(50, 200).verdict,
            Verdict::Pass,
            "they were no slower than the others"
        );
        assert_eq!(
            with_cut_off(5, 5000).verdict,
            Verdict::Pass,
            "the P99 is the same without them"
        );
        let open = with_cut_off(20, 5000);
        assert_eq!(open.verdict, Verdict::Inconclusive);
        assert!(open.reason.contains("20 of chat: s"), "{}", open.reason);
    }

    #[test]
    fn a_late_or_overloaded_generator_blames_itself() {
        assert_eq!(verdict(&load(2100, 500, 0), None), Verdict::Invalid);
        assert_eq!(verdict(&load(15_000, 500, 0), None), Verdict::Fail, "late by 3 % only");
    }

    /// Users without think time, and what broke while they used the generator's core up.
    fn at_the_ceiling(metric: &str, own_ms: u64) -> Verdict {
        let mut load = load(100, 1, 0);
        load.busy_intervals = 100;
        load.start = Some(LoadStart {
            engine: "built-in".into(),
            threads: 1,
            scenarios: Vec::new(),
            left_out: Vec::new(),
            models: vec![ScenarioModel {
                scenario: "chat".into(),
                words: "50 users".into(),
                open: false,
                counted: false,
                unpaced: true,
            }],
            clock: None,
        });
        load.loop_lateness.record_us(own_ms * 1000, 1000);
        if !metric.is_empty() {
            load.thresholds.push(ThresholdRow { metric: metric.into(), ..row(Some(false)) });
        }
        verdict(&load, None)
    }

    #[test]
    fn a_generator_at_its_ceiling_blames_the_target_for_nothing_that_may_be_its_own() {
        assert_eq!(at_the_ceiling("", 2), Verdict::Pass);
        assert_eq!(at_the_ceiling("http_reqs", 2), Verdict::Invalid);
        assert_eq!(at_the_ceiling("response_time{scenario:chat}", 15), Verdict::Invalid);
        assert_eq!(at_the_ceiling("response_time{scenario:chat}", 2), Verdict::Fail);
        assert_eq!(at_the_ceiling("http_req_failed", 15), Verdict::Fail);
    }

    #[test]
    fn requests_that_could_not_be_sent_make_it_invalid_and_not_the_target_bad() {
        let mut load = load(300, 1, 0);
        load.starved = 5;
        assert_eq!(verdict(&load, None), Verdict::Pass);
        load.starved = 50;
        assert_eq!(verdict(&load, None), Verdict::Invalid);
        let nothing = LoadState { starved: 3, ..LoadState::default() };
        assert_eq!(verdict(&nothing, None), Verdict::Invalid);
    }

    #[test]
    fn requests_that_nobody_can_send_leave_it_open() {
        let mut load = load(300, 1, 0);
        load.unsendable = 3;
        assert_eq!(verdict(&load, None), Verdict::Pass);
        load.unsendable = 50;
        assert_eq!(verdict(&load, None), Verdict::Inconclusive);
        let nothing = LoadState { unsendable: 3, ..LoadState::default() };
        let open = outcome(&nothing, None);
        assert_eq!(open.verdict, Verdict::Inconclusive);
        assert!(open.reason.contains("could not be sent by anybody"), "{}", open.reason);
    }

    #[test]
    fn a_guard_fails_and_a_cap_leaves_it_open() {
        assert_eq!(verdict(&load(300, 1, 0), Some(EarlyEnd::Guard("x".into()))), Verdict::Fail);
        assert_eq!(
            verdict(&load(300, 1, 0), Some(EarlyEnd::Cap("x".into()))),
            Verdict::Inconclusive
        );
    }

    #[test]
    fn what_could_not_be_removed_is_no_pass() {
        let mut load = load(300, 1, 0);
        load.cleanup = Some(CleanupReport { remaining_count: 1, ..CleanupReport::default() });
        assert_eq!(verdict(&load, None), Verdict::Fail);
    }
}
