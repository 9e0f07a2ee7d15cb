//! Objectives against measurements. Only samples of the load phases count: what chaos breaks on
//! purpose is judged by its own score, and no request is sent during a pause.

use std::time::Duration;

use super::own_doing::own_doing;
use super::shares::share;
use super::throughput;
use crate::config::{PhaseKind, Slo, SloDefinitions, SloKind};
use crate::run::event::{Measurements, Objective, Verdict, WholeWindow};
use crate::run::state::{LoadState, RunState};

/// Evaluates every objective of a run; none by a search for the limit.
pub fn evaluate(state: &RunState) -> Vec<Objective> {
    let Some(promises) = state.promises.as_ref().filter(|_| !state.is_search()) else {
        return Vec::new();
    };
    let row = |(at, slo)| one(at, slo, promises, state);
    let mut rows: Vec<Objective> = promises.slos.iter().enumerate().map(row).collect();
    // What the platform's own monitoring said is asked for once, not computed.
    for row in &mut rows {
        let before = state.objectives.iter().find(|before| before.id == row.id);
        if let Some(whole) = before.and_then(|before| before.whole_window.clone()) {
            with_whole_window(row, whole);
        }
    }
    rows
}

/// Adds what the platform's own monitoring says: a whole window that is not met is not met.
pub(super) fn with_whole_window(objective: &mut Objective, whole: WholeWindow) {
    if whole.verdict == Verdict::Fail {
        objective.verdict = Verdict::Fail;
        objective.reason = format!("over {}: {}", whole.window, whole.reason);
    }
    objective.whole_window = Some(whole);
}

fn one(at: usize, slo: &Slo, promises: &SloDefinitions, state: &RunState) -> Objective {
    if let Some((verdict, why)) = slo.store.as_deref().and_then(|name| not_asked(name, state)) {
        return unmeasured(slo, verdict, &why);
    }
    let seen = seen(slo, state);
    match slo.kind {
        SloKind::Availability | SloKind::ErrorRate => share(at, slo, promises, &seen, state),
        SloKind::Latency => unless_own_doing(share(at, slo, promises, &seen, state), slo, state),
        SloKind::Longest => unless_own_doing(longest(slo, &seen), slo, state),
        SloKind::Throughput => throughput::judge(slo, state),
        SloKind::DataLoss => data_loss(slo, state),
    }
}

/// A time that is missed where only a generator that was its own bottleneck saw it says nothing about
/// the target.
fn unless_own_doing(objective: Objective, slo: &Slo, state: &RunState) -> Objective {
    if objective.verdict != Verdict::Fail {
        return objective;
    }
    match own_doing(slo, state) {
        Some(reason) => Objective { verdict: Verdict::Invalid, reason, ..objective },
        None => objective,
    }
}

/// Why a store was not asked, where it was not.
fn not_asked(name: &str, state: &RunState) -> Option<(Verdict, String)> {
    let stores = &state.stores;
    if stores.asked.iter().any(|(kind, _)| kind.name() == name) {
        return None;
    }
    let left_out = stores.left_out.iter().find(|(kind, _)| kind.name() == name);
    Some(match left_out {
        Some((_, why)) => (Verdict::Inconclusive, why.clone()),
        None => (Verdict::Skipped, format!("no `stores.{name}` was there to be asked during load")),
    })
}

/// What was measured of what an objective speaks of.
pub(super) fn seen(slo: &Slo, state: &RunState) -> Measurements {
    let mut seen = Measurements::default();
    if let Some(store) = &slo.store {
        for (key, series) in &state.stores.series {
            let step = slo.step.as_ref().is_none_or(|step| *step == key.step);
            if key.kind.name() == store && step {
                seen.add(series);
            }
        }
        return seen;
    }
    let loads = state.phases.iter().filter_map(|phase| phase.load.as_ref());
    loads.for_each(|load| seen.add(&seen_by(load, slo)));
    seen
}

/// What one load phase measured of what an objective speaks of.
pub(super) fn seen_by(load: &LoadState, slo: &Slo) -> Measurements {
    let mut seen = Measurements::default();
    for (key, series) in &load.series {
        if slo.is_of(key.service, &key.step) {
            seen.add(series);
        }
    }
    seen
}

