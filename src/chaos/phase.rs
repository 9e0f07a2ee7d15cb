//! The chaos phase: one experiment after the other, each healed before the next, whatever operators
//! wish meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::board::Board;
use super::budget::Known;
use super::course::{Course, Interrupt};
use super::guard::Guard;
use super::plan::{self, Experiment};
use super::runtime::docker::DockerRuntime;
use super::runtime::sandbox::SandboxRuntime;
use super::runtime::{Runtime, RuntimeError, Target};
use super::score;
use super::undo::Undo;
use crate::config::{Chaos, ExperimentKind, PhaseKind, RuntimeKind};
use crate::platform::probe::ServiceProbes;
use crate::run::clock::PlanClock;
use crate::run::error_budget::ErrorBudget;
use crate::run::event::{
    ChaosEvent, ChaosScore, ChaosStart, EventBody, ExperimentResult, PhaseOutcome, Verdict,
};
use crate::run::phase::{Phase, PhaseContext, Wish};
use crate::run::state::{IF_LEFT, RunState};
use crate::run::state_dir::StateDir;
use crate::run::undo::UndoJournal;

/// A lease on the place where targets run outlasts twice the phase's time box by this.
const CLAIM_SLACK: Duration = Duration::from_secs(600);
/// In a pause, which is not counted in that, it is looked after this often.
const CLAIM_AGAIN: Duration = Duration::from_secs(120);

/// Why nothing more is broken.
const STILL_BROKEN: &str = "what an experiment before it left could not be undone";

/// The chaos phase.
pub struct ChaosPhase {
    /// Tells what is left of the error budget over the weeks.
    pub budget: Arc<dyn ErrorBudget>,
}

#[async_trait]
impl Phase for ChaosPhase {
    fn kind(&self) -> PhaseKind {
        PhaseKind::Chaos
    }

    async fn run(&self, mut context: PhaseContext) -> PhaseOutcome {
        if let Some(outcome) = refused(&mut context, &*self.budget).await {
            return outcome;
        }
        match begin(&context).await {
            Ok(began) => experiments(context, began).await,
            Err(RuntimeError(reason)) => PhaseOutcome::new(Verdict::Skipped, reason),
        }
    }
}

struct Began {
    runtime: Arc<dyn Runtime>,
    targets: Vec<Target>,
    probes: ServiceProbes,
    undo: UndoJournal,
    claims: Vec<(u64, Undo)>,
}

/// The end of the phase before its beginning: too little of the error budget is left, or whoever asked
/// for the end does not wait for a monitoring that does not answer.
async fn refused(context: &mut PhaseContext, budget: &dyn ErrorBudget) -> Option<PhaseOutcome> {
    let floor = context.config.chaos.budget_floor_percent?;
    let state = context.events.with_state(RunState::clone);
    tokio::select! {
        known = Known::look(&context.config, &state, budget) => {
            known.refusal(floor).map(|why| PhaseOutcome::new(Verdict::Skipped, why))
        }
        () = context.control.stopped() => {
            Some(PhaseOutcome::new(Verdict::Aborted, "ended before anything was broken"))
        }
    }
}

async fn begin(context: &PhaseContext) -> Result<Began, RuntimeError> {
    let failed = |error: &dyn std::fmt::Display| RuntimeError::new(error.to_string());
    let chaos = &context.config.chaos;
    let runtime = runtime_of(chaos).await?;
    let targets = runtime.targets().await?;
    let probes = ServiceProbes::new(&context.config.services, &chaos.probes);
    let probes = probes.map_err(|error| failed(&error))?.at_rate(chaos.probes_per_second);
    let state = StateDir::open().map_err(|error| failed(&error))?;
    let unwritten = |error: std::io::Error| RuntimeError::new(format!("the undo journal: {error}"));
    let mut undo = UndoJournal::open(&state, &context.run_id).map_err(unwritten)?;
    let mut claims = Vec::new();
    for claim in runtime.claims(&context.run_id) {
        claims.push((undo.intend(&claim).map_err(unwritten)?, claim));
    }
    if let Err(error) = claim(&*runtime, context).await {
        give_back(&mut undo, &claims).await;
        return Err(error);
    }
    Ok(Began { runtime, targets, probes, undo, claims })
}

