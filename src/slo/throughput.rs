//! Objectives on how much is borne.

use std::time::Duration;

use super::confidence::bounds;
use super::evaluation::named;
use crate::config::{Slo, SloKind};
use crate::run::event::{Objective, Verdict};
use crate::run::state::{HistoryPoint, RunState};

/// A stretch of load as long as has to be kept up.
#[derive(Clone, Copy, Default)]
struct Kept {
    requests: u64,
    errors: u64,
    length: Duration,
}

impl Kept {
    fn good(&self) -> f64 {
        self.requests.saturating_sub(self.errors) as f64 / self.length.as_secs_f64()
    }

    fn asked(&self) -> f64 {
        self.requests as f64 / self.length.as_secs_f64()
    }
}

/// The highest rate that was kept up for as long as is asked, in steps of the recorded history.
pub(super) fn judge(slo: &Slo, state: &RunState) -> Objective {
    let wanted = slo.at_least_per_second.unwrap_or(0.0);
    let sustain = slo.sustain.map_or(Duration::ZERO, |sustain| sustain.get());
    let (mut stretches, mut n) = (Vec::new(), 0);
    for load in state.phases.iter().filter_map(|phase| phase.load.as_ref()) {
        let service = slo.service.and_then(|service| load.history.get(&service));
        let points: Vec<_> = service.into_iter().flatten().collect();
        n += points.iter().map(|point| point.requests).sum::<u64>();
        stretches.extend((0..points.len()).filter_map(|from| kept(&points[from..], sustain)));
    }
    let best = stretches.iter().map(Kept::good).max_by(f64::total_cmp);
    let busiest = stretches.iter().max_by(|a, b| a.asked().total_cmp(&b.asked()));
    let (verdict, reason) = match (best, busiest) {
        (Some(good), _) if good >= wanted => (Verdict::Pass, String::new()),
        (Some(_), Some(busiest)) if busiest.asked() >= wanted => not_borne(slo, busiest, state),
        // Whether more could be borne is not known.
        (Some(_), _) => (Verdict::Inconclusive, "the load did not ask for more".into()),
        (None, _) => {
            (Verdict::Inconclusive, format!("no {} s of load in a row", sustain.as_secs()))
        }
    };
    Objective {
        measured: best.map_or_else(|| "-".into(), |best| format!("{best:.1}/s")),
        n,
        verdict,
        reason,
        method: format!(
            "the highest rate of good answers over {} s in a row of a load phase; a failure where as \
             much was asked for and more failed than the error rate allows",
            sustain.as_secs()
        ),
        ..named(slo)
    }
}

/// The stretch from the first point on that is long enough.
fn kept(points: &[&HistoryPoint], sustain: Duration) -> Option<Kept> {
    let mut kept = Kept::default();
    for point in points {
        kept.requests += point.requests;
        kept.errors += point.errors;
        kept.length += Duration::from_micros(point.length_us);
        if kept.length >= sustain {
            return Some(kept);
        }
    }
    None
}

/// Enough was asked for. It is a failure where the platform is proven to fail more of it than it may;
/// else a little more load might have brought enough good answers.
fn not_borne(slo: &Slo, busiest: &Kept, state: &RunState) -> (Verdict, String) {
    let Kept { requests, errors, .. } = *busiest;
    let said = format!("{:.1}/s were asked for, {errors} of {requests} failed", busiest.asked());
    let promises = state.promises.as_ref();
    let rates = promises.iter().flat_map(|promises| &promises.slos).filter(|rate| {
        rate.kind == SloKind::ErrorRate
            && rate.store.is_none()
            && rate.service.is_none_or(|service| Some(service) == slo.service)
    });
    let allowed = rates.filter_map(Slo::allowed_bad).reduce(f64::max);
    let proven = promises.zip(allowed).is_some_and(|(promises, allowed)| {
        bounds(errors, requests, promises.confidence).lower > allowed
    });
    let verdict = if proven { Verdict::Fail } else { Verdict::Inconclusive };
    (verdict, said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, PhaseKind, SHIPPED_SLOS, ServiceKind};
    use crate::run::state::{LoadState, PhaseState};

    #[test]
    fn throughput_has_to_be_kept_up() {
        let promises = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        let slo = promises.slos.iter().find(|slo| slo.id == "chat_throughput").expect("shipped");
        let judged = |requests: u64, errors: u64, seconds: u64| {
            let point = |at| HistoryPoint {
                at_us: at * 1_000_000,
                length_us: 1_000_000,
                requests,
                errors,
                ..HistoryPoint::default()
            };
            let mut phase = PhaseState::new(PhaseKind::Mixed);
            let history = [(ServiceKind::Chat, (0..seconds).map(point).collect())].into();
            phase.load = Some(LoadState { history, ..LoadState::default() });
            let promises = Some(Box::new(promises.clone()));
            judge(slo, &RunState { phases: vec![phase], promises, ..RunState::default() })
        };
        let with = |requests, seconds| judged(requests, 0, seconds).verdict;
        assert_eq!(with(25, 90), Verdict::Pass);
        assert_eq!(with(25, 30), Verdict::Inconclusive, "not for long enough");
        assert_eq!(with(10, 90), Verdict::Inconclusive, "less was offered");
        let failing = judged(25, 20, 90);
        assert_eq!(failing.verdict, Verdict::Fail, "enough was offered");
        assert_eq!(failing.reason, "25.0/s were asked for, 1200 of 1500 failed");
        assert_eq!(failing.measured, "5.0/s");
        assert_eq!(judged(21, 2, 90).verdict, Verdict::Fail, "19.0 of 21.0, 9.5 % failed");
        assert_eq!(judged(10, 10, 90).verdict, Verdict::Inconclusive, "it was not asked for");
    }
}
