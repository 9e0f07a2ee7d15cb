//! The course of one experiment: measure, strike, measure again, judge. Nothing is injected into a
//! platform that is not steady.

use std::time::Duration;

use tokio::time::Instant;

use super::board::{Board, unsteady, was_not_asked};
use super::guard::Guard;
use super::plan::Experiment;
use super::runtime::{Runtime, Target};
use super::strike::Struck;
use super::verdict;
use crate::config::{Chaos, ServiceKind, SteadyRules};
use crate::run::event::{ChaosEvent, EventBody, ExperimentResult, Stage, SteadyFigures, Verdict};
use crate::run::phase::{ControlChange, PhaseCommand, PhaseContext, Wish};
use crate::run::undo::UndoJournal;

/// How long the platform is measured after it is steady again.
const MEASURED_AFTER: Duration = Duration::from_secs(3);

/// How often targets and probes are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why an experiment ends before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// The run is to hold.
    Pause,
    /// The phase is to end.
    Stop,
    /// An operator wants the fault gone; the plan goes on.
    Heal,
    /// A protected target changed.
    Disturbed(String),
    /// What is protected cannot be watched any more.
    Blind(String),
    /// Targets run where another run may be at work now.
    Displaced(String),
}

impl Interrupt {
    /// Why the fault is undone, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Pause => "the run is to pause".into(),
            Self::Stop => "the phase is to end".into(),
            Self::Heal => "an operator asked for it".into(),
            Self::Disturbed(what) => format!("a protected target changed: {what}"),
            Self::Blind(why) => format!("nothing is broken unwatched: {why}"),
            Self::Displaced(why) => format!("after a pause nothing more is broken: {why}"),
        }
    }
}

/// What all experiments of a phase work with.
pub struct Course<'a> {
    /// Where targets run.
    pub runtime: &'a dyn Runtime,
    /// What the probes see.
    pub board: &'a Board,
    /// Events, control and configuration.
    pub context: &'a mut PhaseContext,
    /// What has to be undone if this process dies.
    pub undo: &'a mut UndoJournal,
    /// Watches what must not change.
    pub guard: Guard,
    /// Numbers the faults of the phase.
    pub faults: u32,
    /// Whether a fault is there, or is being injected or undone.
    pub broken: bool,
    /// Whether the runtime did not do what it was asked last.
    pub in_trouble: bool,
}