async fn claim(runtime: &dyn Runtime, context: &PhaseContext) -> Result<(), RuntimeError> {
    runtime.claim(&context.run_id, context.length * 2 + CLAIM_SLACK).await
}

/// Gives back what was claimed for the phase; what cannot be given back stays on record.
async fn give_back(undo: &mut UndoJournal, claims: &[(u64, Undo)]) -> Vec<String> {
    let mut left = Vec::new();
    for (id, claim) in claims {
        let residue = match claim.undo().await {
            Ok(()) => claim.residue().await,
            Err(error) => vec![error.to_string()],
        };
        if residue.is_empty()
            && let Err(error) = undo.done(*id)
        {
            log::warn!("the undo journal cannot be written: {error}");
        }
        left.extend(residue);
    }
    left
}

pub(super) async fn runtime_of(chaos: &Chaos) -> Result<Arc<dyn Runtime>, RuntimeError> {
    match chaos.runtime {
        RuntimeKind::Docker => Ok(Arc::new(DockerRuntime::connect(chaos).await?)),
        RuntimeKind::Sandbox => {
            let admin = chaos.sandbox.as_deref();
            let admin =
                admin.ok_or_else(|| RuntimeError::new("expected chaos.sandbox: its URL"))?;
            Ok(Arc::new(SandboxRuntime::new(admin)?))
        }
    }
}

async fn experiments(mut context: PhaseContext, began: Began) -> PhaseOutcome {
    let Began { runtime, targets, probes, mut undo, claims } = began;
    let chaos = context.config.chaos.clone();
    let experiments = planned(&context, &targets).len() as u32;
    let excluded = targets.iter().filter_map(|target| {
        let why = target
            .excluded
            .clone()
            .or_else(|| target.unkillable.as_ref().map(|why| format!("not killed: {why}")));
        Some((target.name.clone(), why?))
    });
    context.events.emit(EventBody::Chaos(ChaosEvent::Started(ChaosStart {
        runtime: runtime.name().to_owned(),
        seed: context.seed,
        targets: targets.iter().filter(|t| t.excluded.is_none()).map(|t| t.name.clone()).collect(),
        excluded: excluded.collect(),
        experiments,
    })));
    let (board, _watching) = Board::watch(probes, context.events.clone());
    let protected = targets.iter().filter(|target| target.protected).cloned().collect();
    let guard = Guard::watch(Arc::clone(&runtime), protected, context.events.clone());
    let time_box = context.length;
    let mut course = Course {
        runtime: &*runtime,
        board: &board,
        context: &mut context,
        undo: &mut undo,
        guard,
        faults: 0,
        broken: false,
        in_trouble: false,
    };
    let (results, ended) = all(&mut course, targets, time_box).await;
    let disturbed = course.guard.disturbed();
    let left = give_back(&mut undo, &claims).await;
    let score = score::score(&results, &chaos.experiments, &disturbed);
    context.events.emit(EventBody::Chaos(ChaosEvent::Scored(score.clone())));
    let residue = results.iter().flat_map(|result| result.residue.iter().cloned()).collect();
    match ended == Some(Interrupt::Stop) {
        true => {
            let outcome = PhaseOutcome::new(Verdict::Aborted, "ended before its time");
            with_what_is_left(outcome, &[], [residue, left].concat())
        }
        false => {
            let wanted = context.config.criteria.resilience_percent;
            with_what_is_left(outcome(&results, &score, wanted), &residue, left)
        }
    }
}

