//! What a command means at a given moment: a pure table, so that every refusal has its reason.

use super::control::{Command, one_line};
use super::phase::PhaseCommand;
use super::plan::Plan;
use super::state::{PhaseStatus, RunState};
use crate::config::PhaseKind;

/// Where the run stands when a command comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Situation {
    /// Nothing has been started.
    Ready,
    /// Waiting for an operator between two phases; why is in the state.
    Held,
    /// Paused between two phases.
    PausedBetween,
    /// Cooling down between two phases.
    Cooldown,
    /// A phase is at work.
    Working {
        /// Whether it drives load.
        load: bool,
    },
    /// A phase has been asked to hold.
    PausedInPhase {
        /// Whether it drives load.
        load: bool,
    },
    /// The running phase has been told to end.
    Ending,
}

/// Why a phase ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// An operator left the rest of it out.
    Skip,
    /// An operator or a signal aborted it.
    Abort,
    /// An objective's threshold is broken.
    Broken,
}

/// What an accepted command does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// The plan begins, with a phase of choice first.
    Start(Option<PhaseKind>),
    /// Work is held.
    Pause,
    /// A pause or hold ends.
    Resume,
    /// The running phase ends.
    EndPhase(Ending),
    /// The cooldown ends.
    EndCooldown,
    /// The phase for which the run is held is left out.
    SkipNext,
    /// The run ends; a second time, without waiting for work in flight.
    AbortRun {
        /// The signal that its client was sent, where no operator asked.
        signal: Option<String>,
    },
    /// The running phase gets a command.
    Phase(PhaseCommand),
    /// A remark is recorded.
    Annotate(String),
    /// The plan changes.
    ChangePlan(Plan),
    /// The run is armed.
    Arm,
    /// A report is written.
    WriteReport,
}

/// What the decision depends on besides the state.
pub(super) struct Facts<'a> {
    /// Where the run stands.
    pub situation: Situation,
    /// The state.
    pub state: &'a RunState,
    /// Whether the target has to be armed and is not.
    pub must_be_armed: bool,
}

/// Decides what a command does now, or says why it does nothing.
pub(super) fn decide(command: &Command, facts: &Facts<'_>) -> Result<Effect, String> {
    use Situation::{
        Cooldown, Ending as Closing, Held, PausedBetween, PausedInPhase, Ready, Working,
    };
    let situation = facts.situation;
    match command {
        Command::Start { phase } => start(*phase, facts),
        Command::Pause {} => match situation {
            Working { .. } | Cooldown => Ok(Effect::Pause),
            PausedInPhase { .. } | PausedBetween | Held => Err("the run holds already".into()),
            Ready => Err("nothing has been started yet".into()),
            Closing => Err("the phase is ending".into()),
        },
        Command::Resume {} => match situation {
            PausedInPhase { .. } | PausedBetween => Ok(Effect::Resume),
            Held if facts.must_be_armed => Err(must_arm(facts)),
            Held => Ok(Effect::Resume),
            _ => Err("nothing is paused".into()),
        },
        Command::SkipPhase {} => match situation {
            Working { .. } | PausedInPhase { .. } => Ok(Effect::EndPhase(Ending::Skip)),
            Cooldown => Ok(Effect::EndCooldown),
            Held => Ok(Effect::SkipNext),
            Ready | PausedBetween => Err("no phase is running: leave it out of the plan".into()),
            Closing => Err("the phase is ending already".into()),
        },
        Command::AbortPhase {} => match situation {
            Working { .. } | PausedInPhase { .. } => Ok(Effect::EndPhase(Ending::Abort)),
            _ => Err("no phase is running".into()),
        },
        Command::AbortRun { signal } => {
            let signal = signal.as_ref().map(|signal| one_line(signal, 20));
            Ok(Effect::AbortRun { signal })
        }
        Command::Rescale { scenario, by } => match situation {
            Working { load: true } | PausedInPhase { load: true } => {
                under_load(scenario.as_deref(), false, facts.state)?;
                Ok(Effect::Phase(PhaseCommand::Rescale { scenario: scenario.clone(), by: *by }))
            }
            _ => Err("no load is running".into()),
        },
        Command::ChangeRate { scenario, by_percent } => match situation {
            Working { load: true } | PausedInPhase { load: true } => {
                under_load(scenario.as_deref(), true, facts.state)?;
                let (scenario, by_percent) = (scenario.clone(), *by_percent);
                Ok(Effect::Phase(PhaseCommand::ChangeRate { scenario, by_percent }))
            }
            _ => Err("no load is running".into()),
        },
        Command::Heal {} => match facts.state.active_fault() {
            Some(_) => Ok(Effect::Phase(PhaseCommand::Heal)),
            None => Err("there is no fault to heal".into()),
        },
        Command::Annotate { text } => match one_line(text, 200).trim() {
            "" => Err("the remark is empty".into()),
            text => Ok(Effect::Annotate(text.to_owned())),
        },
        Command::MovePhase { phase, by } => move_phase(*phase, *by, facts.state),
        Command::PlanSkip { phase, skip } => plan_skip(*phase, *skip, facts.state),
        Command::Arm { name } => arm(name, facts.state),
        Command::WriteReport {} => Ok(Effect::WriteReport),
    }
}

