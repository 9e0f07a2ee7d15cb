//! Whether times that miss an objective may be the load generator's own doing.

use super::evaluation::seen_by;
use crate::config::Slo;
use crate::run::event::Measurements;
use crate::run::state::{LoadState, RunState, Standing};

/// Why the target is not to blame for times that are too long: a generator that was its own bottleneck
/// measured some of them, and what the other load phases measured meets the objective. None when the
/// target is to blame.
pub(super) fn own_doing(slo: &Slo, state: &RunState) -> Option<String> {
    if slo.store.is_some() {
        return every_load_was_invalid(state);
    }
    let (mut trusted, mut why) = (Measurements::default(), None);
    for load in state.phases.iter().filter_map(|phase| phase.load.as_ref()) {
        let measured = seen_by(load, slo);
        match bottleneck(load, &measured) {
            Some(reason) if measured.bad_for(slo) > 0 => why = Some(reason),
            _ => trusted.add(&measured),
        }
    }
    let (n, bad) = (trusted.requests(), trusted.bad_for(slo));
    let allowed = slo.allowed_bad().unwrap_or_default();
    let misses_alone = n > 0 && bad as f64 > allowed * n as f64;
    why.filter(|_| !misses_alone)
}

/// Stores are asked by the same engine on the same machine: when it was too slow for its own load all
/// the time, it was for them too.
fn every_load_was_invalid(state: &RunState) -> Option<String> {
    let loads = state.phases.iter().filter_map(|phase| phase.load.as_ref());
    let loads = loads.filter(|load| load.intervals > 0);
    let mut standings = loads.map(|load| match load.standing() {
        Standing::Invalid(reason) => Some(reason),
        _ => None,
    });
    let first = standings.next()??;
    standings.all(|reason| reason.is_some()).then_some(first)
}

/// Why a load phase's times may be its generator's own.
fn bottleneck(load: &LoadState, measured: &Measurements) -> Option<String> {
    match load.standing() {
        Standing::Sound => None,
        Standing::Invalid(reason) => Some(reason),
        ceiling @ Standing::Ceiling { .. } => ceiling
            .is_own_doing(measured.response.quantile(0.99)?)
            .then(|| Standing::OWN_DOING.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{LoadedSlos, PhaseKind, SHIPPED_SLOS, ServiceKind, StoreKind};
    use crate::run::event::{ErrorKind, SeriesKey, StoreSeries, Verdict};
    use crate::run::state::{PhaseState, StoreQueries};
    use crate::slo::evaluate;

    const SLOW: Duration = Duration::from_secs(5);
    const FAST: Duration = Duration::from_millis(50);

    /// A load phase whose answers took so long, and whose generator began so late.
    fn phase(kind: PhaseKind, took: Duration, late: Duration, failed: u64) -> PhaseState {
        let mut series = Measurements::default();
        series.response.record_us(took.as_micros() as u64, 10_000);
        series.errors = [(ErrorKind::Timeout, failed)].into();
        let key = SeriesKey { service: ServiceKind::Chat, scenario: "a".into(), step: "b".into() };
        let mut load = LoadState { intervals: 600, ..LoadState::default() };
        load.series = [(key, series)].into();
        load.lateness.record_us(late.as_micros() as u64, 10_000);
        PhaseState { load: Some(load), ..PhaseState::new(kind) }
    }

    fn verdict(id: &str, phases: Vec<PhaseState>) -> (Verdict, String) {
        let promises = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        let promises = Some(Box::new(promises));
        let mut slow = Measurements::default();
        slow.response.record_us(SLOW.as_micros() as u64, 10_000);
        let key = StoreSeries { kind: StoreKind::Redis, step: "get".into() };
        let asked = vec![(StoreKind::Redis, vec!["get".to_owned()])];
        let stores = StoreQueries { asked, series: [(key, slow)].into(), ..Default::default() };
        let all = evaluate(&RunState { promises, phases, stores, ..RunState::default() });
        let one = all.into_iter().find(|objective| objective.id == id).expect("shipped");
        (one.verdict, one.reason)
    }

    #[test]
    fn a_late_generator_does_not_make_the_target_slow() {
        let late = || phase(PhaseKind::Mixed, SLOW, SLOW, 0);
        let (judged, why) = verdict("p99", vec![late()]);
        assert_eq!(judged, Verdict::Invalid);
        assert!(why.starts_with("the generator was late"), "{why}");
        let fast = phase(PhaseKind::Ramping, FAST, Duration::ZERO, 0);
        assert_eq!(verdict("p99", vec![late(), fast]).0, Verdict::Invalid);
    }

    #[test]
    fn what_a_sound_generator_saw_stands_whatever_another_phase_was_like() {
        let sound = || phase(PhaseKind::Ramping, SLOW, Duration::ZERO, 0);
        assert_eq!(verdict("p99", vec![sound()]).0, Verdict::Fail);
        let late = phase(PhaseKind::Mixed, SLOW, SLOW, 0);
        assert_eq!(verdict("p99", vec![late, sound()]).0, Verdict::Fail);
        let harmless = phase(PhaseKind::Mixed, FAST, SLOW, 0);
        assert_eq!(verdict("p99", vec![harmless, sound()]).0, Verdict::Fail);
    }

    #[test]
    fn a_store_is_slow_where_any_generator_was_sound() {
        let late = |kind| phase(kind, FAST, SLOW, 0);
        let sound = phase(PhaseKind::Ramping, FAST, Duration::ZERO, 0);
        let both = vec![late(PhaseKind::Mixed), late(PhaseKind::Ramping)];
        assert_eq!(verdict("redis_p99", both).0, Verdict::Invalid);
        assert_eq!(verdict("redis_p99", vec![late(PhaseKind::Mixed), sound]).0, Verdict::Fail);
        assert_eq!(verdict("redis_p99", vec![]).0, Verdict::Fail, "no generator was there");
    }

    #[test]
    fn failures_are_never_the_generators_own() {
        let failing = phase(PhaseKind::Mixed, SLOW, SLOW, 1000);
        assert_eq!(verdict("error_rate", vec![failing]).0, Verdict::Fail);
    }
}
