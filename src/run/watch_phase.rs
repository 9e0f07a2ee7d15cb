//! One phase at work: its engine in a task of its own, operators' wishes handed to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;

use super::decide::{Effect, Ending, Situation};
use super::event::{EventBody, PhaseOutcome, Verdict};
use super::orchestrator::Orchestrator;
use super::phase::{Phase, PhaseCommand, PhaseContext, PhaseControl, PhaseControlHandle, Wish};
use crate::config::PhaseKind;

/// How often the objectives are evaluated while load runs.
const JUDGE_EVERY: Duration = Duration::from_secs(2);
/// How long a phase that was told to stop may take to heal and clean before it is told again.
const STOP_PATIENCE: Duration = Duration::from_secs(90);
/// How long it may take then, before it is given up.
const STOP_NOW_PATIENCE: Duration = Duration::from_secs(30);
/// How long a phase that was given up may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// What has been asked of the running phase.
struct Watched {
    kind: PhaseKind,
    handle: PhaseControlHandle,
    paused: bool,
    ending: Option<(Ending, String)>,
    /// When patience with a phase that was told to stop ends, and whether it was told twice.
    deadline: Option<(Instant, bool)>,
}

impl Orchestrator {
    pub(super) async fn run_phase(&mut self, engine: Arc<dyn Phase>) {
        let kind = engine.kind();
        let events = self.events.for_phase(kind);
        let length = self.events.with_state(|state| {
            Duration::from_micros(state.phase(kind).map_or(0, |phase| phase.planned_us))
        });
        events.emit(EventBody::PhaseStarted { planned_us: length.as_micros() as u64 });
        let (handle, control) = PhaseControl::new(events.clone());
        let context = PhaseContext {
            events: events.clone(),
            control,
            config: Arc::clone(&self.settings.config),
            run_id: self.settings.run_id.clone(),
            seed: self.settings.seed,
            length,
        };
        let mut work = tokio::spawn(async move { engine.run(context).await });
        let mut watched = Watched { kind, handle, paused: false, ending: None, deadline: None };
        let mut ticks = Self::judge_ticks();
        let measured = loop {
            let patience_ends = watched.deadline.map(|(at, _)| at);
            let inbound = tokio::select! {
                outcome = &mut work => break Some(outcome),
                inbound = self.hear() => inbound,
                _ = ticks.tick() => {
                    if kind.is_load() {
                        self.judge();
                        if self.threshold_breaks() {
                            watched.end(Ending::Broken, String::new(), "ended by a broken threshold");
                        }
                    }
                    None
                }
                () = sleep_until(patience_ends) => {
                    if watched.lose_patience() {
                        work.abort();
                        // Until it is gone it holds on to what it was doing.
                        let _ = tokio::time::timeout(GONE_WITHIN, &mut work).await;
                        break None;
                    }
                    None
                }
            };
            let effect = self.take_in(inbound, watched.situation());
            self.carry_to_phase(effect, &mut watched);
        };
        let broken = self.events.with_state(|state| state.broken_threshold.clone());
        let by_itself = matches!(measured, Some(Ok(_)));
        let mut outcome = watched.outcome(measured, broken);
        if !by_itself {
            let residue = self.assembly.healer.heal().await;
            if !residue.is_empty() {
                outcome.reason =
                    format!("{}; STILL BROKEN: {}", outcome.reason, residue.join(", "));
            }
        }
        events.emit(EventBody::PhaseFinished { outcome });
        if kind.is_load() {
            self.judge();
        }
    }

    /// Evaluates the objectives, and records them when they changed.
    fn judge(&self) {
        let changed = self.events.with_state(|state| {
            let objectives = self.assembly.judge.objectives(state);
            (objectives != state.objectives).then_some(objectives)
        });
        if let Some(objectives) = changed {
            self.events.emit(EventBody::ObjectivesEvaluated { objectives });
        }
    }

