//! A load phase at work: threads are started, followed and merged.

mod wishes;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::course::Course;
use super::exchange::Dial;
use super::generator::{self, FromThread, INTERVAL, Targets, ThreadInterval, ThreadParts};
use super::guard::ErrorGuard;
use super::left_out::LeftOut;
use super::limit::{Search, Wanted};
use super::merge::Merge;
use super::phase::LoadPhase;
use super::population::Population;
use super::rag::Cleaner;
use super::shared::{Common, Gate};
use super::thresholds::ThresholdWatch;
use super::verdict::{EarlyEnd, outcome};
use crate::config::ServiceKind;
use crate::platform::descriptors;
use crate::run::clock::PlanClock;
use crate::run::event::{CleanupReport, ClockFloor, EventBody, LoadEvent, LoadStart, PhaseOutcome};
use crate::run::phase::{Phase, PhaseContext};
use crate::run::state::{LoadState, RunState};

/// How often ramps, documents and the end of the phase are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long documents may take to be removed, in good order and in a hurry.
const CLEAN_WITHIN: Duration = Duration::from_secs(45);
const CLEAN_IN_A_HURRY: Duration = Duration::from_secs(5);

/// A load phase at work.
pub struct Running<'a> {
    phase: &'a LoadPhase,
    context: PhaseContext,
    common: Arc<Common>,
    population: Population,
    clock: PlanClock,
    gate: watch::Sender<Gate>,
    targets: watch::Sender<Targets>,
    from_threads: mpsc::Receiver<FromThread>,
    threads: u32,
    ended: u32,
    pauses: u32,
    /// Threads that hold in this pause.
    holding: u32,
    merge: Merge,
    guard: ErrorGuard,
    thresholds: ThresholdWatch,
    search: Option<Search>,
    early: Option<EarlyEnd>,
    /// When users that are still there are dropped, once the load is draining.
    drop_at: Option<Instant>,
    hurried: bool,
    /// Failures of which an example stands in the log already.
    told: BTreeSet<(String, String)>,
}

impl<'a> Running<'a> {
    /// Starts the generator threads.
    ///
    /// # Errors
    /// In words, when there is no thread, or what it needs cannot be read.
    pub fn start(
        phase: &'a LoadPhase,
        context: PhaseContext,
        clock_floor: ClockFloor,
    ) -> Result<Self, String> {
        let common = Arc::new(phase.common(&context).map_err(|error| error.to_string())?);
        let course = &common.course;
        let schedules: Vec<_> = course.scenarios.iter().map(|s| s.schedule.clone()).collect();
        let workload = &phase.workload;
        let population =
            Population::new(&schedules, workload.users.unwrap_or(0), workload.spawn_rate);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.clamp(1, 64) as u32;
        let clock = PlanClock::start();
        let first = Targets {
            users: population.at(Duration::ZERO),
            origin: clock.instant_at(Duration::ZERO),
            percent: vec![100; course.scenarios.len()],
        };
        let p99_limit = context.events.with_state(RunState::p99_limit);
        let search = workload.find_limit;
        let search = search.map(|rules| Search::new(rules, workload, course, p99_limit));
        let (gate, gate_seen) = watch::channel(Gate::Open);
        let (targets, targets_seen) = watch::channel(first);
        let (out, from_threads) = mpsc::channel(4 * threads as usize);
        let running = Self {
            merge: Merge::new(threads as usize),
            guard: ErrorGuard::new(&context.config.guards),
            thresholds: ThresholdWatch::new(workload, course),
            search,
            clock,
            early: None,
            drop_at: None,
            hurried: false,
            told: BTreeSet::new(),
            ended: 0,
            pauses: 0,
            holding: 0,
            phase,
            context,
            common: Arc::clone(&common),
            population,
            gate,
            targets,
            from_threads,
            threads,
        };
        running.start_threads(&gate_seen, &targets_seen, &out)?;
        running.announce(clock_floor);
        Ok(running)
    }

    fn start_threads(
        &self,
        gate: &watch::Receiver<Gate>,
        targets: &watch::Receiver<Targets>,
        out: &mpsc::Sender<FromThread>,
    ) -> Result<(), String> {
        self.tell_descriptors();
        self.announce_documents();
        (0..self.threads).try_for_each(|thread| self.start_thread(thread, gate, targets, out))
    }

