//! What the phase would do, without doing it.

use super::budget::Known;
use super::phase::runtime_of;
use super::plan;
use super::runtime::{RuntimeError, Target};
use crate::config::{Config, SloDefinitions};
use crate::run::error_budget::ErrorBudget;
use crate::run::state::RunState;

/// Every target that is found, every fault that would be injected and what would undo it, in lines.
/// Nothing is changed.
///
/// # Errors
/// When the runtime cannot be reached.
pub async fn dry_run(
    config: &Config,
    promises: SloDefinitions,
    seed: u64,
    budget: &dyn ErrorBudget,
) -> Result<Vec<String>, RuntimeError> {
    let runtime = runtime_of(&config.chaos).await?;
    let targets = runtime.targets().await?;
    let mut lines = vec![
        format!("runtime {}, {} targets found", runtime.name(), targets.len()),
        format!("seed {seed}: a run with --seed {seed} makes this choice"),
    ];
    lines.extend(targets.iter().map(standing));
    if let Some(floor) = config.chaos.budget_floor_percent {
        let state = RunState { promises: Some(Box::new(promises)), ..RunState::default() };
        let refusal = Known::look(config, &state, budget).await.refusal(floor);
        lines.push(match refusal {
            Some(why) => format!("chaos alone would be refused now: {why}"),
            None => format!("at least {floor} % of the error budget are left"),
        });
    }
    for (at, planned) in plan::experiments(&config.chaos, &targets, seed).iter().enumerate() {
        match planned {
            Ok(experiment) => {
                lines.push(format!("experiment {}: {}", at + 1, experiment.title));
                lines.extend(experiment.notes.iter().map(|note| format!("  note: {note}")));
                for (number, (target, fault)) in experiment.strikes.iter().enumerate() {
                    let token = format!("shakedown-RUN-{}", number + 1);
                    lines.push(format!("  {}", fault.words(target)));
                    match runtime.prepare(target, fault, &token).await {
                        Ok(prepared) => {
                            lines.push(format!("    done: {}", prepared.deed));
                            lines.push(format!("    undo: {}", prepared.undo_words));
                            let prediction = prepared.prediction.iter();
                            lines.extend(prediction.map(|words| format!("    expected: {words}")));
                        }
                        Err(error) => lines.push(format!("    not possible: {error}")),
                    }
                }
            }
            Err((kind, why)) => {
                lines.push(format!("experiment {}: {kind}: not made: {why}", at + 1))
            }
        }
    }
    lines.push("nothing has been changed".into());
    Ok(lines)
}

fn standing(target: &Target) -> String {
    let why = match (&target.excluded, &target.unkillable) {
        (Some(why), _) => format!("left alone: {why}"),
        (None, Some(why)) => format!("not killed: {why}"),
        (None, None) => "may be broken".into(),
    };
    format!("  {:<24} {why}", target.name)
}
