//! The generator in virtual time, against servers in memory whose behaviour is known exactly: the
//! same code that drives real load, under tokio's paused clock.

mod arrivals;
mod closed;
mod control;
mod crashed;
mod distributions;
mod executors;
mod overload;
mod plain;
mod queue;
mod sessions;
mod size;
mod stall;
mod steps;
mod streams;
mod vanished;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::budget::Budget;
use super::course::Course;
use super::documents::Documents;
use super::exchange::{Dial, Dialling};
use super::generator::{self, FromThread, Targets, ThreadParts, due};
use super::merge::Merge;
use super::plain::Stream;
use super::population::Population;
use super::progress::Progress;
use super::schedule::Schedule;
use super::shared::{Common, Gate};
use super::thresholds::ThresholdWatch;
use crate::config::{Config, LoadOptions, PhaseKind, parse};
use crate::platform::connection::{ConnectError, Connection};
use crate::platform::endpoint::ResolvedEndpoint;
use crate::run::clock::PlanClock;
use crate::run::event::{Iterations, Measurements, ScenarioModel, ThresholdRow};
use crate::run::histogram::Histogram;

pub type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;
type Answering = Pin<Box<dyn Future<Output = Answer>>>;
type Handler = Rc<dyn Fn(Request<Incoming>) -> Answering>;

/// A whole answer.
pub fn whole(status: u16, body: &str) -> Answer {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes())).boxed_unsync();
    Response::builder().status(status).body(body).expect("an answer")
}

/// A server in memory, and when requests reached it.
#[derive(Clone)]
pub struct Server {
    handler: Handler,
    arrived: Rc<RefCell<Vec<Instant>>>,
    away: Option<Range<Instant>>,
}

impl Server {
    /// A server that answers like this.
    pub fn new<F: Future<Output = Answer> + 'static>(
        answer: impl Fn(Request<Incoming>) -> F + 'static,
    ) -> Self {
        let handler: Handler = Rc::new(move |request| Box::pin(answer(request)));
        Self { handler, arrived: Rc::default(), away: None }
    }

    /// The same, gone for so long: its connections break, and it takes no new ones.
    pub fn away(self, away: Range<Instant>) -> Self {
        Self { away: Some(away), ..self }
    }

    fn accept(&self) -> Result<DuplexStream, ConnectError> {
        if self.away.as_ref().is_some_and(|away| away.contains(&Instant::now())) {
            return Err(ConnectError::Tcp(io::ErrorKind::ConnectionRefused.into()));
        }
        let (client, server) = tokio::io::duplex(64 * 1024);
        let (handler, arrived) = (Rc::clone(&self.handler), Rc::clone(&self.arrived));
        let answer = service_fn(move |request| {
            arrived.borrow_mut().push(Instant::now());
            let answering = handler(request);
            async move { Ok::<_, Infallible>(answering.await) }
        });
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(server), answer);
        let goes = self.away.as_ref().map(|away| away.start).filter(|goes| *goes > Instant::now());
        tokio::task::spawn_local(async move {
            tokio::select! {
                // Ends with its client.
                _ = serving => {}
                () = due(None, goes) => {}
            }
        });
        Ok(client)
    }
}

impl Dial for Server {
    fn dial(&self) -> Dialling<'_, Connection> {
        Box::pin(async { Connection::over(self.accept()?).await })
    }

    fn dial_plain(&self) -> Option<Dialling<'_, Box<dyn Stream>>> {
        Some(Box::pin(async { Ok(Box::new(self.accept()?) as Box<dyn Stream>) }))
    }
}

/// What was measured, and what the server saw.
#[derive(Default)]
pub struct Seen {
    pub all: Measurements,
    pub steps: BTreeMap<String, Measurements>,
    pub iterations: BTreeMap<String, Iterations>,
    pub lateness: Histogram,
    pub loop_lateness: Histogram,
    /// Most users of all scenarios at a time.
    pub most_users: u32,
    /// When requests reached the server, after the start.
    pub arrived: Vec<Duration>,
    pub thresholds: Vec<ThresholdRow>,
    pub models: Vec<ScenarioModel>,
    /// How often a thread said that it holds.
    pub holds: u32,
    /// Time of the plan clock at the end.
    pub lasted: Duration,
}

