//! Objectives on how much is borne.

use std::time::Duration;

use super::evaluation::named;
use crate::config::Slo;
use crate::run::event::{Objective, Verdict};
use crate::run::state::RunState;

/// The highest rate that was kept up for as long as is asked, in steps of the recorded history.
pub(super) fn judge(slo: &Slo, state: &RunState) -> Objective {
    let wanted = slo.at_least_per_second.unwrap_or(0.0);
    let sustain = slo.sustain.map_or(Duration::ZERO, |sustain| sustain.get());
    let mut best: Option<f64> = None;
    let mut n = 0;
    for load in state.phases.iter().filter_map(|phase| phase.load.as_ref()) {
        let service = slo.service.and_then(|service| load.history.get(&service));
        let points: Vec<_> = service.into_iter().flatten().collect();
        n += points.iter().map(|point| point.requests).sum::<u64>();
        for from in 0..points.len() {
            let (mut requests, mut errors, mut length) = (0, 0, Duration::ZERO);
            for point in &points[from..] {
                requests += point.requests;
                errors += point.errors;
                length += Duration::from_micros(point.length_us);
                if length >= sustain {
                    let good = requests.saturating_sub(errors) as f64 / length.as_secs_f64();
                    best = Some(best.map_or(good, |best: f64| best.max(good)));
                    break;
                }
            }
        }
    }
    let enough = best.is_some_and(|best| best >= wanted);
    // Less than is asked for was offered; whether more could be borne is not known.
    let reason = match best {
        None => format!("no {} s of load in a row", sustain.as_secs()),
        Some(_) if !enough => "the load did not ask for more".into(),
        Some(_) => String::new(),
    };
    Objective {
        measured: best.map_or_else(|| "-".into(), |best| format!("{best:.1}/s")),
        n,
        verdict: if enough { Verdict::Pass } else { Verdict::Inconclusive },
        reason,
        method: format!(
            "the highest rate of good answers over {} s in a row of a load phase",
            sustain.as_secs()
        ),
        ..named(slo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, PhaseKind, SHIPPED_SLOS, ServiceKind};
    use crate::run::state::{HistoryPoint, LoadState, PhaseState};

    #[test]
    fn throughput_has_to_be_kept_up() {
        let promises = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        let slo = promises.slos.iter().find(|slo| slo.id == "chat_throughput").expect("shipped");
        let with = |requests: u64, seconds: u64| {
            let point = |at| HistoryPoint {
                at_us: at * 1_000_000,
                length_us: 1_000_000,
                requests,
                ..HistoryPoint::default()
            };
            let mut phase = PhaseState::new(PhaseKind::Mixed);
            let history = [(ServiceKind::Chat, (0..seconds).map(point).collect())].into();
            phase.load = Some(LoadState { history, ..LoadState::default() });
            judge(slo, &RunState { phases: vec![phase], ..RunState::default() }).verdict
        };
        assert_eq!(with(25, 90), Verdict::Pass);
        assert_eq!(with(25, 30), Verdict::Inconclusive, "not for long enough");
        assert_eq!(with(10, 90), Verdict::Inconclusive, "less was offered");
    }
}