    /// Records the threshold that ends the load, where one is broken; returns whether one is.
    fn threshold_breaks(&self) -> bool {
        let broken = self.events.with_state(|state| {
            let known = state.broken_threshold.is_some();
            (!known).then(|| self.assembly.judge.broken(state)).flatten()
        });
        let Some((objective, reason)) = broken else { return false };
        self.events.emit(EventBody::ThresholdBroken { objective, reason });
        true
    }

    /// Fires whenever the objectives should be evaluated again.
    fn judge_ticks() -> tokio::time::Interval {
        let mut ticks = tokio::time::interval_at(Instant::now() + JUDGE_EVERY, JUDGE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        ticks
    }

    fn carry_to_phase(&mut self, effect: Option<Effect>, watched: &mut Watched) {
        match effect {
            Some(Effect::Pause) => {
                watched.paused = true;
                self.events.for_phase(watched.kind).emit(EventBody::Pausing {});
                watched.handle.want(Wish::Pause);
            }
            Some(Effect::Resume) => {
                watched.paused = false;
                self.events.for_phase(watched.kind).emit(EventBody::Resuming {});
                watched.handle.want(Wish::Work);
            }
            Some(Effect::EndPhase(ending)) => {
                let reason = match ending {
                    Ending::Skip => "skipped by an operator",
                    Ending::Abort | Ending::Broken => "aborted by an operator",
                };
                watched.end(ending, reason.to_owned(), reason);
            }
            Some(Effect::Phase(command)) => watched.pass_on(command),
            _ => {}
        }
        if let Some(reason) = &self.abort {
            watched.end(Ending::Abort, reason.clone(), &format!("the run was aborted: {reason}"));
            if self.fast {
                watched.hurry();
            }
        }
    }
}

impl Watched {
    const fn situation(&self) -> Situation {
        let load = self.kind.is_load();
        match (&self.ending, self.paused) {
            (Some(_), _) => Situation::Ending,
            (None, true) => Situation::PausedInPhase { load },
            (None, false) => Situation::Working { load },
        }
    }

    fn pass_on(&self, command: PhaseCommand) {
        if !self.handle.send(command) {
            log::warn!("{} took no command just now", self.kind);
        }
    }

    /// `by` is what the phase itself says of it.
    fn end(&mut self, ending: Ending, reason: String, by: &str) {
        // An abort of the run overrides a skip; nothing overrides an abort.
        let overrides = !matches!(self.ending, Some((Ending::Abort, _)));
        if self.ending.is_none() {
            self.handle.end(by);
            self.deadline = Some((Instant::now() + STOP_PATIENCE, false));
        }
        if overrides {
            self.ending = Some((ending, reason));
        }
    }

    fn hurry(&mut self) {
        if !matches!(self.deadline, Some((_, true))) {
            self.handle.want(Wish::StopNow);
            self.deadline = Some((Instant::now() + STOP_NOW_PATIENCE, true));
        }
    }

    /// Returns whether the phase is given up.
    fn lose_patience(&mut self) -> bool {
        let told_twice = matches!(self.deadline, Some((_, true)));
        if !told_twice {
            log::warn!("{} takes too long to stop; told again", self.kind);
            self.hurry();
        }
        told_twice
    }

    fn outcome(
        self,
        measured: Option<Result<PhaseOutcome, JoinError>>,
        broken: Option<String>,
    ) -> PhaseOutcome {
        let measured = match measured {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => {
                log::error!("the engine of {} crashed: {error}", self.kind);
                PhaseOutcome::new(Verdict::Invalid, format!("its engine crashed: {error}"))
            }
            None => {
                log::error!("{} did not stop and was given up", self.kind);
                return PhaseOutcome::new(Verdict::Aborted, "did not stop when told to; given up");
            }
        };
        // A phase that failed before it was ended has failed all the same.
        match self.ending {
            Some(_) if measured.verdict == Verdict::Fail => measured,
            Some((Ending::Skip, reason)) => PhaseOutcome::skipped_by_request(reason),
            Some((Ending::Abort, reason)) => PhaseOutcome::new(Verdict::Aborted, reason),
            Some((Ending::Broken, _)) => {
                PhaseOutcome::new(Verdict::Fail, format!("ended by {}", broken.unwrap_or_default()))
            }
            None => measured,
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
