//! The overall verdict: the worst of the planned phases.

use super::event::{RunVerdict, Verdict};
use super::state::{PhaseState, PhaseStatus, RunState};

/// The verdict of a run that has come to its end.
pub fn of_run(state: &RunState) -> RunVerdict {
    let mut overall = RunVerdict { verdict: Verdict::Pass, reasons: vec![], without: vec![] };
    let mut passed = 0;
    for phase in &state.phases {
        let Some((verdict, reason)) = of_phase(phase) else {
            overall.without.push(phase.kind);
            overall.reasons.extend(still_counts(phase));
            continue;
        };
        passed += usize::from(verdict == Verdict::Pass);
        if verdict != Verdict::Pass {
            overall.reasons.push(format!("{}: {reason}", phase.kind));
        }
        overall.verdict = overall.verdict.max(verdict);
    }
    if passed == 0 && overall.verdict == Verdict::Pass {
        overall.verdict = Verdict::Inconclusive;
        overall.reasons.push("no phase ran".into());
    }
    overall
}

/// The verdict of a run whose engine died: what was measured stands, the run itself was aborted.
pub fn of_interrupted(state: &RunState) -> RunVerdict {
    let mut verdict = of_run(state);
    verdict.verdict = Verdict::Aborted;
    verdict.reasons.insert(0, "the engine ended without finishing the run".into());
    verdict
}

/// A phase that was skipped after it had begun is left out of the verdict, and what it had measured or
/// broken is not forgotten. So it is said.
fn still_counts(phase: &PhaseState) -> Option<String> {
    if let Some(chaos) = phase.chaos.as_ref().filter(|chaos| !chaos.results.is_empty()) {
        let failed = chaos.results.iter().filter(|it| it.verdict == Verdict::Fail).count();
        return Some(format!(
            "chaos was skipped after {} experiments, of which {failed} failed: its report has them",
            chaos.results.len()
        ));
    }
    let requests = phase.load.as_ref()?.totals(None).measured.requests();
    let seconds = phase.elapsed_us(phase.finished_us?) / 1_000_000;
    let planned = phase.planned_us / 1_000_000;
    (requests > 0).then(|| {
        format!(
            "{} was skipped after {seconds} s of {planned} s; the {requests} requests that it had \
             measured count in the objectives",
            phase.kind
        )
    })
}

/// What a phase adds to the verdict; none for a phase that was left out by request.
fn of_phase(phase: &PhaseState) -> Option<(Verdict, String)> {
    match (&phase.outcome, phase.status) {
        (Some(outcome), _) if outcome.verdict == Verdict::Skipped => (!outcome.by_request)
            .then(|| (Verdict::Inconclusive, format!("skipped: {}", outcome.reason))),
        (Some(outcome), _) => Some((outcome.verdict, outcome.reason.clone())),
        (None, PhaseStatus::Pending) if phase.skip_requested => None,
        (None, PhaseStatus::Pending) => Some((Verdict::Aborted, "did not run".into())),
        (None, _) => Some((Verdict::Aborted, "did not end".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PhaseKind, ServiceKind};
    use crate::run::event::{Measurements, PhaseOutcome, SeriesKey};
    use crate::run::state::LoadState;

    fn state(outcomes: &[(PhaseKind, Option<PhaseOutcome>)]) -> RunState {
        let phase = |(kind, outcome): &(PhaseKind, Option<PhaseOutcome>)| PhaseState {
            outcome: outcome.clone(),
            ..PhaseState::new(*kind)
        };
        RunState { phases: outcomes.iter().map(phase).collect(), ..RunState::default() }
    }

    fn outcome(verdict: Verdict) -> Option<PhaseOutcome> {
        Some(PhaseOutcome::new(verdict, "because"))
    }

    #[test]
    fn the_worst_phase_decides() {
        use Verdict::{Aborted, Fail, Inconclusive, Invalid, Pass};
        for (one, other, expected) in [
            (Pass, Pass, Pass),
            (Pass, Inconclusive, Inconclusive),
            (Invalid, Inconclusive, Invalid),
            (Fail, Invalid, Fail),
            (Fail, Aborted, Aborted),
        ] {
            let state =
                state(&[(PhaseKind::Mixed, outcome(one)), (PhaseKind::Slo, outcome(other))]);
            assert_eq!(of_run(&state).verdict, expected, "{one} and {other}");
        }
    }

    #[test]
    fn a_phase_skipped_by_request_is_named_and_one_that_is_missing_decides_nothing() {
        let by_request = Some(PhaseOutcome::skipped_by_request("asked"));
        let named = of_run(&state(&[
            (PhaseKind::Mixed, outcome(Verdict::Pass)),
            (PhaseKind::Chaos, by_request),
        ]));
        assert_eq!(named.to_string(), "pass (without chaos)");
        let missing = of_run(&state(&[
            (PhaseKind::Mixed, outcome(Verdict::Pass)),
            (PhaseKind::Chaos, outcome(Verdict::Skipped)),
        ]));
        assert_eq!(missing.verdict, Verdict::Inconclusive);
    }

    #[test]
    fn nothing_run_is_no_pass() {
        assert_eq!(of_run(&RunState::default()).verdict, Verdict::Inconclusive);
        let pending = state(&[(PhaseKind::Mixed, None)]);
        assert_eq!(of_run(&pending).verdict, Verdict::Aborted);
    }

    #[test]
    fn a_load_phase_skipped_on_its_way_says_that_its_requests_count() {
        let mut load = LoadState::default();
        let mut measured = Measurements::default();
        measured.response.record_us(1000, 7);
        let (scenario, step) = ("chat".into(), "completion".into());
        load.series.insert(SeriesKey { service: ServiceKind::Chat, scenario, step }, measured);
        let outcome_of = PhaseOutcome::skipped_by_request("skipped by an operator");
        let mut state = state(&[
            (PhaseKind::Mixed, Some(outcome_of)),
            (PhaseKind::Slo, outcome(Verdict::Pass)),
        ]);
        let mixed = &mut state.phases[0];
        (mixed.started_us, mixed.finished_us) = (Some(0), Some(5_000_000));
        (mixed.planned_us, mixed.load) = (60_000_000, Some(load));
        let verdict = of_run(&state);
        assert_eq!((verdict.verdict, verdict.without), (Verdict::Pass, vec![PhaseKind::Mixed]));
        assert!(
            verdict.reasons[0].contains("after 5 s of 60 s; the 7 requests"),
            "{:?}",
            verdict.reasons
        );
    }
}