/// The outcome, which fails when something is left behind: what its reason tells of already, or what it
/// does not, of an experiment or of what was claimed for the phase.
pub(super) fn with_what_is_left(
    mut outcome: PhaseOutcome,
    told: &[String],
    untold: Vec<String>,
) -> PhaseOutcome {
    if told.is_empty() && untold.is_empty() {
        if outcome.verdict == Verdict::Aborted {
            outcome.reason.push_str("; everything is healed");
        }
        return outcome;
    }
    // Also one that was aborted: of such a phase the orchestrator tells no reason of its own.
    outcome.verdict = Verdict::Fail;
    let untold: BTreeSet<String> = untold.into_iter().filter(|what| !told.contains(what)).collect();
    if !untold.is_empty() {
        let left = untold.into_iter().collect::<Vec<_>>().join(", ");
        outcome.reason = format!("{}; left behind: {left}; {IF_LEFT}", outcome.reason);
    }
    outcome
}

/// Makes every experiment of the plan on these targets. The plan is made anew before each, with the
/// same choices, so that a target that was removed meanwhile is no part of it any more.
pub(super) async fn all(
    course: &mut Course<'_>,
    mut targets: Vec<Target>,
    time_box: Duration,
) -> (Vec<ExperimentResult>, Option<Interrupt>) {
    let mut clock = PlanClock::start();
    let mut results: Vec<ExperimentResult> = Vec::new();
    for at in 0.. {
        if results.iter().any(|result| !result.residue.is_empty()) {
            results.extend(rest_left_out(course, &targets, at, STILL_BROKEN));
            break;
        }
        let (result, ended) = made(course, &mut targets, at, &mut clock, time_box).await;
        let over = result.is_none();
        results.extend(result);
        if let Some(displaced @ Interrupt::Displaced(_)) = &ended {
            let rest = rest_left_out(course, &targets, results.len(), &displaced.words());
            results.extend(rest);
        }
        if over || ended.is_some() {
            return (results, ended);
        }
    }
    (results, None)
}

/// What came of the experiment at this place of the plan; nothing when the plan is over before it. One
/// that a pause has ended is made again. An interrupt ends the phase.
async fn made(
    course: &mut Course<'_>,
    targets: &mut [Target],
    at: usize,
    clock: &mut PlanClock,
    time_box: Duration,
) -> (Option<ExperimentResult>, Option<Interrupt>) {
    let number = at as u32 + 1;
    loop {
        let experiment = match next(course, targets, at).await {
            Ok(Some(Ok(experiment))) => experiment,
            Ok(Some(Err((kind, why)))) => return (Some(left_out(course, number, kind, why)), None),
            Ok(None) => return (None, None),
            Err(interrupt) => {
                let stopped = (interrupt == Interrupt::Stop).then_some(interrupt);
                let ended = match stopped {
                    None => hold(course, clock).await,
                    stopped => stopped,
                };
                if ended.is_some() {
                    return (None, ended);
                }
                continue;
            }
        };
        let needed = experiment.least_time(&course.chaos());
        if clock.elapsed() + needed > time_box {
            let why = plan::out_of_time(needed);
            return (Some(left_out(course, number, experiment.kind, why)), None);
        }
        let (result, interrupt) = course.run(number, &experiment).await;
        match interrupt {
            Some(Interrupt::Pause) => match hold(course, clock).await {
                ended if ended == Some(Interrupt::Stop) || !result.residue.is_empty() => {
                    return (Some(result), ended);
                }
                None => {}
                ended => return (None, ended),
            },
            Some(Interrupt::Heal) | None => return (Some(result), None),
            interrupt => return (Some(result), interrupt),
        }
    }
}

/// What is planned from this place on, told as left out. The targets are not even looked at: their
/// runtime may not answer.
fn rest_left_out(
    course: &Course<'_>,
    targets: &[Target],
    at: usize,
    why_not: &str,
) -> Vec<ExperimentResult> {
    let rest = planned(course.context, targets).into_iter().enumerate().skip(at);
    rest.map(|(at, planned)| {
        let (kind, why) = match planned {
            Ok(experiment) => (experiment.kind, why_not.to_owned()),
            Err(impossible) => impossible,
        };
        left_out(course, at as u32 + 1, kind, why)
    })
    .collect()
}

