//! The real k6 and the real Locust, where they are installed: run as processes of their own, with a
//! script that plays the workload, and read line by line into the same series.

pub(super) mod parse;
mod plan;
mod process;
#[cfg(test)]
mod tests;

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::parse::{Said, unsaid};
use self::plan::ExternalPlan;
use self::process::{Tool, ToolEnded};
use super::course::Course;
use super::guard::ErrorGuard;
use super::left_out::LeftOut;
use super::thresholds::ThresholdWatch;
use super::verdict::{EarlyEnd, outcome};
use crate::config::{Config, Environment, LoadEngine, PhaseKind, Workload};
use crate::run::event::{EventBody, LoadEvent, LoadStart, PhaseOutcome, Verdict};
use crate::run::phase::{ControlChange, Phase, PhaseCommand, PhaseContext, Wish};
use crate::run::state::LoadState;

/// How often what was said becomes an interval.
const INTERVAL: Duration = Duration::from_secs(1);

/// A load phase that an external tool drives.
pub struct ExternalPhase {
    kind: PhaseKind,
    engine: LoadEngine,
    version: String,
    workload: Workload,
}

/// The external engine of a phase.
///
/// # Errors
/// In words, when the tool is not installed, or must not work on this target.
pub fn phase(
    kind: PhaseKind,
    workload: &Workload,
    config: &Config,
) -> Result<ExternalPhase, String> {
    let engine = workload.engine;
    let name = engine.name();
    if config.target.environment == Environment::Production {
        return Err(format!(
            "caps on requests cannot be enforced on {name}: a production target is loaded by the \
             built-in engine alone"
        ));
    }
    let argument = if engine == LoadEngine::K6 { "version" } else { "--version" };
    let asked = std::process::Command::new(name)
        .arg(argument)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let output = asked.map_err(|error| format!("{name} is not installed ({error})"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = crate::platform::text::clean(text.lines().next().unwrap_or_default(), 60);
    // What can be played is known once the length of the phase is; here it shows whether anything is.
    ExternalPlan::new(engine, workload, config, INTERVAL)?;
    Ok(ExternalPhase { kind, engine, version, workload: workload.clone() })
}

#[async_trait]
impl Phase for ExternalPhase {
    fn kind(&self) -> PhaseKind {
        self.kind
    }

    async fn run(&self, context: PhaseContext) -> PhaseOutcome {
        match self.play(context).await {
            Ok(outcome) => outcome,
            Err(reason) => PhaseOutcome::new(Verdict::Invalid, reason),
        }
    }
}

impl ExternalPhase {
    async fn play(&self, mut context: PhaseContext) -> Result<PhaseOutcome, String> {
        let plan = ExternalPlan::new(self.engine, &self.workload, &context.config, context.length)?;
        let course = course_of(&plan, &context.config, context.length)?;
        let mut tool = Tool::start(self.engine, &plan, &context.run_id, context.length)?;
        context.events.emit(EventBody::Load(LoadEvent::Started(LoadStart {
            engine: self.engine.name().into(),
            threads: 1,
            scenarios: course.scenarios.iter().map(|s| (s.name.clone(), s.service)).collect(),
            left_out: course.left_out.iter().map(LeftOut::told).collect(),
            models: course.scenarios.iter().map(|ready| ready.model.clone()).collect(),
            clock: None,
        })));
        log::info!("{}", self.version);
        let mut playing = Playing {
            said: Said::new(&course.series),
            thresholds: watch_of(self.engine, &self.workload, &course),
            guard: ErrorGuard::new(&context.config.guards),
            early: None,
            since: Instant::now(),
            course,
        };
        let ended = self.follow(&mut tool, &mut playing, &mut context).await;
        if let Some(reason) = ended {
            return Ok(PhaseOutcome::new(Verdict::Inconclusive, reason));
        }
        if let ToolEnded::Failed(reason) = tool.ended().await {
            return Err(reason);
        }
        Ok(context.events.with_state(|state| {
            let load = state.phase(self.kind).and_then(|phase| phase.load.as_ref());
            outcome(load.unwrap_or(&LoadState::default()), playing.early.take())
        }))
    }

    /// Reads the tool to its end; returns why it was ended before, if it was for a pause.
    async fn follow(
        &self,
        tool: &mut Tool,
        playing: &mut Playing,
        context: &mut PhaseContext,
    ) -> Option<String> {
        let name = self.engine.name();
        let mut paused = None;
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                change = context.control.next() => match change {
                    ControlChange::Wish(Wish::Pause) => {
                        tool.stop();
                        paused = Some(format!("{name} cannot be paused: it was ended"));
                    }
                    ControlChange::Wish(Wish::Stop) => {
                        playing.thresholds.leave();
                        tool.stop();
                    }
                    ControlChange::Wish(Wish::StopNow) => tool.kill(),
                    ControlChange::Command(
                        PhaseCommand::Rescale { .. } | PhaseCommand::ChangeRate { .. },
                    ) => log::warn!("{name} cannot be changed while it runs"),
                    ControlChange::Wish(Wish::Work)
                    | ControlChange::Command(PhaseCommand::Heal) => {}
                },
                line = tool.line() => match line {
                    Some(line) if self.engine == LoadEngine::K6 => playing.said.k6(&line),
                    Some(line) => playing.said.locust(&line),
                    None => break,
                },
                _ = ticks.tick() => {
                    if playing.emit(context) {
                        playing.thresholds.leave();
                        tool.stop();
                    }
                }
            }
        }
        playing.emit(context);
        if paused.is_some() {
            context.control.paused();
            while context.control.wish() == Wish::Pause {
                context.control.changed().await;
            }
            context.control.resumed();
        }
        paused
    }
}