fn start(phase: Option<PhaseKind>, facts: &Facts<'_>) -> Result<Effect, String> {
    if !matches!(facts.situation, Situation::Ready | Situation::Held) {
        return Err("the run has been started already".into());
    }
    if facts.must_be_armed {
        return Err(must_arm(facts));
    }
    if let Some(kind) = phase {
        pending(kind, facts.state)?;
    }
    match facts.situation {
        Situation::Ready => Ok(Effect::Start(phase)),
        _ => Ok(Effect::Resume),
    }
}

fn must_arm(facts: &Facts<'_>) -> String {
    let name = facts.state.identity.as_ref().map_or("", |identity| identity.target.as_str());
    format!("{name} is a production target: type its name to arm the run first")
}

fn arm(name: &str, state: &RunState) -> Result<Effect, String> {
    let target = state.identity.as_ref().map(|identity| identity.target.as_str());
    if target == Some(name) {
        Ok(Effect::Arm)
    } else {
        Err("this is not the target's name: nothing has been armed".into())
    }
}

/// Whether the running load has such a scenario, and users (or a rate of arrivals) to change in it.
fn under_load(scenario: Option<&str>, open: bool, state: &RunState) -> Result<(), String> {
    let load = state.running_phase().and_then(|phase| phase.load.as_ref());
    if load.is_some_and(|load| load.limit.is_some()) {
        return Err("the search for the largest rate chooses users and rates itself".into());
    }
    let Some(start) = load.and_then(|load| load.start.as_ref()) else { return Ok(()) };
    if start.engine != "built-in" {
        return Err(format!("{} cannot be changed while it runs", start.engine));
    }
    let wanted = start.scenarios.iter().filter(|(name, _)| scenario.is_none_or(|one| one == name));
    let kind = |name: &String| {
        let model = start.models.iter().find(|model| model.scenario == *name);
        model.map_or((false, false), |model| (model.open, model.counted))
    };
    let kinds: Vec<(bool, bool)> = wanted.map(|(name, _)| kind(name)).collect();
    if kinds.is_empty() {
        return Err(format!("no scenario `{}` is running", scenario.unwrap_or_default()));
    }
    if kinds.contains(&(open, false)) {
        return Ok(());
    }
    Err(match open {
        _ if kinds.iter().all(|(_, counted)| *counted) => {
            "so many flows by so many users were asked for: neither they nor a rate can be changed"
        }
        true => "its users are not driven by a rate: change their number",
        false => "its users follow the rate of arrivals: change the rate",
    }
    .into())
}

fn move_phase(kind: PhaseKind, by: i32, state: &RunState) -> Result<Effect, String> {
    pending(kind, state)?;
    let mut plan = state.plan.clone().ok_or("there is no plan")?;
    let from = plan.position(kind).ok_or("the phase is not in the plan")?;
    let shift = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    let to = if by < 0 { from.saturating_sub(shift) } else { from.saturating_add(shift) };
    let to = to.min(plan.phases.len() - 1);
    let between = &plan.phases[from.min(to)..=from.max(to)];
    for phase in between {
        pending(phase.kind, state)?;
    }
    if to == from {
        return Err(format!("{kind} is there already"));
    }
    let phase = plan.phases.remove(from);
    plan.phases.insert(to, phase);
    Ok(Effect::ChangePlan(plan))
}

fn plan_skip(kind: PhaseKind, skip: bool, state: &RunState) -> Result<Effect, String> {
    pending(kind, state)?;
    let mut plan = state.plan.clone().ok_or("there is no plan")?;
    let at = plan.position(kind).ok_or("the phase is not in the plan")?;
    plan.phases[at].skip = skip;
    Ok(Effect::ChangePlan(plan))
}

