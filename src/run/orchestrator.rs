//! The orchestrator: takes the plan phase by phase, and operators' wishes at any moment.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::assembly::{Assembly, Inbound, Settings, Steady};
use super::clock::PlanClock;
use super::companion::{Companions, Stage};
use super::decide::{Effect, Facts, Situation, decide};
use super::event::{EventBody, PhaseOutcome, RunVerdict};
use super::plan::LEFT_OUT;
use super::recorder::EventSink;
use super::state::{PhaseStatus, RunState};
use super::verdict;
use crate::config::{Environment, OnDetach, PhaseKind};

/// Takes a run from its first phase to its verdict.
pub struct Orchestrator {
    pub(super) assembly: Assembly,
    pub(super) settings: Settings,
    pub(super) events: EventSink,
    inbox: mpsc::Receiver<Inbound>,
    pub(super) operators: watch::Receiver<u32>,
    /// Why the run is being aborted; how often it was asked for decides how fast.
    pub(super) abort: Option<String>,
    pub(super) fast: bool,
}

/// What waiting between two phases ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Go,
    SkipNext,
    Abort,
}

impl Orchestrator {
    /// Puts a run together. `RunCreated` must be in `events` already.
    pub fn new(
        assembly: Assembly,
        settings: Settings,
        events: EventSink,
        inbox: mpsc::Receiver<Inbound>,
        operators: watch::Receiver<u32>,
    ) -> Self {
        Self { assembly, settings, events, inbox, operators, abort: None, fast: false }
    }

    /// Runs the plan to its end and returns the verdict. The last event and the report are written.
    pub async fn run(mut self) -> RunVerdict {
        if self.settings.armed && self.settings.config.target.environment == Environment::Production
        {
            self.arm("--arm".to_owned());
        }
        if self.settings.autostart && !self.must_be_armed() {
            self.events.emit(EventBody::RunStarted {});
        } else {
            self.wait_for_start().await;
        }
        self.wait_for_first_operator().await;
        let Settings { config, run_id, .. } = &self.settings;
        let begun = self.events.with_state(|state| state.started_us.is_some());
        let companions: &[_] = if begun { &self.assembly.companions } else { &[] };
        let companions = Companions::start(companions, &self.events, config, run_id);
        loop {
            self.heed_the_journal();
            let Some(kind) = self.next_phase().filter(|_| self.abort.is_none()) else { break };
            if let Some(reason) = self.reason_to_hold(kind) {
                match self.hold(reason).await {
                    Wait::Go => {}
                    Wait::SkipNext => self.pass_over(kind, "skipped while the run was held"),
                    Wait::Abort => break,
                }
                continue;
            }
            let ran = self.take_phase(kind).await;
            if ran && self.abort.is_none() && self.something_to_cool_for() {
                self.cool_down().await;
            }
        }
        self.finish(companions).await
    }

    async fn finish(self, mut companions: Companions) -> RunVerdict {
        companions.reach(Stage::Closing).await;
        let mut verdict = self.events.with_state(verdict::of_run);
        if let Some(reason) = &self.abort {
            verdict.verdict = super::event::Verdict::Aborted;
            verdict.reasons.insert(0, format!("aborted: {reason}"));
        }
        self.events.emit(EventBody::RunFinished { verdict: verdict.clone() });
        companions.reach(Stage::Over).await;
        // The last event stands in the report, so the report comes after it; the engine's log tells
        // of a report that could not be written, and the journal can always build it again.
        if let Err(reason) = self.write_report() {
            log::error!("cannot write the report: {reason}");
        }
        verdict
    }

    /// The next phase to run, after passing over those that are left out.
    fn next_phase(&self) -> Option<PhaseKind> {
        loop {
            let next = self.events.with_state(|state| {
                let pending =
                    |phase: &&super::state::PhaseState| phase.status == PhaseStatus::Pending;
                state.phases.iter().find(pending).map(|phase| (phase.kind, phase.skip_requested))
            });
            let broken = self.events.with_state(|state| state.broken_threshold.clone());
            match (next?, broken) {
                ((kind, true), _) => self.pass_over(kind, LEFT_OUT),
                ((kind, false), Some(broken)) if kind != PhaseKind::Slo => {
                    self.pass_over(kind, &format!("left out: {broken}"));
                }
                ((kind, false), _) => return Some(kind),
            }
        }
    }

