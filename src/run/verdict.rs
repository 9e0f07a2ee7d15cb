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
    use crate::config::PhaseKind;
    use crate::run::event::PhaseOutcome;

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
}