/// What a tool plays, and all that is left out of it.
fn course_of(plan: &ExternalPlan, config: &Config, length: Duration) -> Result<Course, String> {
    let course = Course::new(&plan.played, config, length);
    let mut course = course.map_err(|error| error.to_string())?;
    course.left_out.extend(plan.left_out.clone());
    Ok(course)
}

/// The thresholds of the whole workload: those on what is not played or not said decide nothing.
fn watch_of(engine: LoadEngine, workload: &Workload, course: &Course) -> ThresholdWatch {
    ThresholdWatch::new(workload, course).without(|selector| unsaid(engine, selector))
}

/// What is measured while a tool plays.
struct Playing {
    said: Said,
    thresholds: ThresholdWatch,
    guard: ErrorGuard,
    early: Option<EarlyEnd>,
    since: Instant,
    course: Course,
}

impl Playing {
    /// Hands the interval out; returns whether the load has to stop.
    fn emit(&mut self, context: &PhaseContext) -> bool {
        let now = Instant::now();
        let length = now - self.since;
        let Some(report) = self.said.take(length) else { return false };
        self.since = now;
        let n = report.series.iter().map(|series| series.measured.requests()).sum();
        let failed = report.series.iter().map(|series| series.measured.failed()).sum();
        let elapsed = context.events.with_state(|state| {
            state.running_phase().map_or(0, |phase| phase.elapsed_us(state.now_us))
        });
        let elapsed = Duration::from_micros(elapsed);
        if elapsed >= context.length {
            self.thresholds.leave();
        }
        self.thresholds.observe(&report, &self.course);
        context.events.emit(EventBody::Load(LoadEvent::Interval(Box::new(report))));
        let rows = self.thresholds.rows();
        if !rows.is_empty() {
            context.events.emit(EventBody::Load(LoadEvent::Thresholds { rows }));
        }
        if self.early.is_some() {
            return false;
        }
        let guard = self.guard.observe(length, n, failed).map(EarlyEnd::Guard);
        let stops = self.thresholds.stops(elapsed);
        self.early = guard.or_else(|| stops.map(EarlyEnd::Threshold));
        if let Some(early) = &self.early {
            let reason = early.reason().to_owned();
            context.events.emit(EventBody::Load(LoadEvent::GuardTripped { reason }));
        }
        self.early.is_some()
    }
}