fn longest(slo: &Slo, seen: &Measurements) -> Objective {
    let (n, bad) = (seen.requests(), seen.bad_for(slo));
    let verdict = match (n, bad) {
        (0, _) => Verdict::Inconclusive,
        (_, 0) => Verdict::Pass,
        _ => Verdict::Fail,
    };
    Objective {
        measured: seen.response.max().map_or_else(|| "-".into(), words),
        n,
        bad,
        verdict,
        reason: if n == 0 { "nothing was measured".into() } else { String::new() },
        method: "the longest response time of all requests, failed ones too".into(),
        ..named(slo)
    }
}

fn data_loss(slo: &Slo, state: &RunState) -> Objective {
    let phase = state.phase(PhaseKind::Backup);
    if let Some(drill) = phase.and_then(|phase| phase.backup.as_ref())
        && let Some(lost) = drill.lost()
    {
        return Objective {
            measured: format!("{lost} records"),
            n: drill.compared(),
            bad: lost,
            verdict: if lost == 0 { Verdict::Pass } else { Verdict::Fail },
            method: "every record of every drilled store, compared after its restore".into(),
            ..named(slo)
        };
    }
    let asked = phase.is_some_and(|phase| !phase.skip_requested);
    let why = if asked { "no drill has shown it" } else { "the drill was left out" };
    let verdict = if asked { Verdict::Inconclusive } else { Verdict::Skipped };
    unmeasured(slo, verdict, why)
}

pub(super) fn unmeasured(slo: &Slo, verdict: Verdict, why: &str) -> Objective {
    Objective { measured: "-".into(), verdict, reason: why.into(), ..named(slo) }
}

pub(super) fn named(slo: &Slo) -> Objective {
    Objective {
        id: slo.id.clone(),
        objective: asked(slo),
        measured: String::new(),
        n: 0,
        bad: 0,
        verdict: Verdict::Inconclusive,
        reason: String::new(),
        bound: String::new(),
        method: String::new(),
        gate: slo.gate,
        budget: None,
        whole_window: None,
    }
}

/// What is asked for, in words.
pub fn asked(slo: &Slo) -> String {
    let below = || slo.below.map_or_else(|| "?".into(), |below| words(below.get()));
    match slo.kind {
        SloKind::Availability => format!("≥ {} %", slo.objective_percent.unwrap_or_default()),
        SloKind::ErrorRate => format!("< {} %", slo.below_percent.unwrap_or_default()),
        SloKind::Latency | SloKind::Longest => format!("< {}", below()),
        SloKind::Throughput => format!("≥ {}/s", slo.at_least_per_second.unwrap_or_default()),
        SloKind::DataLoss => "0 records".into(),
    }
}