fn pending(kind: PhaseKind, state: &RunState) -> Result<(), String> {
    match state.phase(kind).map(|phase| phase.status) {
        Some(PhaseStatus::Pending) => Ok(()),
        Some(_) => Err(format!("{kind} has begun already")),
        None => Err(format!("{kind} is not in the plan")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceKind;
    use crate::run::event::{LimitReport, LoadStart, ScenarioModel};
    use crate::run::plan::PlannedPhase;
    use crate::run::state::{LoadState, PhaseState};

    fn state() -> RunState {
        let kinds = [PhaseKind::Mixed, PhaseKind::Ramping, PhaseKind::Slo];
        let planned = |kind| PlannedPhase { kind, length_us: 1, skip: false };
        let mut state = RunState {
            phases: kinds.map(PhaseState::new).to_vec(),
            plan: Some(Plan {
                name: "test".into(),
                note: None,
                phases: kinds.map(planned).to_vec(),
                cooldown_us: 0,
            }),
            ..RunState::default()
        };
        state.phases[0].status = PhaseStatus::Finished;
        state
    }

    fn asked(command: &Command, situation: Situation) -> Result<Effect, String> {
        decide(command, &Facts { situation, state: &state(), must_be_armed: false })
    }

    #[test]
    fn a_pause_needs_work_and_a_resume_needs_a_pause() {
        let working = Situation::Working { load: true };
        let paused = Situation::PausedInPhase { load: true };
        assert_eq!(asked(&Command::Pause {}, working), Ok(Effect::Pause));
        assert!(asked(&Command::Pause {}, paused).is_err());
        assert!(asked(&Command::Pause {}, Situation::Ready).is_err());
        assert_eq!(asked(&Command::Resume {}, paused), Ok(Effect::Resume));
        assert!(asked(&Command::Resume {}, working).is_err());
    }

    #[test]
    fn an_abort_is_never_refused() {
        for situation in [
            Situation::Ready,
            Situation::Held,
            Situation::PausedBetween,
            Situation::Cooldown,
            Situation::Working { load: false },
            Situation::PausedInPhase { load: false },
            Situation::Ending,
        ] {
            let asked = asked(&Command::ABORT_RUN, situation);
            assert_eq!(asked, Ok(Effect::AbortRun { signal: None }));
        }
    }

    #[test]
    fn nothing_starts_on_a_production_target_that_is_not_armed() {
        let facts = Facts { situation: Situation::Ready, state: &state(), must_be_armed: true };
        let refused = decide(&Command::Start { phase: None }, &facts);
        assert!(refused.is_err_and(|reason| reason.contains("production")));
    }

    /// What becomes of a wish for other users, and one for another rate, under a load of these models.
    fn changes(models: &[(bool, bool)], limit: Option<LimitReport>) -> [Result<(), String>; 2] {
        let mut state = state();
        let model = |(at, (open, counted)): (usize, &(bool, bool))| ScenarioModel {
            scenario: at.to_string(),
            words: String::new(),
            open: *open,
            counted: *counted,
            unpaced: false,
        };
        let models: Vec<ScenarioModel> = models.iter().enumerate().map(model).collect();
        let start = LoadStart {
            engine: "built-in".into(),
            threads: 1,
            scenarios: models.iter().map(|m| (m.scenario.clone(), ServiceKind::Chat)).collect(),
            left_out: Vec::new(),
            models,
            clock: None,
        };
        state.phases[0].status = PhaseStatus::Running;
        state.phases[0].load =
            Some(LoadState { start: Some(start), limit, ..LoadState::default() });
        [false, true].map(|open| under_load(None, open, &state))
    }

    #[test]
    fn what_an_operator_cannot_change_is_refused_with_the_reason() {
        let [closed, open, counted] = [(false, false), (true, false), (false, true)];
        assert_eq!(changes(&[closed, open, counted], None), [Ok(()), Ok(())]);
        for (models, limit, words) in [
            (vec![open, counted], None, ["follow the rate", ""]),
            (vec![closed, counted], None, ["", "not driven by a rate"]),
            (vec![counted], None, ["so many flows by so many users"; 2]),
            (vec![open], Some(LimitReport::default()), ["the search for the largest rate"; 2]),
        ] {
            for (told, words) in changes(&models, limit).into_iter().zip(words) {
                let told = told.err().unwrap_or_default();
                assert_eq!(told.is_empty(), words.is_empty(), "{models:?}: {told}");
                assert!(told.contains(words), "{models:?}: {told}");
            }
        }
    }

    #[test]
    fn only_phases_that_have_not_begun_can_be_moved_or_left_out() {
        let moved = |phase, by| asked(&Command::MovePhase { phase, by }, Situation::Ready);
        let Ok(Effect::ChangePlan(plan)) = moved(PhaseKind::Slo, -1) else { panic!("refused") };
        assert_eq!(plan.position(PhaseKind::Slo), Some(1));
        assert!(moved(PhaseKind::Slo, -2).is_err(), "jumped over a phase that has begun");
        assert!(moved(PhaseKind::Mixed, 1).is_err());
        assert!(moved(PhaseKind::Slo, 5).is_err(), "it is the last already");
        assert!(moved(PhaseKind::Slo, i32::MIN).is_err());
        let skip = Command::PlanSkip { phase: PhaseKind::Mixed, skip: true };
        assert!(asked(&skip, Situation::Ready).is_err());
    }
}
