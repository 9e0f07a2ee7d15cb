//! What the phase would do, without doing it.

use std::time::Duration;

use super::budget::Known;
use super::phase::runtime_of;
use super::plan::{self, Experiment, least_of, missing_uptime};
use super::runtime::{Fault, Runtime, RuntimeError, Target};
use crate::config::{Chaos, Config, SloDefinitions};
use crate::run::error_budget::ErrorBudget;
use crate::run::state::RunState;

/// Every target that is found, every fault that would be injected and what would undo it, in lines.
/// `length` is the phase's time box. Nothing is changed.
///
/// # Errors
/// When the runtime cannot be reached.
pub async fn dry_run(
    config: &Config,
    promises: SloDefinitions,
    seed: u64,
    length: Duration,
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
    let walk = Walk { runtime: &*runtime, chaos: &config.chaos, faults: 0, passed: Duration::ZERO };
    lines.extend(walk.through(&targets, seed, length).await);
    lines.push("nothing has been changed".into());
    Ok(lines)
}

/// Goes through the plan as the phase does: its faults are numbered, and its time passes.
struct Walk<'a> {
    runtime: &'a dyn Runtime,
    chaos: &'a Chaos,
    /// Faults so far.
    faults: u32,
    /// The least time that everything so far takes.
    passed: Duration,
}

impl Walk<'_> {
    async fn through(mut self, targets: &[Target], seed: u64, length: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        let planned = plan::experiments(self.chaos, targets, seed);
        for (number, planned) in (1..).zip(&planned) {
            match planned {
                Ok(experiment) => {
                    lines.push(format!("experiment {number}: {}", experiment.title));
                    lines.extend(self.experiment(experiment, length).await);
                }
                Err((kind, why)) => {
                    lines.push(format!("experiment {number}: {kind}: not made: {why}"));
                }
            }
        }
        lines
    }

    async fn experiment(&mut self, experiment: &Experiment, length: Duration) -> Vec<String> {
        let needed = experiment.least_time(self.chaos);
        if self.passed + needed > length {
            return vec![format!("  not made: {}", plan::out_of_time(needed))];
        }
        self.passed += self.chaos.steady.baseline.get();
        let notes = experiment.notes.iter();
        let mut lines: Vec<String> = notes.map(|note| format!("  note: {note}")).collect();
        for (target, fault) in &experiment.strikes {
            lines.push(format!("  {}", fault.words(target)));
            lines.extend(self.waits(target, fault));
            self.passed += least_of(fault);
            self.faults += 1;
            let token = plan::token("RUN", self.faults);
            match self.runtime.prepare(target, fault, &token).await {
                Ok(prepared) => {
                    lines.push(format!("    done: {}", prepared.deed));
                    lines.push(format!("    undo: {}", prepared.undo_words));
                    let prediction = prepared.prediction.iter();
                    lines.extend(prediction.map(|words| format!("    expected: {words}")));
                }
                Err(error) => {
                    lines.push(format!("    not possible, and ends the experiment: {error}"));
                    break;
                }
            }
        }
        lines
    }

    /// What is waited for before a fault, if its target stays up until then; that passes too.
    fn waits(&mut self, target: &Target, fault: &Fault) -> Option<String> {
        let missing = missing_uptime(self.chaos, target.instance.uptime + self.passed, fault);
        self.passed += missing;
        (!missing.is_zero()).then(|| {
            format!(
                "    first: waits {:.0} s until it has been up for {} s (chaos.kill.min_uptime); if it \
                 does not stay up, it is not killed",
                missing.as_secs_f64().ceil(),
                self.chaos.kill.min_uptime.get().as_secs()
            )
        })
    }
}

fn standing(target: &Target) -> String {
    let why = match (&target.excluded, &target.unkillable) {
        (Some(why), _) => format!("left alone: {why}"),
        (None, Some(why)) => format!("not killed: {why}"),
        (None, None) => "may be broken".into(),
    };
    format!("  {:<24} {why}", target.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::runtime::told::Told;
    use crate::config::{ExperimentKind, ServiceKind, TimeSpan};

    async fn lines(chaos: &Chaos, told: &Told, length: Duration) -> String {
        let targets = told.targets().await.expect("told");
        let walk = Walk { runtime: told, chaos, faults: 0, passed: Duration::ZERO };
        walk.through(&targets, 1, length).await.join("\n")
    }

    fn chaos() -> Chaos {
        Chaos {
            experiments: vec![ExperimentKind::Kill, ExperimentKind::Partition],
            depends_on: [(ServiceKind::Rag, vec![ServiceKind::Chat])].into(),
            ..Chaos::default()
        }
    }

    #[tokio::test]
    async fn faults_are_numbered_through_the_phase_and_what_is_too_young_is_waited_for() {
        let mut told = Told::serving(&[ServiceKind::Chat, ServiceKind::Rag]);
        for target in &mut told.targets {
            target.instance.uptime = Duration::from_millis(2500);
        }
        let after = |min_uptime| {
            let kill =
                crate::config::Kill { min_uptime: TimeSpan::secs(min_uptime), ..chaos().kill };
            Chaos { kill, ..chaos() }
        };
        let said = lines(&after(30), &told, Duration::from_secs(900)).await;
        for number in 1..=3 {
            let token = format!("done: by shakedown-RUN-{number}\n");
            assert_eq!(format!("{said}\n").matches(&token).count(), 1, "{said}");
        }
        // By then the platform was measured for 15 s; the second kill comes after the first one's wait.
        assert_eq!(said.matches("waits 13 s until it has been up for 30 s").count(), 1, "{said}");
        assert_eq!(said.matches("waits").count(), 1, "{said}");
        let said = lines(&after(17), &told, Duration::from_secs(900)).await;
        assert!(!said.contains("waits"), "{said}");
    }

    #[tokio::test]
    async fn what_the_phase_would_have_no_time_for_is_not_said_to_be_done() {
        let told = Told::serving(&[ServiceKind::Chat, ServiceKind::Rag]);
        // The kills take 17 s at least, the cut 46 s.
        let said = lines(&chaos(), &told, Duration::from_secs(62)).await;
        assert!(said.contains("not made: it needs 46 s, and the phase's time is over"), "{said}");
        let said = lines(&chaos(), &told, Duration::from_secs(63)).await;
        assert!(!said.contains("not made"), "{said}");
    }

    #[tokio::test]
    async fn a_fault_that_cannot_be_made_ends_its_experiment_here_too() {
        let mut told = Told::serving(&[ServiceKind::Chat, ServiceKind::Rag]);
        told.refuses = true;
        let said = lines(&chaos(), &told, Duration::from_secs(900)).await;
        assert_eq!(said.matches("not possible, and ends the experiment").count(), 2, "{said}");
    }
}