impl Course<'_> {
    /// The settings of the phase.
    pub fn chaos(&self) -> Chaos {
        self.context.config.chaos.clone()
    }

    /// Reports something.
    pub fn emit(&self, event: ChaosEvent) {
        self.context.events.emit(EventBody::Chaos(event));
    }

    /// A moment as microseconds since the run was created.
    pub fn run_time(&self, at: Instant) -> u64 {
        let ago = Instant::now().saturating_duration_since(at);
        self.context.events.elapsed().saturating_sub(ago).as_micros() as u64
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// When an operator or a protected target ends the wait.
    pub async fn wait(&mut self, length: Duration) -> Result<(), Interrupt> {
        self.heeding(tokio::time::sleep(length)).await
    }

    /// Does something that changes nothing and may be given up: an engine that does not answer is not
    /// what healing waits for.
    ///
    /// # Errors
    /// When an operator or a protected target ends it.
    pub async fn heeding<T>(&mut self, doing: impl Future<Output = T>) -> Result<T, Interrupt> {
        let mut doing = std::pin::pin!(doing);
        // A wish to heal that comes when that is done already is none to end what comes next.
        let broken = self.broken;
        loop {
            tokio::select! {
                biased;
                alarm = self.guard.alarm() => return Err(alarm),
                change = self.context.control.next() => match change {
                    ControlChange::Wish(Wish::Pause) => return Err(Interrupt::Pause),
                    ControlChange::Wish(Wish::Stop | Wish::StopNow) => return Err(Interrupt::Stop),
                    ControlChange::Command(PhaseCommand::Heal) if broken => {
                        return Err(Interrupt::Heal);
                    }
                    ControlChange::Wish(Wish::Work) | ControlChange::Command(_) => {}
                },
                done = &mut doing => return Ok(done),
            }
        }
    }

    /// Makes an experiment. An interrupt comes back beside the result; by then everything is healed.
    pub async fn run(
        &mut self,
        number: u32,
        experiment: &Experiment,
    ) -> (ExperimentResult, Option<Interrupt>) {
        let targets = experiment.strikes.iter().map(|(target, _)| target.name.clone()).collect();
        self.emit(ChaosEvent::ExperimentStarted {
            number,
            kind: experiment.kind,
            title: experiment.title.clone(),
            targets,
        });
        let mut result = ExperimentResult {
            verdict: Verdict::Pass,
            notes: experiment.notes.clone(),
            recovery_limit_us: self.chaos().steady.within.get().as_micros() as u64,
            ..ExperimentResult::new(number, experiment.kind, experiment.title.clone())
        };
        let ended = self.take(experiment, &mut result).await;
        // One that was interrupted ended within a stage.
        self.board.end();
        if let Err(interrupt) = &ended {
            result.verdict = match interrupt {
                Interrupt::Disturbed(_) => Verdict::Fail,
                Interrupt::Stop | Interrupt::Pause => Verdict::Aborted,
                Interrupt::Heal | Interrupt::Blind(_) | Interrupt::Displaced(_) => {
                    Verdict::Inconclusive
                }
            };
            result.reason = format!("ended before its time: {}", interrupt.words());
            result.points = None;
        }
        verdict::heed_residue(&mut result);
        self.emit(ChaosEvent::ExperimentFinished(Box::new(result.clone())));
        (result, ended.err())
    }

    async fn take(
        &mut self,
        experiment: &Experiment,
        result: &mut ExperimentResult,
    ) -> Result<(), Interrupt> {
        let rules = self.chaos().steady;
        if !self.is_fit(&rules, result).await? {
            return Ok(());
        }
        let injected = self.board.begin(Stage::During);
        let mut struck = Vec::new();
        let mut ended = Ok(());
        for (target, fault) in &experiment.strikes {
            let one = self.strike(target, fault).await;
            ended = one.interrupted.clone().map_or(Ok(()), Err);
            note(result, &one);
            // Who is not back yet is no company for the next.
            let down = one.recovery.is_none();
            struck.push(one);
            if ended.is_err() || result.verdict != Verdict::Pass || down {
                break;
            }
        }
        let until = struck.iter().filter_map(|one| one.over).max().unwrap_or(injected);
        if ended.is_ok() && until > injected {
            ended = self.answered(until).await;
        }
        result.during = self.measured(Stage::During, injected, until);
        ended?;
        if result.verdict != Verdict::Pass {
            return Ok(());
        }
        result.after = self.measure_platform(Stage::After, MEASURED_AFTER).await?;
        verdict::judge(experiment, &struck, &rules, self.board, result);
        Ok(())
    }

    /// Measures the platform while nothing is broken, and says whether it is fit for an experiment.
    async fn is_fit(
        &mut self,
        rules: &SteadyRules,
        result: &mut ExperimentResult,
    ) -> Result<bool, Interrupt> {
        self.cool_down(rules.within.get()).await?;
        result.before = self.measure_platform(Stage::Before, rules.baseline.get()).await?;
        let services = self.services();
        let known = |service: ServiceKind| result.before.iter().any(|row| row.service == service);
        let unasked = services.into_iter().filter(|service| !known(*service)).map(was_not_asked);
        let trouble: Vec<String> =
            unasked.chain(result.before.iter().filter_map(|row| not_fit(row, rules))).collect();
        result.steady_before = Some(trouble.is_empty());
        if !trouble.is_empty() {
            result.verdict = Verdict::Inconclusive;
            result.reason =
                format!("nothing was injected: not steady before ({})", trouble.join(", "));
        }
        Ok(trouble.is_empty())
    }

    /// Measures the platform for so long.
    async fn measure_platform(
        &mut self,
        stage: Stage,
        length: Duration,
    ) -> Result<Vec<SteadyFigures>, Interrupt> {
        let from = self.board.begin(stage);
        self.wait(length).await?;
        let to = Instant::now();
        self.answered(to).await?;
        Ok(self.measured(stage, from, to))
    }

    /// Ends a stage, and waits until what was asked in it is answered, or said to hang.
    async fn answered(&mut self, asked_before: Instant) -> Result<(), Interrupt> {
        self.board.end();
        // What is due just now takes a moment to be asked.
        self.wait(LOOK_EVERY).await?;
        while self.board.waits_for_answers(asked_before) {
            self.wait(LOOK_EVERY).await?;
        }
        // And what was answered just now, to be on the board.
        self.wait(LOOK_EVERY).await
    }

    /// Ends a stage, and tells what it showed.
    fn measured(&self, stage: Stage, from: Instant, to: Instant) -> Vec<SteadyFigures> {
        self.board.end();
        let figures = self.board.figures(from, to);
        self.emit(ChaosEvent::Measured { stage, figures: figures.clone() });
        figures
    }

    /// Lets the platform come to rest from the experiment before, for as long as it may take to be steady
    /// again; one that is not by then is found out by the measurement that follows.
    async fn cool_down(&mut self, most: Duration) -> Result<(), Interrupt> {
        let since = Instant::now();
        if self.faults == 0 {
            return Ok(());
        }
        let services = self.services();
        while since.elapsed() < most && self.board.stable_since(&services, since).is_none() {
            self.wait(LOOK_EVERY).await?;
        }
        Ok(())
    }

    /// The services whose probes tell whether a target is well: its own, or all when it has none.
    pub fn witnesses(&self, target: &Target) -> Vec<ServiceKind> {
        match target.service {
            Some(service) => vec![service],
            None => self.services(),
        }
    }

    fn services(&self) -> Vec<ServiceKind> {
        self.context.config.services.endpoints().map(|(service, _)| service).collect()
    }
}

/// Why a service is not fit for an experiment: it is not steady, or does without a peer already.
fn not_fit(row: &SteadyFigures, rules: &SteadyRules) -> Option<String> {
    let falls_back = row.degraded * 4 > row.n;
    let words = || {
        let (service, degraded, n) = (row.service, row.degraded, row.n);
        format!("{service} already answers without a peer ({degraded} of {n})")
    };
    unsteady(row, None, rules).or_else(|| falls_back.then(words))
}

/// Takes what one strike showed into the result; a fault that could not be injected ends it.
fn note(result: &mut ExperimentResult, struck: &Struck) {
    result.evidence.extend(struck.evidence.clone());
    result.lives.extend(struck.lives.clone());
    result.notes.extend(struck.notes.iter().cloned());
    result.residue.extend(struck.residue.iter().cloned());
    result.timelines.push(struck.timeline.clone());
    if let Some(limit) = struck.limit {
        result.recovery_limit_us = limit.as_micros() as u64;
    }
    if let Some(refused) = &struck.refused {
        result.verdict = Verdict::Inconclusive;
        result.reason = format!("not verifiable: {refused}");
    }
    if let Some(effective) = struck.effective {
        result.effective = Some(result.effective.unwrap_or(true) && effective);
    }
}