/// What a test does to the load while it runs.
pub struct Controls {
    pub gate: watch::Sender<Gate>,
    pub targets: watch::Sender<Targets>,
    pub clock: RefCell<PlanClock>,
    pauses: Cell<u32>,
}

impl Controls {
    /// Nothing has been done yet.
    fn of(population: &Population) -> Self {
        let clock = PlanClock::start();
        let users = population.at(Duration::ZERO);
        let first = Targets {
            origin: clock.instant_at(Duration::ZERO),
            percent: vec![100; users.len()],
            users,
        };
        Self {
            gate: watch::channel(Gate::Open).0,
            targets: watch::channel(first).0,
            clock: RefCell::new(clock),
            pauses: Cell::default(),
        }
    }

    pub fn pause(&self) {
        self.clock.borrow_mut().hold();
        self.pauses.set(self.pauses.get() + 1);
        self.gate.send_replace(Gate::Held(self.pauses.get()));
    }

    pub fn resume(&self) {
        self.clock.borrow_mut().release();
        let origin = self.clock.borrow().instant_at(Duration::ZERO);
        self.targets.send_modify(|targets| targets.origin = origin);
        self.gate.send_replace(Gate::Open);
    }

    pub fn rate(&self, percent: u32) {
        self.targets.send_modify(|targets| targets.percent.fill(percent));
    }
}

/// A platform of one RAG service with this workload for the mixed phase.
pub fn platform(workload: &str) -> Config {
    let services = r#"
target: { name: memory, environment: sandbox }
services:
  chat:
    endpoint: { base_url: "http://memory", timeout: 5s }
    model: m
  rag:
    endpoint: { base_url: "http://memory", timeout: 5s }
    query: { path: /query, body: { q: "{question}" } }
  mcp:
    endpoint: { base_url: "http://memory", timeout: 5s }
    tools: [{ name: echo }]
workloads:
  mixed:
"#;
    let indented: String = workload.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!("{services}{indented}");
    match parse("platform", &text, &LoadOptions::default()) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{error}"),
    }
}

/// Plays a workload for so many seconds.
pub fn play(workload: &str, seconds: u64, server: impl FnOnce() -> Server) -> Seen {
    play_with(workload, seconds, 1, server, |_| std::future::pending())
}

/// The same on several threads' generators, with somebody who does things meanwhile.
pub fn play_with<F: Future<Output = ()> + 'static>(
    workload: &str,
    seconds: u64,
    threads: u32,
    server: impl FnOnce() -> Server,
    operate: impl FnOnce(Rc<Controls>) -> F,
) -> Seen {
    let config = platform(workload);
    count_crashes();
    let work = async {
        let length = Duration::from_secs(seconds);
        let common = Arc::new(common(config, length));
        let server = server();
        let start = Instant::now();
        let dial = || Rc::new(server.clone()) as Rc<dyn Dial>;
        let mut seen = drive(&common, length, threads, dial, operate).await;
        seen.arrived = server.arrived.borrow().iter().map(|at| *at - start).collect();
        seen
    };
    let seen = in_virtual_time(work);
    assert_eq!(CRASHES.get(), 0, "a virtual user crashed");
    seen
}

fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    LocalSet::new().block_on(&runtime.expect("runtime"), work)
}

thread_local! {
    /// Crashes on this thread: a user that crashes is missed by nobody, as if it had left.
    static CRASHES: Cell<u32> = const { Cell::new(0) };
}

fn count_crashes() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |crash| {
            CRASHES.set(CRASHES.get() + 1);
            tell(crash);
        }));
    });
    CRASHES.set(0);
}

fn common(config: Config, length: Duration) -> Common {
    let workload = config.workloads.of(PhaseKind::Mixed).expect("there");
    let course = Course::new(workload, &config, length).expect("feeders");
    assert_eq!(course.left_out, [], "everything runs");
    let endpoint = &config.services.rag.as_ref().expect("there").endpoint;
    let endpoint = Arc::new(ResolvedEndpoint::resolve(endpoint).expect("valid"));
    let scenarios = course.scenarios.len();
    Common {
        endpoints: vec![endpoint; scenarios],
        progress: (0..scenarios).map(|_| Progress::default()).collect(),
        course,
        config: Arc::new(config),
        budget: Budget::new(None, None, (0, 0)),
        exhausted: AtomicBool::new(false),
        crashed: AtomicBool::new(false),
        documents: Documents::new("test", "mixed"),
        run_id: "test".into(),
    }
}

