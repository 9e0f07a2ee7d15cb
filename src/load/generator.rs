//! A generator thread: its own runtime, its own users, its own histograms. It hands out one message
//! an interval, and takes no lock that another thread holds.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle as Task, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::alarm::{self, Alarm};
use super::crew::Crew;
use super::exchange::Dial;
use super::recorder::{Measured, Recorder};
use super::shared::{Common, Gate, ThreadShared};

/// Length of an interval.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// How often a thread looks how long ready work waits for it.
const PULSE: Duration = Duration::from_millis(20);

/// What a thread says.
pub enum FromThread {
    /// What it measured.
    Interval(Box<ThreadInterval>),
    /// Nothing is in flight, and the gate is held in this pause.
    Holding(u32),
    /// All its users have left.
    Ended,
}

/// What a thread measured in one interval.
pub struct ThreadInterval {
    /// Which thread.
    pub thread: u32,
    /// Its series, lateness and examples of failures.
    pub measured: Measured,
    /// Its users by scenario.
    pub users: Vec<u32>,
    /// Share of one core that it used, in percent.
    pub busy_percent: f32,
    /// Its requests in flight.
    pub in_flight: u32,
    /// How long it measured.
    pub length: Duration,
}

/// What is wanted of all threads together.
#[derive(Clone, Debug, PartialEq)]
pub struct Targets {
    /// Users by scenario; for an open model those that are there from the start.
    pub users: Vec<u32>,
    /// When the plan clock showed zero, had there been no pause.
    pub origin: Instant,
    /// Percent of the planned rate by scenario.
    pub percent: Vec<u32>,
}

/// What a thread is made from.
pub struct ThreadParts {
    /// Which thread, of how many.
    pub thread: u32,
    /// How many there are.
    pub threads: u32,
    /// What all threads share.
    pub common: Arc<Common>,
    /// Seed of its users' choices.
    pub seed: u64,
    /// Whether users may send.
    pub gate: watch::Receiver<Gate>,
    /// What is wanted of all threads together.
    pub targets: watch::Receiver<Targets>,
    /// Where it says what it measured.
    pub out: mpsc::Sender<FromThread>,
}

/// Starts a thread; `dial` makes its ways to connect, one a scenario, on that thread.
///
/// # Errors
/// When the system has no thread or descriptor left.
pub fn spawn(
    parts: ThreadParts,
    dial: impl FnOnce() -> Vec<Rc<dyn Dial>> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let name = format!("load-{}", parts.thread);
    std::thread::Builder::new().name(name).spawn(move || {
        let local = LocalSet::new();
        local.block_on(&runtime, async move { run(parts, dial(), Alarm::new().ok()).await });
    })
}

/// Runs a generator on the current thread, inside a `LocalSet`, until its users have left. Arrivals are
/// sent by the alarm, or without one (in virtual time, which the kernel does not know) by tokio's timer.
pub async fn run(parts: ThreadParts, dial: Vec<Rc<dyn Dial>>, alarm: Option<Alarm>) {
    let course = &parts.common.course;
    let recorder = Recorder::new(course.series.len(), course.scenarios.len());
    let Ok(recorder) = recorder else { return };
    let shared = Rc::new(ThreadShared {
        common: Arc::clone(&parts.common),
        recorder: RefCell::new(recorder),
        in_flight: Cell::new(0),
        idle_awaited: Cell::new(false),
        idle: Notify::new(),
    });
    let crew = Crew::new(&parts, &shared, dial);
    let pulse = tokio::task::spawn_local(feel_pulse(Rc::clone(&shared)));
    let (cpu, since) = (CpuClock::start(), Instant::now());
    let mut generator = Generator { crew, cpu, since, holding: None, parts, shared, alarm };
    generator.work().await;
    stop(pulse).await;
}

/// A timer that waits for the thread as answers do: through its driver, and then behind everything
/// else that is ready. So long may those answers have waited that came around then, at most one for
/// each request in flight: a wait weighs what it hits, as every other figure does.
async fn feel_pulse(shared: Rc<ThreadShared>) {
    let mut finished = [0; 2];
    let mut last: Option<(Duration, usize)> = None;
    loop {
        let due = Instant::now() + PULSE;
        tokio::time::sleep_until(due).await;
        let (wait, in_flight) = (due.elapsed(), shared.in_flight.get().max(1));
        let mut recorder = shared.recorder.borrow_mut();
        let now = recorder.finished();
        if let Some((waited, then)) = last.replace((wait, in_flight)) {
            // Those before it, and those that came behind it.
            let came = now - finished[0];
            recorder.loop_waited(waited, came.min(then.max(in_flight) as u64));
        }
        finished = [finished[1], now];
    }
}