    /// Says what has begun.
    fn announce(&self, clock_floor: ClockFloor) {
        let course = self.course();
        self.emit(LoadEvent::Started(LoadStart {
            engine: "built-in".into(),
            threads: self.threads,
            scenarios: course.scenarios.iter().map(|s| (s.name.clone(), s.service)).collect(),
            left_out: course.left_out.iter().map(LeftOut::told).collect(),
            models: course.scenarios.iter().map(|s| s.model.clone()).collect(),
            clock: Some(clock_floor),
        }));
        // A search that ends within its first step was one all the same.
        if let Some(search) = &self.search {
            self.emit(LoadEvent::Limit(search.report().clone()));
        }
    }

    /// Says beforehand when there may be more users than connections.
    fn tell_descriptors(&self) {
        let users = self.population.most();
        if let Some(most) = descriptors::most_connections().filter(|most| *most < users) {
            log::warn!(
                "the limit of open files leaves room for {most} connections, and there may be \
                 {users} users: raise it (`ulimit -Hn`); what cannot be sent is counted apart"
            );
        }
    }

    fn start_thread(
        &self,
        thread: u32,
        gate: &watch::Receiver<Gate>,
        targets: &watch::Receiver<Targets>,
        out: &mpsc::Sender<FromThread>,
    ) -> Result<(), String> {
        let parts = ThreadParts {
            thread,
            threads: self.threads,
            common: Arc::clone(&self.common),
            seed: self.context.seed,
            gate: gate.clone(),
            targets: targets.clone(),
            out: out.clone(),
        };
        let connectors = self.phase.connectors();
        let dial = || connectors.into_iter().map(|c| Rc::new(c) as Rc<dyn Dial>).collect();
        let started = generator::spawn(parts, dial);
        started.map(|_| ()).map_err(|error| format!("no thread for load: {error}"))
    }

    /// Follows the load to its end, and says what it amounts to.
    pub async fn finish(mut self) -> PhaseOutcome {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // In the middle between two reports of the threads, so that one that is late is not missed.
        let mut intervals = interval_at(Instant::now() + INTERVAL * 3 / 2, INTERVAL);
        intervals.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while self.ended < self.threads {
            let moment = self.next_change();
            tokio::select! {
                biased;
                change = self.context.control.next(), if !self.hurried => self.follow(change),
                Some(message) = self.from_threads.recv() => self.hear(message),
                _ = looks.tick() => self.look(),
                () = generator::due(None, moment) => self.look(),
                _ = intervals.tick() => self.emit_interval(),
            }
        }
        self.emit_interval();
        self.clean().await;
        // A crash may show only when the last users are dismissed.
        let early = self.early.take().or_else(|| self.crash().map(EarlyEnd::Cap));
        let kind = self.phase.kind();
        self.context.events.with_state(|state| {
            let load = state.phase(kind).and_then(|phase| phase.load.as_ref());
            let empty = LoadState::default();
            outcome(load.unwrap_or(&empty), early)
        })
    }

    /// When a scenario begins or ends, or the phase does: no user works a moment longer than it is asked
    /// to.
    fn next_change(&self) -> Option<Instant> {
        let (elapsed, length) = (self.clock.elapsed(), self.context.length);
        let end = (length > elapsed).then_some(length);
        let next = self.population.next_change(elapsed).into_iter().chain(end).min()?;
        (!self.clock.is_held()).then(|| self.clock.instant_at(next))
    }

    fn course(&self) -> &Course {
        &self.common.course
    }

    fn emit(&self, event: LoadEvent) {
        self.context.events.emit(EventBody::Load(event));
    }

