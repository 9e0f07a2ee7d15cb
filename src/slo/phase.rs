//! The SLO phase: the objectives over everything that the load phases measured.

use std::pin::Pin;

use super::brake::broken;
use super::compliance;
use super::evaluation::{evaluate, with_whole_window};
use super::prometheus::Prometheus;
use crate::config::PhaseKind;
use crate::run::event::{EventBody, Objective, PhaseOutcome, Verdict, WholeWindow};
use crate::run::orchestrator::Judge;
use crate::run::phase::{Phase, PhaseContext, PhaseControl, Wish};
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

impl Phase for SloPhase {
    fn kind(&self) -> PhaseKind {
        PhaseKind::Slo
    }

    fn run(
        &self,
        mut context: PhaseContext,
    ) -> Pin<Box<dyn Future<Output = PhaseOutcome> + Send + '_>> {
        Box::pin(async move {
            let state = context.events.with_state(RunState::clone);
            let look = async {
                let controls = compliance::check(&context.config, &state).await;
                context.events.emit(EventBody::ControlsChecked { controls });
                whole_windows(&state).await
            };
            // Who wants the run to end does not wait for servers that do not answer.
            let whole = tokio::select! {
                whole = tokio::time::timeout(context.length, look) => whole.unwrap_or_default(),
                () = stopped(&mut context.control) => Vec::new(),
            };
            let mut objectives = context.events.with_state(evaluate);
            for (id, whole) in whole {
                if let Some(objective) = objectives.iter_mut().find(|one| one.id == id) {
                    with_whole_window(objective, whole);
                }
            }
            let outcome = outcome(&objectives);
            context.events.emit(EventBody::ObjectivesEvaluated { objectives });
            outcome
        })
    }
}

async fn stopped(control: &mut PhaseControl) {
    loop {
        match control.changed().await {
            Wish::Stop | Wish::StopNow => return,
            // Nothing of this is in anybody's way.
            Wish::Pause => control.paused(),
            Wish::Work => control.resumed(),
        }
    }
}

/// What the platform's own monitoring says about the objectives that it measures.
async fn whole_windows(state: &RunState) -> Vec<(String, WholeWindow)> {
    let Some(promises) = &state.promises else { return Vec::new() };
    let measured = promises.slos.iter().filter_map(|slo| Some((slo, slo.prometheus.as_ref()?)));
    let Some(source) = &promises.prometheus else { return Vec::new() };
    let prometheus = match Prometheus::new(source) {
        Ok(prometheus) => prometheus,
        Err(error) => {
            log::error!("{error}");
            return Vec::new();
        }
    };
    let mut whole = Vec::new();
    for (slo, sli) in measured {
        whole.push((slo.id.clone(), prometheus.whole_window(slo, sli).await));
    }
    whole
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
