//! The SLO phase: the objectives over everything that the load phases measured.

use async_trait::async_trait;

use super::brake::broken;
use super::compliance;
use super::evaluation::{evaluate, with_whole_window};
use super::prometheus::whole_windows;
use crate::config::PhaseKind;
use crate::run::assembly::Judge;
use crate::run::event::{EventBody, Objective, PhaseOutcome, Verdict};
use crate::run::phase::{Phase, PhaseContext};
use crate::run::state::RunState;

/// Evaluates the objectives while load runs.
pub struct SloJudge;

impl Judge for SloJudge {
    fn objectives(&self, state: &RunState) -> Vec<Objective> {
        evaluate(state)
    }

    fn broken(&self, state: &RunState) -> Option<(String, String)> {
        broken(state)
    }
}

/// The SLO phase.
pub struct SloPhase;

#[async_trait]
impl Phase for SloPhase {
    fn kind(&self) -> PhaseKind {
        PhaseKind::Slo
    }

    async fn run(&self, mut context: PhaseContext) -> PhaseOutcome {
        let state = context.events.with_state(RunState::clone);
        let look = async {
            let controls = compliance::check(&context.config, &state).await;
            context.events.emit(EventBody::ControlsChecked { controls });
            match &state.promises {
                Some(promises) => whole_windows(promises, |_| true).await,
                None => Vec::new(),
            }
        };
        // Who wants the run to end does not wait for servers that do not answer.
        let whole = tokio::select! {
            whole = tokio::time::timeout(context.length, look) => whole.unwrap_or_default(),
            () = context.control.stopped() => Vec::new(),
        };
        let mut objectives = context.events.with_state(evaluate);
        for (slo, whole) in whole {
            if let Some(objective) = objectives.iter_mut().find(|one| one.id == slo.id) {
                with_whole_window(objective, whole);
            }
        }
        let outcome = outcome(&objectives);
        context.events.emit(EventBody::ObjectivesEvaluated { objectives });
        outcome
    }
}

fn outcome(objectives: &[Objective]) -> PhaseOutcome {
    // Of objectives that are no gates only a proven failure counts.
    let counts =
        |o: &&Objective| o.verdict == Verdict::Fail || (o.gate && o.verdict != Verdict::Skipped);
    let counted: Vec<&Objective> = objectives.iter().filter(counts).collect();
    let verdict = counted.iter().map(|o| o.verdict).max().unwrap_or(Verdict::Inconclusive);
    // What decides comes first: lines are cut at their end.
    let mut missed: Vec<&Objective> =
        counted.into_iter().filter(|o| o.verdict != Verdict::Pass).collect();
    missed.sort_by_key(|o| std::cmp::Reverse(o.verdict));
    let words: Vec<String> = missed
        .iter()
        .map(|o| {
            let why = if o.reason.is_empty() { &o.bound } else { &o.reason };
            let Objective { id, measured, objective, n, verdict, .. } = o;
            format!("{id} {measured} (asked {objective}, n {n}): {verdict}: {why}")
        })
        .collect();
    let reason = if words.is_empty() { "every gate is met".into() } else { words.join("; ") };
    PhaseOutcome::new(verdict, reason)
}
