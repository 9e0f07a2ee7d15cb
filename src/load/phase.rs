//! A load phase: threads are started, followed and merged; operators' wishes are carried to them.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::budget::Budget;
use super::course::Course;
use super::documents::Documents;
use super::exchange::Dial;
use super::generator::{self, FromThread, INTERVAL, ThreadInterval, ThreadParts};
use super::guard::ErrorGuard;
use super::merge::Merge;
use super::population::Population;
use super::rag::Cleaner;
use super::user::{Common, Gate};
use super::verdict::{EarlyEnd, OVERLOADED_PERCENT, outcome};
use crate::config::{Config, PhaseKind, Workload};
use crate::platform::connection::{Connector, ConnectorError};
use crate::platform::endpoint::{EndpointError, ResolvedEndpoint};
use crate::platform::tls::{self, NoRoots};
use crate::run::clock::PlanClock;
use crate::run::event::{EventBody, LoadEvent, LoadStart, PhaseOutcome, Verdict};
use crate::run::phase::{ControlChange, Phase, PhaseCommand, PhaseContext, Wish};
use crate::run::state::LoadState;

/// How often ramps, documents and the end of the phase are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long documents may take to be removed, in good order and in a hurry.
const CLEAN_WITHIN: Duration = Duration::from_secs(45);
const CLEAN_IN_A_HURRY: Duration = Duration::from_secs(5);

/// Why a load phase cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LoadUnavailable {
    /// The phase has no workload.
    #[error("no workload is configured for {0}")]
    NoWorkload(PhaseKind),
    /// Nothing of the workload can run.
    #[error("nothing of the workload can run: {0}")]
    NothingToRun(String),
    /// An endpoint cannot be used.
    #[error("{scenario}: {source}")]
    Endpoint {
        /// The scenario.
        scenario: String,
        /// What is wrong.
        source: EndpointError,
    },
    /// TLS cannot be spoken.
    #[error(transparent)]
    Roots(#[from] NoRoots),
    /// No way to connect.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
}

/// A load phase of the built-in engine.
pub struct LoadPhase {
    kind: PhaseKind,
    workload: Workload,
    course: Course,
    endpoints: Vec<Arc<ResolvedEndpoint>>,
    tls: Option<Arc<ClientConfig>>,
}

/// The engine of a load phase.
///
/// # Errors
/// When nothing of its workload can run on the configured platform.
pub fn phase(kind: PhaseKind, config: &Config) -> Result<LoadPhase, LoadUnavailable> {
    let workload = config.workloads.of(kind).ok_or(LoadUnavailable::NoWorkload(kind))?.clone();
    let course = Course::new(&workload, config);
    if course.scenarios.is_empty() {
        let reasons = course.left_out.iter().map(|(what, why)| format!("{what}: {why}"));
        return Err(LoadUnavailable::NothingToRun(reasons.collect::<Vec<_>>().join("; ")));
    }
    let mut endpoints = Vec::new();
    for scenario in &course.scenarios {
        let configured = config.services.endpoints().find(|(kind, _)| *kind == scenario.service);
        if let Some((_, endpoint)) = configured {
            let resolved = ResolvedEndpoint::resolve(endpoint).map_err(|source| {
                LoadUnavailable::Endpoint { scenario: scenario.name.clone(), source }
            })?;
            endpoints.push(Arc::new(resolved));
        }
    }
    let secured = endpoints.iter().any(|endpoint| endpoint.tls);
    let tls = secured.then(tls::client_config).transpose()?;
    let phase = LoadPhase { kind, workload, course, endpoints, tls };
    // Made again by each thread; here it shows that it can be.
    phase.connectors()?;
    Ok(phase)
}

impl LoadPhase {
    fn connectors(&self) -> Result<Vec<Connector>, ConnectorError> {
        let make = |endpoint: &Arc<ResolvedEndpoint>| {
            Connector::new(Arc::clone(endpoint), self.tls.clone())
        };
        self.endpoints.iter().map(make).collect()
    }

    fn common(&self, context: &PhaseContext) -> Common {
        let used = context.events.with_state(|state| {
            let loads = state.phases.iter().filter_map(|phase| phase.load.as_ref());
            loads.map(|load| load.totals(None)).fold((0, 0), |(requests, tokens), totals| {
                (requests + totals.measured.requests(), tokens + totals.measured.tokens)
            })
        });
        let guards = &context.config.guards;
        Common {
            course: self.course.clone(),
            config: Arc::clone(&context.config),
            endpoints: self.endpoints.clone(),
            budget: Budget::new(guards.max_requests, guards.max_tokens, used),
            exhausted: AtomicBool::new(false),
            documents: Documents::new(&context.run_id, self.kind.name()),
            run_id: context.run_id.clone(),
        }
    }
}

impl Phase for LoadPhase {
    fn kind(&self) -> PhaseKind {
        self.kind
    }