    fn announce_documents(&self) {
        if !self.course().writes() {
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
        let users = self.population.at(elapsed);
        self.targets.send_if_modified(|current| {
            let changed = current.users != users;
            current.users = users;
            changed
        });
        if let Some(reason) = self.cannot_go_on(elapsed).filter(|_| self.early.is_none()) {
            self.stop_early(EarlyEnd::Cap(reason));
        }
        if elapsed >= self.context.length || self.is_over(elapsed) {
            self.drain();
        }
        if self.drop_at.is_some_and(|at| Instant::now() >= at) {
            self.gate.send_replace(Gate::Dropped);
        }
    }

    /// Why no more of the load that was asked for comes, whatever the target does.
    fn cannot_go_on(&self, elapsed: Duration) -> Option<String> {
        let percent = elapsed.as_secs_f64() * 100.0 / self.context.length.as_secs_f64();
        let is_exhausted = self.common.exhausted.load(Ordering::Relaxed);
        self.crash().or_else(|| {
            is_exhausted.then(|| {
                format!(
                    "the cap on requests or tokens was reached after {percent:.0} % of the phase"
                )
            })
        })
    }

    fn crash(&self) -> Option<String> {
        let crashed = self.common.crashed.load(Ordering::Relaxed);
        crashed.then(|| "a virtual user crashed: the log says where".into())
    }

    /// Whether no scenario has anything left to do.
    fn is_over(&self, elapsed: Duration) -> bool {
        let mut scenarios = self.course().scenarios.iter().zip(&self.common.progress);
        scenarios.all(|(ready, progress)| {
            ready.schedule.is_over(elapsed) || progress.is_done(&ready.schedule.model)
        })
    }

    fn stop_early(&mut self, end: EarlyEnd) {
        self.emit(LoadEvent::GuardTripped { reason: end.reason().to_owned() });
        self.early = Some(end);
        self.drain();
    }

    fn drain(&mut self) {
        if self.drop_at.is_none() {
            let stops = self.course().scenarios.iter().map(|ready| ready.schedule.graceful_stop);
            self.drop_at = Some(Instant::now() + stops.max().unwrap_or_default());
            self.thresholds.leave();
            self.gate.send_replace(Gate::Draining);
        }
    }

    fn hear(&mut self, message: FromThread) {
        match message {
            FromThread::Interval(interval) => {
                self.tell_failures(&interval);
                self.merge.add(*interval);
            }
            FromThread::Holding(pause) => {
                let held = *self.gate.borrow() == Gate::Held(pause);
                self.holding += u32::from(held);
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
            let Some(key) = self.common.course.series.get(*series) else { continue };
            let what = format!("{} {}", key.scenario, key.step);
            if self.told.insert((what.clone(), kind.word().to_owned())) {
                log::warn!("{what}: {kind}: {detail}");
            }
        }
    }

    fn emit_interval(&mut self) {
        let names = self.common.course.scenarios.iter().map(|s| s.name.as_str());
        let names: Vec<&str> = names.collect();
        let Some(report) = self.merge.take(&names) else { return };
        let n = report.series.iter().map(|series| series.measured.requests()).sum();
        let failed = report.series.iter().map(|series| series.measured.failed()).sum();
        let length = Duration::from_micros(report.length_us);
        let (wanted, rows) = match &mut self.search {
            Some(search) => (search.observe(&report, &self.common.course), search.rows()),
            None => {
                self.thresholds.observe(&report, &self.common.course);
                (Wanted::Same, self.thresholds.rows())
            }
        };
        self.emit(LoadEvent::Interval(Box::new(report)));
        if !rows.is_empty() {
            self.emit(LoadEvent::Thresholds { rows });
        }
        if self.early.is_some() || self.drop_at.is_some() {
            return;
        }
        // A search takes the load back by itself where requests fail.
        let brake = self.guard.observe(length, n, failed).filter(|_| self.search.is_none());
        if let Some(reason) = brake {
            self.stop_early(EarlyEnd::Guard(reason));
        } else if let Some(reason) = self.thresholds.stops(self.clock.elapsed()) {
            self.stop_early(EarlyEnd::Threshold(reason));
        } else {
            self.search_on(wanted);
        }
    }

    /// Does what the search for the largest sustained rate wants next.
    fn search_on(&mut self, wanted: Wanted) {
        if wanted == Wanted::Same {
            return;
        }
        if let Some(search) = &self.search {
            self.emit(LoadEvent::Limit(search.report().clone()));
        }
        match wanted {
            Wanted::Rate(percent) => {
                self.targets.send_modify(|targets| targets.percent.fill(percent));
            }
            _ => self.drain(),
        }
    }

    async fn clean(&self) {
        let Some(rag) = &self.context.config.services.rag else { return };
        let (Some(scratch), true) = (&rag.scratch, self.course().writes()) else { return };
        if self.common.documents.taken() == 0 {
            // Numbers were announced: it is on record that none of them was used.
            return self.emit(LoadEvent::Cleanup(CleanupReport::default()));
        }
        let mut scenarios = self.course().scenarios.iter();
        let at = scenarios.position(|ready| ready.service == ServiceKind::Rag);
        let Some(endpoint) = at.map(|at| Arc::clone(&self.common.endpoints[at])) else { return };
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