/// Runs generators until the workload is over, and takes in what they say.
async fn drive<F: Future<Output = ()> + 'static>(
    common: &Arc<Common>,
    length: Duration,
    threads: u32,
    dial: impl Fn() -> Rc<dyn Dial>,
    operate: impl FnOnce(Rc<Controls>) -> F,
) -> Seen {
    let workload = common.config.workloads.of(PhaseKind::Mixed).expect("there");
    let schedules: Vec<Schedule> =
        common.course.scenarios.iter().map(|ready| ready.schedule.clone()).collect();
    let population = Population::new(&schedules, workload.users.unwrap_or(0), workload.spawn_rate);
    let controls = Rc::new(Controls::of(&population));
    let (out, from_threads) = mpsc::channel(10_000);
    for thread in 0..threads {
        let parts = ThreadParts {
            thread,
            threads,
            common: Arc::clone(common),
            seed: 1,
            gate: controls.gate.subscribe(),
            targets: controls.targets.subscribe(),
            out: out.clone(),
        };
        let dial = schedules.iter().map(|_| dial()).collect();
        tokio::task::spawn_local(generator::run(parts, dial, None));
    }
    drop(out);
    tokio::task::spawn_local(operate(Rc::clone(&controls)));
    let lasted = follow_plan(common, length, &population, &controls).await;
    controls.gate.send_replace(Gate::Draining);
    Seen { lasted, ..take_in(common, threads, from_threads).await }
}

/// Keeps as many users as are planned until the workload is over; returns when that was.
async fn follow_plan(
    common: &Common,
    length: Duration,
    population: &Population,
    controls: &Controls,
) -> Duration {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let elapsed = controls.clock.borrow().elapsed();
        let users = population.at(elapsed);
        controls.targets.send_if_modified(|targets| {
            let changed = targets.users != users;
            targets.users = users;
            changed
        });
        let done = common.course.scenarios.iter().zip(&common.progress).all(|(ready, progress)| {
            ready.schedule.is_over(elapsed) || progress.is_done(&ready.schedule.model)
        });
        if elapsed >= length || done {
            return elapsed;
        }
    }
}

/// What generators say until the last of them has ended.
async fn take_in(
    common: &Common,
    threads: u32,
    mut from_threads: mpsc::Receiver<FromThread>,
) -> Seen {
    let workload = common.config.workloads.of(PhaseKind::Mixed).expect("there");
    let mut seen = Seen::default();
    let mut watch = ThresholdWatch::new(workload, &common.course);
    let scenarios = &common.course.scenarios;
    let names: Vec<&str> = scenarios.iter().map(|ready| ready.name.as_str()).collect();
    let mut merge = Merge::new(threads as usize);
    while let Some(message) = from_threads.recv().await {
        seen.holds += u32::from(matches!(message, FromThread::Holding(_)));
        let FromThread::Interval(interval) = message else { continue };
        seen.most_users = seen.most_users.max(interval.users.iter().sum());
        merge.add(*interval);
        let Some(mut report) = merge.take(&names) else { continue };
        report.length_us = 1_000_000 / u64::from(threads);
        watch.observe(&report, &common.course);
        seen.lateness.add(&report.generator.lateness);
        seen.loop_lateness.add(&report.generator.loop_lateness);
        for (name, iterations) in &report.iterations {
            seen.iterations.entry(name.clone()).or_default().add(iterations);
        }
        for series in &report.series {
            seen.all.add(&series.measured);
            seen.steps.entry(series.key.step.clone()).or_default().add(&series.measured);
        }
    }
    seen.thresholds = watch.rows();
    seen.models = scenarios.iter().map(|ready| ready.model.clone()).collect();
    seen
}

/// Tokio's timers count whole milliseconds and fire on the next one.
pub fn is_about(measured: Option<Duration>, expected: Duration) -> bool {
    let measured = measured.unwrap_or_default();
    measured >= expected && measured <= expected + Duration::from_millis(3)
}

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