    fn run(
        &self,
        context: PhaseContext,
    ) -> Pin<Box<dyn Future<Output = PhaseOutcome> + Send + '_>> {
        Box::pin(async move {
            match Running::start(self, context) {
                Ok(running) => running.finish().await,
                Err(reason) => PhaseOutcome::new(Verdict::Invalid, reason),
            }
        })
    }
}

/// A load phase at work.
struct Running<'a> {
    phase: &'a LoadPhase,
    context: PhaseContext,
    common: Arc<Common>,
    population: Population,
    clock: PlanClock,
    gate: watch::Sender<Gate>,
    targets: watch::Sender<Vec<u32>>,
    from_threads: mpsc::Receiver<FromThread>,
    threads: u32,
    ended: u32,
    holding: u32,
    merge: Merge,
    guard: ErrorGuard,
    early: Option<EarlyEnd>,
    /// When users that are still there are dropped, once the load is draining.
    drop_at: Option<Instant>,
    hurried: bool,
    overloaded_intervals: u64,
    /// Failures of which an example stands in the log already.
    told: BTreeSet<(String, String)>,
}

impl<'a> Running<'a> {
    fn start(phase: &'a LoadPhase, context: PhaseContext) -> Result<Self, String> {
        let common = Arc::new(phase.common(&context));
        let scenarios: Vec<usize> = phase.course.scenarios.iter().map(|s| s.at).collect();
        let population = Population::new(&phase.workload, &scenarios, context.length);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.clamp(1, 64) as u32;
        let (gate, gate_seen) = watch::channel(Gate::Open);
        let (targets, targets_seen) = watch::channel(population.at(Duration::ZERO));
        let (out, from_threads) = mpsc::channel(4 * threads as usize);
        let running = Self {
            merge: Merge::new(threads as usize),
            guard: ErrorGuard::new(&context.config.guards),
            clock: PlanClock::start(),
            early: None,
            drop_at: None,
            hurried: false,
            overloaded_intervals: 0,
            told: BTreeSet::new(),
            ended: 0,
            holding: 0,
            phase,
            context,
            common,
            population,
            gate,
            targets,
            from_threads,
            threads,
        };
        running.announce_documents();
        for thread in 0..threads {
            let parts = ThreadParts {
                thread,
                threads,
                common: Arc::clone(&running.common),
                seed: running.context.seed,
                gate: gate_seen.clone(),
                targets: targets_seen.clone(),
                out: out.clone(),
            };
            let connectors = phase.connectors().map_err(|error| error.to_string())?;
            let dial = || connectors.into_iter().map(|c| Rc::new(c) as Rc<dyn Dial>).collect();
            generator::spawn(parts, dial)
                .map_err(|error| format!("no thread for load: {error}"))?;
        }
        running.emit(LoadEvent::Started(LoadStart {
            engine: "built-in".into(),
            threads,
            scenarios: phase.course.scenarios.iter().map(|s| (s.name.clone(), s.service)).collect(),
            left_out: phase.course.left_out.clone(),
        }));
        Ok(running)
    }

    async fn finish(mut self) -> PhaseOutcome {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut intervals = interval(INTERVAL);
        intervals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        intervals.tick().await;
        while self.ended < self.threads {
            tokio::select! {
                biased;
                change = self.context.control.next(), if !self.hurried => self.follow(change),
                Some(message) = self.from_threads.recv() => self.hear(message),
                _ = looks.tick() => self.look(),
                _ = intervals.tick() => self.emit_interval(),
            }
        }
        self.emit_interval();
        self.clean().await;
        let (phase, early) = (self.phase, self.early.take());
        self.context.events.with_state(|state| {
            let load = state.phase(phase.kind).and_then(|phase| phase.load.as_ref());
            let empty = LoadState::default();
            outcome(load.unwrap_or(&empty), &phase.workload, early, self.overloaded_intervals)
        })
    }

    fn emit(&self, event: LoadEvent) {
        self.context.events.emit(EventBody::Load(event));
    }

    fn announce_documents(&self) {
        if !self.phase.course.writes() {
            return;
        }
        if let Some((_, last)) = self.common.documents.block_to_announce() {
            // On disk before any of these ids is used.
            self.emit(LoadEvent::WriteBlock { last });
            self.common.documents.announced(last);
        }
    }

    fn look(&mut self) {
        self.announce_documents();
        let elapsed = self.clock.elapsed();
        let targets = self.population.at(elapsed);
        self.targets.send_if_modified(|current| {
            let changed = *current != targets;
            *current = targets;
            changed
        });
        if self.common.exhausted.load(Ordering::Relaxed) && self.early.is_none() {
            let percent = elapsed.as_secs_f64() * 100.0 / self.context.length.as_secs_f64();
            let reason = format!(
                "the cap on requests or tokens was reached after {percent:.0} % of the phase"
            );
            self.stop_early(EarlyEnd::Cap(reason));
        }
        if elapsed >= self.context.length {
            self.drain();
        }
        if self.drop_at.is_some_and(|at| Instant::now() >= at) {
            self.gate.send_replace(Gate::Dropped);
        }
    }