    fn pass_over(&self, kind: PhaseKind, reason: &str) {
        let outcome = PhaseOutcome::skipped_by_request(reason);
        self.events.for_phase(kind).emit(EventBody::PhaseFinished { outcome });
    }

    /// Runs a phase, or records why it cannot run; returns whether it did anything.
    async fn take_phase(&mut self, kind: PhaseKind) -> bool {
        let engine = self.assembly.phases.iter().find(|(of, _)| *of == kind);
        let engine = engine.map_or_else(|| Err("no engine".into()), |(_, e)| e.clone());
        match engine {
            Ok(engine) => {
                self.run_phase(engine).await;
                self.events.with_state(|state| {
                    let outcome = state.phase(kind).and_then(|phase| phase.outcome.as_ref());
                    !outcome.is_some_and(PhaseOutcome::could_not_run)
                })
            }
            Err(reason) => {
                let outcome = PhaseOutcome::new(super::event::Verdict::Skipped, reason);
                self.events.for_phase(kind).emit(EventBody::PhaseFinished { outcome });
                false
            }
        }
    }

    fn something_to_cool_for(&self) -> bool {
        let engines = &self.assembly.phases;
        self.events.with_state(|state| {
            state.phases.iter().any(|phase| {
                phase.status == PhaseStatus::Pending
                    && !phase.skip_requested
                    && phase.kind != PhaseKind::Slo
                    && engines.iter().any(|(kind, engine)| *kind == phase.kind && engine.is_ok())
            })
        })
    }

    pub(super) fn must_be_armed(&self) -> bool {
        self.settings.config.target.environment == Environment::Production && !self.settings.armed
    }

    fn arm(&mut self, by: String) {
        self.settings.armed = true;
        self.events.emit(EventBody::Armed { by });
    }

    /// Waits for whatever comes next from outside; none when only the number of operators changed.
    pub(super) async fn hear(&mut self) -> Option<Inbound> {
        tokio::select! {
            biased;
            inbound = self.inbox.recv() => Some(inbound.unwrap_or_else(|| Inbound::Stop {
                reason: "the engine's inbox is closed".into(),
            })),
            Ok(()) = self.operators.changed() => {
                self.operators_changed();
                None
            }
        }
    }

    fn operators_changed(&mut self) {
        let attached = *self.operators.borrow_and_update();
        self.events.emit(EventBody::Operators { attached });
        // Who has asked for an abort and leaves does not ask for it again, which would hurry it.
        let abort = self.settings.on_detach == OnDetach::Abort && self.abort.is_none();
        if attached == 0 && abort {
            self.abort_run("the last operator went, and the run was told to abort then");
        }
    }

    pub(super) fn abort_run(&mut self, reason: &str) {
        self.fast = self.abort.is_some();
        if self.abort.is_none() {
            self.abort = Some(reason.to_owned());
            self.events.emit(EventBody::Aborting { reason: reason.to_owned() });
        }
    }

    /// A run that leaves no record does not go on.
    fn heed_the_journal(&mut self) {
        if let Some(error) = self.events.journal_error()
            && self.abort.is_none()
        {
            self.abort_run(&format!("the journal is lost: {error}"));
        }
    }