pub(super) fn words(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, SHIPPED_SLOS, ServiceKind};
    use crate::run::event::{ErrorKind, LimitReport, SeriesKey};
    use crate::run::state::PhaseState;
    use crate::slo::test_load::{measure, run_of};

    fn measured(n: u64, latency_us: u64, errors: &[(ErrorKind, u64)]) -> RunState {
        let mut series = Measurements::default();
        series.response.record_us(latency_us, n);
        series.errors = errors.iter().copied().collect();
        let key = SeriesKey {
            service: ServiceKind::Chat,
            scenario: "chat".into(),
            step: "completion".into(),
        };
        let mut phase = PhaseState::new(PhaseKind::Mixed);
        let load = LoadState {
            series: [(key, series)].into(),
            measured_us: 600_000_000,
            ..LoadState::default()
        };
        phase.load = Some(load);
        let promises = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        RunState { promises: Some(Box::new(promises)), phases: vec![phase], ..RunState::default() }
    }

    fn verdict(state: &RunState, id: &str) -> (Verdict, String) {
        let all = evaluate(state);
        let one = all.iter().find(|objective| objective.id == id).expect("defined");
        (one.verdict, one.reason.clone())
    }

    fn primary(state: &RunState) -> [Verdict; 3] {
        ["availability", "p99", "error_rate"].map(|id| verdict(state, id).0)
    }

    #[test]
    fn a_healthy_platform_passes_and_too_few_samples_say_what_is_missing() {
        assert_eq!(primary(&measured(10_000, 300_000, &[])), [Verdict::Pass; 3]);
        assert_eq!(primary(&measured(100, 300_000, &[])), [Verdict::Inconclusive; 3]);
        let (_, why) = verdict(&measured(100, 300_000, &[]), "p99");
        assert_eq!(why, "100 samples: 299 without a bad one decide");
        assert_eq!(verdict(&measured(0, 1, &[]), "p99").1, "nothing was measured");
    }

    #[test]
    fn no_objective_is_judged_by_a_search_for_the_limit() {
        let mut state = measured(10_000, 300_000, &[(ErrorKind::Timeout, 5000)]);
        assert_eq!(verdict(&state, "availability").0, Verdict::Fail);
        state.phases[0].load.as_mut().expect("there").limit = Some(LimitReport::default());
        assert_eq!(evaluate(&state), []);
    }

    #[test]
    fn refusals_count_as_errors_but_not_as_unavailability() {
        let refused = measured(10_000, 300_000, &[(ErrorKind::ClientStatus, 100)]);
        assert_eq!(primary(&refused), [Verdict::Pass, Verdict::Pass, Verdict::Fail]);
        let down = measured(10_000, 300_000, &[(ErrorKind::Timeout, 100)]);
        assert_eq!(primary(&down), [Verdict::Fail, Verdict::Pass, Verdict::Fail]);
    }

    #[test]
    fn two_seconds_are_not_below_two_seconds() {
        assert_eq!(verdict(&measured(10_000, 2_000_000, &[]), "p99").0, Verdict::Fail);
        assert_eq!(verdict(&measured(10_000, 1_990_000, &[]), "p99").0, Verdict::Pass);
    }

    #[test]
    fn only_the_service_that_an_objective_names_counts() {
        let chat = measured(10_000, 5_000_000, &[]);
        assert_eq!(verdict(&chat, "chat_p99").0, Verdict::Fail);
        assert_eq!(
            verdict(&chat, "mcp_p99"),
            (Verdict::Inconclusive, "nothing was measured".into())
        );
        assert_eq!(verdict(&chat, "redis_p99").0, Verdict::Skipped, "no store is asked");
    }

    /// Seconds of load, each with as many requests, of which some time out.
    fn load(
        seconds: std::ops::Range<u64>,
        requests: u64,
        failing: impl Fn(u64) -> u64,
    ) -> RunState {
        let promises = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        let mut state = run_of(promises);
        for second in seconds {
            measure(&mut state, (1, second + 1), (requests, 100_000), failing(second));
        }
        state
    }

    #[test]
    fn five_bad_minutes_of_an_hour_are_not_averaged_away() {
        // 2 % for five minutes is 0.17 % of an hour.
        let burst = |second: u64| u64::from((1800..2100).contains(&second)) * 2;
        let state = load(0..3600, 100, burst);
        let all = evaluate(&state);
        let rate = all.iter().find(|objective| objective.id == "error_rate").expect("defined");
        assert_eq!(rate.verdict, Verdict::Fail, "{rate:#?}");
        assert!(rate.bound.starts_with("worst 5m of 12: 600 of 30000"), "{}", rate.bound);
        assert_eq!(rate.measured, "0.17 %");
        assert_eq!(verdict(&load(0..3600, 100, |_| 0), "error_rate").0, Verdict::Pass);
    }

    #[test]
    fn a_window_with_too_few_samples_decides_nothing_whatever_the_others_say() {
        // An hour has enough requests, five minutes of it have not.
        let state = load(0..3600, 1, |_| 0);
        assert_eq!(
            verdict(&state, "error_rate"),
            (Verdict::Inconclusive, "a window of 300 samples: 598 without a bad one decide".into())
        );
    }

    #[test]
    fn a_run_shorter_than_a_window_is_taken_as_a_whole() {
        let state = load(0..240, 100, |_| 0);
        assert_eq!(verdict(&state, "error_rate").0, Verdict::Pass);
    }
}