/// What is planned on these targets, with the choices of this run.
fn planned(
    context: &PhaseContext,
    targets: &[Target],
) -> Vec<Result<Experiment, plan::Impossible>> {
    plan::experiments(&context.config.chaos, targets, context.seed)
}

/// What is planned at this place of the plan, if there is anything, on targets that are still there:
/// one that is gone is left alone from now on, and the choice is made without it.
///
/// # Errors
/// When the run is to hold, or the phase to end.
pub(super) async fn next(
    course: &mut Course<'_>,
    targets: &mut [Target],
    at: usize,
) -> Result<Option<Result<Experiment, plan::Impossible>>, Interrupt> {
    loop {
        let planned = planned(course.context, targets).into_iter().nth(at);
        let Some(Ok(experiment)) = &planned else { return Ok(planned) };
        let gone = course.first_gone(experiment).await?;
        let gone = gone.and_then(|id| targets.iter_mut().find(|target| target.id == id));
        let Some(target) = gone else { return Ok(planned) };
        let why = "it was removed during the run".to_owned();
        course.emit(ChaosEvent::Excluded { target: target.name.clone(), why: why.clone() });
        target.excluded = Some(why);
    }
}

/// Holds, once what can be healed is, until work is wanted again; returns why the phase is to end, if it is.
async fn hold(course: &mut Course<'_>, clock: &mut PlanClock) -> Option<Interrupt> {
    clock.hold();
    // Nothing is in flight while the run holds: no probe either.
    course.board.rest();
    course.context.control.paused();
    loop {
        let Ok(wish) = timeout(CLAIM_AGAIN, course.context.control.changed()).await else {
            if let Err(RuntimeError(why)) = claim(course.runtime, course.context).await {
                log::warn!("the lease of a run that is paused: {why}");
            }
            continue;
        };
        match wish {
            Wish::Work => {
                // Somebody else may have it meanwhile.
                if let Err(RuntimeError(why)) = claim(course.runtime, course.context).await {
                    return Some(Interrupt::Displaced(why));
                }
                clock.release();
                course.board.go_on();
                course.context.control.resumed();
                return None;
            }
            Wish::Stop | Wish::StopNow => return Some(Interrupt::Stop),
            Wish::Pause => {}
        }
    }
}

fn left_out(
    course: &Course<'_>,
    number: u32,
    kind: ExperimentKind,
    why: String,
) -> ExperimentResult {
    let reason = format!("not made: {why}");
    let result = ExperimentResult { reason, ..ExperimentResult::new(number, kind, kind.name()) };
    course.emit(ChaosEvent::ExperimentFinished(Box::new(result.clone())));
    result
}

fn outcome(results: &[ExperimentResult], score: &ChaosScore, wanted: f64) -> PhaseOutcome {
    let worst = results.iter().map(|result| result.verdict).max();
    let reasons: Vec<String> = results
        .iter()
        .filter(|result| result.verdict != Verdict::Pass)
        .map(|result| format!("{}: {}: {}", result.title, result.verdict, result.reason))
        .collect();
    let points = match score.score {
        Some(points) => format!("resilience {points:.0} of 100"),
        None => "no resilience score".to_owned(),
    };
    let coverage = format!("{points}, coverage {}/{}", score.covered, score.asked);
    let below = score.score.is_some_and(|points| points < wanted);
    let mut verdict = worst.unwrap_or(Verdict::Inconclusive);
    let mut words = vec![coverage];
    if below {
        verdict = verdict.max(Verdict::Fail);
        words.push(format!("asked >= {wanted}"));
    }
    words.extend(score.capped.clone());
    words.extend(reasons);
    PhaseOutcome::new(verdict, words.join("; "))
}