async fn stop(task: Task<()>) {
    task.abort();
    // It was cancelled, as it should be.
    let _ = task.await;
}

struct Generator {
    parts: ThreadParts,
    shared: Rc<ThreadShared>,
    crew: Crew,
    alarm: Option<Alarm>,
    cpu: CpuClock,
    /// Since when it measures what it has not handed out.
    since: Instant,
    /// The pause in which it holds.
    holding: Option<u32>,
}

impl Generator {
    async fn work(&mut self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        let shared = Rc::clone(&self.shared);
        self.follow_targets();
        loop {
            let gate = *self.parts.gate.borrow_and_update();
            if gate == Gate::Dropped || (gate == Gate::Draining && self.crew.is_empty()) {
                break;
            }
            self.acknowledge_hold(gate).await;
            let arrival = self.crew.next_arrival().filter(|_| gate == Gate::Open);
            tokio::select! {
                biased;
                changed = self.parts.gate.changed() => if changed.is_err() { break },
                changed = self.parts.targets.changed() => match changed {
                    Ok(()) => self.follow_targets(),
                    Err(_) => break,
                },
                () = shared.idle.notified() => {}
                () = due(self.alarm.as_ref(), arrival) => self.crew.dispatch(),
                () = self.crew.someone_left() => {}
                _ = ticks.tick() => {
                    self.crew.drop_overdue();
                    self.report();
                }
            }
        }
        self.crew.dismiss().await;
        // The last words of a thread wait for room: they hold what it measured last.
        let last = self.measure();
        let _ = self.parts.out.send(FromThread::Interval(Box::new(last))).await;
        let _ = self.parts.out.send(FromThread::Ended).await;
    }

    async fn acknowledge_hold(&mut self, gate: Gate) {
        let pause = match gate {
            Gate::Held(pause) => Some(pause),
            _ => None,
        };
        self.shared.idle_awaited.set(pause.is_some());
        if self.holding == pause {
            return;
        }
        if self.holding.take().is_some() {
            // The time of a pause is nobody's.
            self.since = Instant::now();
        }
        if let Some(pause) = pause.filter(|_| self.shared.in_flight.get() == 0) {
            self.holding = Some(pause);
            let last = self.measure();
            let _ = self.parts.out.send(FromThread::Interval(Box::new(last))).await;
            let _ = self.parts.out.send(FromThread::Holding(pause)).await;
        }
    }

    fn follow_targets(&mut self) {
        let targets = self.parts.targets.borrow_and_update().clone();
        self.crew.follow(targets);
    }

    /// Hands the interval out; while there is no room, it goes on growing, so that nothing is lost.
    fn report(&mut self) {
        if self.holding.is_some() || self.parts.out.capacity() == 0 {
            return;
        }
        let measured = self.measure();
        let _ = self.parts.out.try_send(FromThread::Interval(Box::new(measured)));
    }

    fn measure(&mut self) -> ThreadInterval {
        let now = Instant::now();
        ThreadInterval {
            length: now - std::mem::replace(&mut self.since, now),
            thread: self.parts.thread,
            measured: self.shared.recorder.borrow_mut().take(&self.parts.common.course.series),
            users: self.crew.users(),
            busy_percent: self.cpu.busy_percent(),
            in_flight: self.shared.in_flight.get() as u32,
        }
    }
}

/// Waits until an arrival is due; for ever when there is none.
pub(super) async fn due(alarm: Option<&Alarm>, at: Option<Instant>) {
    match at {
        Some(at) => alarm::until(alarm, at).await,
        None => std::future::pending().await,
    }
}

/// CPU time of this thread against the time that passed.
struct CpuClock {
    used: Duration,
    at: Instant,
    last_percent: f32,
}

/// Over less than this a share of CPU says nothing: the remainder at the end of a phase may be one
/// scheduler slice long, and is then always busy.
const SHORTEST_CPU_WINDOW: Duration = Duration::from_millis(500);

impl CpuClock {
    fn start() -> Self {
        Self { used: thread_cpu_time(), at: Instant::now(), last_percent: 0.0 }
    }

    fn busy_percent(&mut self) -> f32 {
        let (used, at) = (thread_cpu_time(), Instant::now());
        let passed = at - self.at;
        if passed >= SHORTEST_CPU_WINDOW {
            let busy = used.saturating_sub(self.used).as_secs_f32();
            self.last_percent = busy * 100.0 / passed.as_secs_f32();
            (self.used, self.at) = (used, at);
        }
        self.last_percent
    }
}

fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