    /// Decides about what was heard, acknowledges it, and carries out what is the same everywhere.
    /// Returns what is left to do for the caller.
    pub(super) fn take_in(&mut self, inbound: Option<Inbound>, now: Situation) -> Option<Effect> {
        self.heed_the_journal();
        let (id, client, command) = match inbound? {
            Inbound::Stop { reason } => {
                self.abort_run(&reason);
                return None;
            }
            Inbound::Command { id, client, command } => (id, client, command),
        };
        let must_be_armed = self.must_be_armed();
        let decided = self
            .events
            .with_state(|state| decide(&command, &Facts { situation: now, state, must_be_armed }));
        match decided {
            Ok(effect) => {
                self.events.emit(EventBody::CommandAccepted {
                    id,
                    client: client.clone(),
                    command,
                });
                self.carry_out(effect, client)
            }
            Err(reason) => {
                self.events.emit(EventBody::CommandRefused { id, client, command, reason });
                None
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, client: String) -> Option<Effect> {
        match effect {
            Effect::AbortRun { signal: None } => {
                self.abort_run(&format!("asked for by {client}"));
            }
            Effect::AbortRun { signal: Some(signal) } => {
                self.abort_run(&format!("signal {signal} to {client}"));
            }
            Effect::Annotate(text) => self.events.emit(EventBody::Annotation { client, text }),
            Effect::ChangePlan(plan) => self.events.emit(EventBody::PlanChanged { plan }),
            Effect::Arm => self.arm(client),
            Effect::WriteReport => match self.write_report() {
                Ok(path) => {
                    let path = path.display().to_string();
                    self.events.emit(EventBody::ReportWritten { path });
                }
                Err(reason) => log::error!("cannot write the report: {reason}"),
            },
            other => return Some(other),
        }
        None
    }

    fn reason_to_hold(&self, kind: PhaseKind) -> Option<String> {
        if self.must_be_armed() && kind != PhaseKind::Slo {
            return Some(format!("{kind} needs the production target to be armed"));
        }
        let unwatched = *self.operators.borrow() == 0;
        (unwatched && self.settings.on_detach == OnDetach::Hold && kind.is_destructive())
            .then(|| format!("nobody watches, and {kind} is next"))
    }

    async fn hold(&mut self, reason: String) -> Wait {
        self.events.emit(EventBody::Held { reason });
        let wait = self.wait_in(Situation::Held).await;
        self.events.emit(EventBody::Released {});
        wait
    }

    async fn wait_in(&mut self, situation: Situation) -> Wait {
        loop {
            let inbound = self.hear().await;
            match self.take_in(inbound, situation) {
                Some(Effect::Resume) => return Wait::Go,
                Some(Effect::SkipNext) => return Wait::SkipNext,
                _ if self.abort.is_some() => return Wait::Abort,
                _ => {}
            }
        }
    }

    async fn cool_down(&mut self) {
        let max = self.events.with_state(|state| {
            Duration::from_micros(state.plan.as_ref().map_or(0, |plan| plan.cooldown_us))
        });
        if max.is_zero() {
            return;
        }
        self.events.emit(EventBody::CooldownStarted { max_us: max.as_micros() as u64 });
        let (watch, events) = (Arc::clone(&self.assembly.steady), self.events.clone());
        let mut clock = PlanClock::start();
        let ended = loop {
            let left = max.saturating_sub(clock.elapsed());
            if let Some(ended) = self.cool_until_paused(watch.until_steady(left, &events)).await {
                break ended;
            }
            // What was seen before a pause says nothing about the platform after it.
            clock.hold();
            self.pause_between().await;
            clock.release();
            if self.abort.is_some() {
                break Steady { steady: false, reason: "the run is being aborted".into() };
            }
        };
        let Steady { steady, reason } = ended;
        self.events.emit(EventBody::CooldownEnded { steady, reason });
    }

    /// How the cooldown ended; none when an operator asks for a pause.
    async fn cool_until_paused(&mut self, steady: impl Future<Output = Steady>) -> Option<Steady> {
        let mut steady = std::pin::pin!(steady);
        loop {
            let inbound = tokio::select! {
                ended = &mut steady => return Some(ended),
                inbound = self.hear() => inbound,
            };
            let effect = self.take_in(inbound, Situation::Cooldown);
            let reason = match effect {
                _ if self.abort.is_some() => "the run is being aborted",
                Some(Effect::Pause) => return None,
                Some(Effect::EndCooldown) => "cut short by an operator",
                _ => continue,
            };
            return Some(Steady { steady: false, reason: reason.into() });
        }
    }

    async fn pause_between(&mut self) {
        self.events.emit(EventBody::Pausing {});
        self.events.emit(EventBody::Paused {});
        self.wait_in(Situation::PausedBetween).await;
        self.events.emit(EventBody::Resuming {});
        self.events.emit(EventBody::Resumed {});
    }

    fn write_report(&self) -> Result<PathBuf, String> {
        // On a copy: nobody who reports an event should wait for a report to be on disk.
        let state = self.events.with_state(RunState::clone);
        self.assembly.reports.write(&state)
    }
}
