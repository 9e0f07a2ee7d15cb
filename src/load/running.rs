//! A load phase at work: threads are started, followed and merged; operators' wishes are carried to
//! them.

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
use super::limit::{Search, Wanted};
use super::merge::Merge;
use super::phase::LoadPhase;
use super::population::Population;
use super::rag::Cleaner;
use super::schedule::Model;
use super::thresholds::ThresholdWatch;
use super::user::{Common, Gate};
use super::verdict::{EarlyEnd, outcome};
use crate::config::ServiceKind;
use crate::platform::descriptors;
use crate::run::clock::PlanClock;
use crate::run::event::{CleanupReport, ClockFloor, EventBody, LoadEvent, LoadStart, PhaseOutcome};
use crate::run::phase::{ControlChange, Phase, PhaseCommand, PhaseContext, Wish};
use crate::run::state::{LoadState, RunState};

/// How often ramps, documents and the end of the phase are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long documents may take to be removed, in good order and in a hurry.
const CLEAN_WITHIN: Duration = Duration::from_secs(45);
const CLEAN_IN_A_HURRY: Duration = Duration::from_secs(5);
/// Most of the planned rate that an operator may ask for, in percent.
const MAX_RATE_PERCENT: u32 = 1000;

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
        running.tell_descriptors();
        running.announce_documents();
        for thread in 0..threads {
            running.start_thread(thread, &gate_seen, &targets_seen, &out)?;
        }
        running.emit(LoadEvent::Started(LoadStart {
            engine: "built-in".into(),
            threads,
            scenarios: course.scenarios.iter().map(|s| (s.name.clone(), s.service)).collect(),
            left_out: course.left_out.clone(),
            models: course.scenarios.iter().map(|s| s.model.clone()).collect(),
            clock: Some(clock_floor),
        }));
        // A search that ends within its first step was one all the same.
        if let Some(search) = &running.search {
            running.emit(LoadEvent::Limit(search.report().clone()));
        }
        Ok(running)
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
        let (kind, early) = (self.phase.kind(), self.early.take());
        self.context.events.with_state(|state| {
            let load = state.phase(kind).and_then(|phase| phase.load.as_ref());
            let empty = LoadState::default();
            outcome(load.unwrap_or(&empty), early)
        })
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
        if self.common.exhausted.load(Ordering::Relaxed) && self.early.is_none() {
            let percent = elapsed.as_secs_f64() * 100.0 / self.context.length.as_secs_f64();
            let reason = format!(
                "the cap on requests or tokens was reached after {percent:.0} % of the phase"
            );
            self.stop_early(EarlyEnd::Cap(reason));
        }
        if elapsed >= self.context.length || self.is_over(elapsed) {
            self.drain();
        }
        if self.drop_at.is_some_and(|at| Instant::now() >= at) {
            self.gate.send_replace(Gate::Dropped);
        }
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
                let origin = self.clock.instant_at(Duration::ZERO);
                // Before the gate opens, so that no arrival of the pause is due.
                self.targets.send_modify(|targets| targets.origin = origin);
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
            ControlChange::Command(PhaseCommand::ChangeRate { scenario, by_percent }) => {
                self.change_rate(scenario, by_percent);
            }
            // There is nothing to heal in load.
            ControlChange::Command(PhaseCommand::Heal) => {}
        }
    }

    fn rescale(&mut self, scenario: Option<String>, by: i32) {
        let at = scenario
            .as_ref()
            .and_then(|name| self.course().scenarios.iter().position(|s| s.name == *name));
        let users = self.population.rescale(at, by, self.clock.elapsed());
        self.emit(LoadEvent::Rescaled { scenario, users });
        self.look();
    }

    fn change_rate(&mut self, scenario: Option<String>, by_percent: i32) {
        if self.search.is_some() {
            return log::warn!("the search for the limit chooses the rate: it is not changed");
        }
        let wanted = |ready: &super::course::ReadyScenario| {
            let open = matches!(ready.schedule.model, Model::Arrivals { .. });
            open && scenario.as_ref().is_none_or(|name| *name == ready.name)
        };
        let mut changed = Vec::new();
        self.targets.send_modify(|targets| {
            for (ready, percent) in self.common.course.scenarios.iter().zip(&mut targets.percent) {
                if wanted(ready) {
                    let new = percent.saturating_add_signed(by_percent).min(MAX_RATE_PERCENT);
                    *percent = new;
                    changed.push((ready.name.clone(), new));
                }
            }
        });
        for (name, percent) in changed {
            self.emit(LoadEvent::RateChanged { scenario: Some(name), percent });
        }
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
        if self.search.is_none() {
            self.thresholds.observe(&report, &self.common.course);
        }
        let wanted = self.search.as_mut().map(|s| s.observe(&report, &self.common.course));
        self.emit(LoadEvent::Interval(Box::new(report)));
        let rows = self.search.as_ref().map_or_else(|| self.thresholds.rows(), Search::rows);
        if !rows.is_empty() {
            self.emit(LoadEvent::Thresholds { rows });
        }
        if self.early.is_some() || self.drop_at.is_some() {
            return;
        }
        if let Some(reason) = self.guard.observe(length, n, failed) {
            self.stop_early(EarlyEnd::Guard(reason));
        } else if let Some(wanted) = wanted {
            self.search_on(wanted);
        } else if let Some(reason) = self.thresholds.stops(self.clock.elapsed()) {
            self.stop_early(EarlyEnd::Threshold(reason));
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
