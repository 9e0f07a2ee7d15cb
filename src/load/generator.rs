//! A generator thread: its own runtime, its own users, its own histograms. It hands out one message
//! an interval, and takes no lock that another thread holds.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::header::HeaderMap;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::exchange::{Dial, common_headers};
use super::population::stripe;
use super::recorder::{Measured, Recorder};
use super::user::{Common, Gate, ThreadShared, User, UserParts};

/// Length of an interval.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// What a thread says.
pub enum FromThread {
    /// What it measured.
    Interval(Box<ThreadInterval>),
    /// Nothing is in flight, and the gate is held.
    Holding,
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
    /// Users wanted by scenario, over all threads.
    pub targets: watch::Receiver<Vec<u32>>,
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
        local.block_on(&runtime, run(parts, dial()));
    })
}

/// Runs a generator on the current thread, inside a `LocalSet`, until its users have left.
pub async fn run(parts: ThreadParts, dial: Vec<Rc<dyn Dial>>) {
    let Ok(recorder) = Recorder::new(parts.common.course.series.len()) else { return };
    let shared = Rc::new(ThreadShared {
        common: Arc::clone(&parts.common),
        recorder: RefCell::new(recorder),
        in_flight: Cell::new(0),
        idle: Notify::new(),
    });
    let headers = parts.common.endpoints.iter();
    let headers =
        headers.map(|e| Rc::new(common_headers(e, &parts.common.run_id))).collect::<Vec<_>>();
    let scenarios = parts.common.course.scenarios.len();
    let mut generator = Generator {
        users: (0..scenarios).map(|_| Vec::new()).collect(),
        tasks: JoinSet::new(),
        cpu: CpuClock::start(),
        born: 0,
        holding: false,
        parts,
        shared,
        dial,
        headers,
    };
    generator.work().await;
}

struct Generator {
    parts: ThreadParts,
    shared: Rc<ThreadShared>,
    dial: Vec<Rc<dyn Dial>>,
    headers: Vec<Rc<HeaderMap>>,
    /// How to tell each user of a scenario to leave.
    users: Vec<Vec<oneshot::Sender<()>>>,
    tasks: JoinSet<()>,
    cpu: CpuClock,
    born: u64,
    holding: bool,
}

impl Generator {
    async fn work(&mut self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let shared = Rc::clone(&self.shared);
        self.follow_targets();
        loop {
            let gate = *self.parts.gate.borrow_and_update();
            if gate == Gate::Dropped || (gate == Gate::Draining && self.tasks.is_empty()) {
                break;
            }
            self.acknowledge_hold(gate).await;
            tokio::select! {
                biased;
                changed = self.parts.gate.changed() => if changed.is_err() { break },
                changed = self.parts.targets.changed() => match changed {
                    Ok(()) => self.follow_targets(),
                    Err(_) => break,
                },
                () = shared.idle.notified() => {}
                Some(_) = self.tasks.join_next() => {}
                _ = ticks.tick() => self.report(),
            }
        }
        self.tasks.shutdown().await;
        self.users.iter_mut().for_each(Vec::clear);
        // The last words of a thread wait for room: they hold what it measured last.
        let last = self.measure();
        let _ = self.parts.out.send(FromThread::Interval(Box::new(last))).await;
        let _ = self.parts.out.send(FromThread::Ended).await;
    }

    async fn acknowledge_hold(&mut self, gate: Gate) {
        if gate != Gate::Held {
            self.holding = false;
        } else if !self.holding && self.shared.in_flight.get() == 0 {
            self.holding = true;
            let last = self.measure();
            let _ = self.parts.out.send(FromThread::Interval(Box::new(last))).await;
            let _ = self.parts.out.send(FromThread::Holding).await;
        }
    }

    fn follow_targets(&mut self) {
        let targets = self.parts.targets.borrow_and_update().clone();
        for (scenario, total) in targets.into_iter().enumerate().take(self.users.len()) {
            let wanted = stripe(total, self.parts.thread, self.parts.threads) as usize;
            while self.users[scenario].len() < wanted {
                let leave = self.add_user(scenario);
                self.users[scenario].push(leave);
            }
            // The dropped senders tell the youngest users to leave after the step in flight.
            self.users[scenario].truncate(wanted);
        }
    }

    fn add_user(&mut self, scenario: usize) -> oneshot::Sender<()> {
        let (leave, told_to_leave) = oneshot::channel();
        self.born += 1;
        let seed = self.parts.seed ^ (u64::from(self.parts.thread) << 48) ^ self.born;
        let user = User::new(UserParts {
            shared: Rc::clone(&self.shared),
            scenario,
            seed,
            dial: Rc::clone(&self.dial[scenario]),
            headers: Rc::clone(&self.headers[scenario]),
            gate: self.parts.gate.clone(),
            leave: told_to_leave,
        });
        self.tasks.spawn_local(user.live());
        leave
    }

    /// Hands the interval out; while there is no room, it goes on growing, so that nothing is lost.
    fn report(&mut self) {
        if self.holding || self.parts.out.capacity() == 0 {
            return;
        }
        let measured = self.measure();
        let _ = self.parts.out.try_send(FromThread::Interval(Box::new(measured)));
    }

    fn measure(&mut self) -> ThreadInterval {
        ThreadInterval {
            thread: self.parts.thread,
            measured: self.shared.recorder.borrow_mut().take(&self.parts.common.course.series),
            users: self.users.iter().map(|users| users.len() as u32).collect(),
            busy_percent: self.cpu.busy_percent(),
        }
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