    fn stop_early(&mut self, end: EarlyEnd) {
        let (EarlyEnd::Guard(reason) | EarlyEnd::Cap(reason)) = &end;
        self.emit(LoadEvent::GuardTripped { reason: reason.clone() });
        self.early = Some(end);
        self.drain();
    }

    fn drain(&mut self) {
        if self.drop_at.is_none() {
            self.drop_at = Some(Instant::now() + self.phase.workload.graceful_stop.get());
            self.gate.send_replace(Gate::Draining);
        }
    }

    fn follow(&mut self, change: ControlChange) {
        match change {
            ControlChange::Wish(Wish::Pause) if self.drop_at.is_none() => {
                self.clock.hold();
                self.holding = 0;
                self.gate.send_replace(Gate::Held);
            }
            ControlChange::Wish(Wish::Work) if self.drop_at.is_none() => {
                self.clock.release();
                self.merge.restart();
                self.gate.send_replace(Gate::Open);
                self.context.control.resumed();
            }
            ControlChange::Wish(Wish::Stop) => self.drain(),
            ControlChange::Wish(Wish::StopNow) => {
                self.hurried = true;
                self.drain();
                self.gate.send_replace(Gate::Dropped);
            }
            ControlChange::Wish(Wish::Pause | Wish::Work) => {}
            ControlChange::Command(PhaseCommand::Rescale { scenario, by }) => {
                self.rescale(scenario, by);
            }
            // There is nothing to heal in load.
            ControlChange::Command(PhaseCommand::Heal) => {}
        }
    }

    fn rescale(&mut self, scenario: Option<String>, by: i32) {
        let ready = &self.phase.course.scenarios;
        let at = scenario.as_ref().map(|name| ready.iter().position(|s| s.name == *name));
        if let Some(None) = at {
            log::warn!("no scenario `{}` is running", scenario.unwrap_or_default());
            return;
        }
        let users = self.population.rescale(at.flatten(), by, self.clock.elapsed());
        self.emit(LoadEvent::Rescaled { scenario, users });
        self.look();
    }

    fn hear(&mut self, message: FromThread) {
        match message {
            FromThread::Interval(interval) => {
                self.tell_failures(&interval);
                self.merge.add(*interval);
            }
            FromThread::Holding => {
                self.holding += 1;
                let held = *self.gate.borrow() == Gate::Held;
                if held && self.holding == self.threads {
                    self.emit_interval();
                    self.context.control.paused();
                }
            }
            FromThread::Ended => self.ended += 1,
        }
    }

    /// One example of each kind of failure of each step goes into the log.
    fn tell_failures(&mut self, interval: &ThreadInterval) {
        for ((series, kind), detail) in &interval.measured.examples {
            let Some(key) = self.phase.course.series.get(*series) else { continue };
            let what = format!("{} {}", key.scenario, key.step);
            if self.told.insert((what.clone(), kind.word().to_owned())) {
                log::warn!("{what}: {kind}: {detail}");
            }
        }
    }

    fn emit_interval(&mut self) {
        let names: Vec<&str> =
            self.phase.course.scenarios.iter().map(|s| s.name.as_str()).collect();
        let Some(report) = self.merge.take(&names) else { return };
        let overloaded = report.generator.busiest_thread_percent > OVERLOADED_PERCENT;
        self.overloaded_intervals += u64::from(overloaded);
        let n = report.series.iter().map(|series| series.measured.requests()).sum();
        let failed = report.series.iter().map(|series| series.measured.failed()).sum();
        let length = Duration::from_micros(report.length_us);
        self.emit(LoadEvent::Interval(Box::new(report)));
        if let Some(reason) = self.guard.observe(length, n, failed)
            && self.early.is_none()
            && self.drop_at.is_none()
        {
            self.stop_early(EarlyEnd::Guard(reason));
        }
    }

    async fn clean(&self) {
        let Some(rag) = &self.context.config.services.rag else { return };
        let (Some(scratch), true) = (&rag.scratch, self.common.documents.taken() > 0) else {
            return;
        };
        let at = self
            .phase
            .course
            .scenarios
            .iter()
            .position(|s| s.service == crate::config::ServiceKind::Rag);
        let Some(endpoint) = at.map(|at| Arc::clone(&self.phase.endpoints[at])) else { return };
        let patience = if self.hurried { CLEAN_IN_A_HURRY } else { CLEAN_WITHIN };
        match Cleaner::new(endpoint, scratch.clone()) {
            Ok(cleaner) => {
                let report = cleaner.clean(&self.common.documents, patience).await;
                self.emit(LoadEvent::Cleanup(report));
            }
            Err(error) => log::error!("cannot remove the documents of this phase: {error}"),
        }
    }
}
