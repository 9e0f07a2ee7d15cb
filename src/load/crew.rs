//! The users of one generator thread: as many as are wanted, and as many as arrivals need.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::header::HeaderMap;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::arrivals::{Counter, Due};
use super::exchange::{Dial, common_headers};
use super::generator::{Targets, ThreadParts};
use super::population::stripe;
use super::recorder::Ended;
use super::schedule::Model;
use super::shared::{Common, Gate, ThreadShared};
use super::user::{User, UserParts};

/// The users of a thread.
pub struct Crew {
    shared: Rc<ThreadShared>,
    gate: watch::Receiver<Gate>,
    thread: u32,
    threads: u32,
    seed: u64,
    random: StdRng,
    targets: Targets,
    scenarios: Vec<Team>,
    tasks: JoinSet<()>,
    /// Users that were told to leave, and when they are dropped.
    leaving: Vec<(Instant, AbortHandle)>,
    born: u64,
}

/// The users of one scenario.
struct Team {
    dial: Rc<dyn Dial>,
    headers: Rc<HeaderMap>,
    users: Vec<Member>,
    arrivals: Option<Arriving>,
}

/// A user, and how to tell it to leave.
struct Member {
    leave: oneshot::Sender<()>,
    task: AbortHandle,
}

/// Arrivals of an open model, as far as this thread takes them.
struct Arriving {
    due: Due,
    counter: Rc<Counter>,
    percent: u32,
    max_users: u32,
}

impl Crew {
    /// A crew without users; `dial` is how those of each scenario connect.
    pub fn new(parts: &ThreadParts, shared: &Rc<ThreadShared>, dial: Vec<Rc<dyn Dial>>) -> Self {
        let common = &parts.common;
        let mut random =
            StdRng::seed_from_u64(parts.seed ^ u64::from(parts.thread).rotate_left(32));
        let mut team = |(at, dial): (usize, Rc<dyn Dial>)| Team {
            dial,
            headers: Rc::new(common_headers(&common.endpoints[at], &common.run_id)),
            users: Vec::new(),
            arrivals: arriving(common, at, parts.thread, parts.threads, &mut random),
        };
        Self {
            scenarios: dial.into_iter().enumerate().map(&mut team).collect(),
            shared: Rc::clone(shared),
            gate: parts.gate.clone(),
            thread: parts.thread,
            threads: parts.threads,
            seed: parts.seed,
            random,
            targets: parts.targets.borrow().clone(),
            tasks: JoinSet::new(),
            leaving: Vec::new(),
            born: 0,
        }
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Users by scenario.
    pub fn users(&self) -> Vec<u32> {
        let alive = |team: &Team| {
            team.users.iter().filter(|member| !member.task.is_finished()).count() as u32
        };
        self.scenarios.iter().map(alive).collect()
    }

    /// Waits until somebody has left; for ever when nobody is there.
    pub async fn someone_left(&mut self) {
        match self.tasks.join_next().await {
            None => std::future::pending::<()>().await,
            Some(Err(error)) if error.is_panic() => {
                log::error!("a virtual user crashed: {error}");
                self.shared.common.crashed.store(true, Ordering::Relaxed);
            }
            Some(_) => {}
        }
    }

    /// Has as many users as are wanted, and the rates that are wanted.
    pub fn follow(&mut self, targets: Targets) {
        let before = std::mem::replace(&mut self.targets, targets);
        for at in 0..self.scenarios.len() {
            self.follow_rate(at, before.origin);
            self.follow_users(at);
        }
    }

    fn follow_rate(&mut self, at: usize, origin: Instant) {
        let percent = self.targets.percent.get(at).copied().unwrap_or(100);
        let start = self.shared.common.course.scenarios[at].schedule.start;
        let Some(arriving) = &mut self.scenarios[at].arrivals else { return };
        if arriving.percent != percent {
            arriving.percent = percent;
            let now = Instant::now().saturating_duration_since(origin + start);
            arriving.due.change(f64::from(percent) / 100.0, now);
        }
    }

    fn follow_users(&mut self, at: usize) {
        let schedule = &self.shared.common.course.scenarios[at].schedule;
        let model = &schedule.model;
        let (open, counted) =
            (matches!(model, Model::Arrivals { .. }), matches!(model, Model::Iterations { .. }));
        let total = self.targets.users.get(at).copied().unwrap_or(0);
        let wanted = self.part(at, total) as usize;
        let grace = if total == 0 { schedule.graceful_stop } else { schedule.graceful_ramp_down };
        let spent = self.shared.common.progress[at].is_spent();
        let team = &mut self.scenarios[at];
        // Those that have done all their iterations still count: nobody comes in their place.
        if !counted {
            team.users.retain(|member| !member.task.is_finished());
        }
        // Those whom arrivals brought stay until it is over, also on threads that began with none.
        let keep = if open && total > 0 { team.users.len().max(wanted) } else { wanted };
        if team.users.len() > keep {
            let deadline = Instant::now() + grace;
            for member in team.users.drain(keep..) {
                // The dropped sender tells the user to leave after its flow.
                drop(member.leave);
                self.leaving.push((deadline, member.task));
            }
        }
        while !spent && self.scenarios[at].users.len() < wanted {
            self.add_user(at);
        }
    }

    /// This thread's part of the users of a scenario.
    fn part(&self, at: usize, total: u32) -> u32 {
        match self.shared.common.course.scenarios[at].schedule.model {
            Model::Arrivals { max_users, .. } => {
                let threads = self.threads.min(max_users);
                if self.thread < threads { stripe(total, self.thread, threads) } else { 0 }
            }
            _ => stripe(total, self.thread, self.threads),
        }
    }

    /// Drops users that were told to leave and did not in time.
    pub fn drop_overdue(&mut self) {
        let now = Instant::now();
        self.leaving.retain(|(deadline, task)| {
            if *deadline <= now {
                task.abort();
            }
            *deadline > now && !task.is_finished()
        });
    }

    /// Drops everybody.
    pub async fn dismiss(&mut self) {
        self.tasks.abort_all();
        while !self.is_empty() {
            self.someone_left().await;
        }
        self.scenarios.iter_mut().for_each(|team| team.users.clear());
        self.leaving.clear();
    }

    fn add_user(&mut self, scenario: usize) {
        let (leave, told_to_leave) = oneshot::channel();
        self.born += 1;
        let team = &self.scenarios[scenario];
        let user = User::new(UserParts {
            shared: Rc::clone(&self.shared),
            scenario,
            number: self.born * u64::from(self.threads) + u64::from(self.thread),
            seed: self.seed ^ (u64::from(self.thread) << 48) ^ self.born,
            dial: Rc::clone(&team.dial),
            headers: Rc::clone(&team.headers),
            gate: self.gate.clone(),
            leave: told_to_leave,
            counter: team.arrivals.as_ref().map(|arriving| Rc::clone(&arriving.counter)),
        });
        let task = self.tasks.spawn_local(user.live());
        self.scenarios[scenario].users.push(Member { leave, task });
    }

    /// When the next arrival is due.
    pub fn next_arrival(&self) -> Option<Instant> {
        (0..self.scenarios.len()).filter_map(|at| self.arrival_of(at)).min()
    }

    fn arrival_of(&self, at: usize) -> Option<Instant> {
        let common: &Arc<Common> = &self.shared.common;
        let arriving = self.scenarios[at].arrivals.as_ref()?;
        if common.progress[at].is_spent() {
            return None;
        }
        let start = common.course.scenarios[at].schedule.start;
        arriving.due.at().map(|due| self.targets.origin + start + due)
    }

    /// Hands out every arrival that is due. One that finds nobody free gets a new user; where there
    /// may be no more of them, it is dropped.
    pub fn dispatch(&mut self) {
        let now = Instant::now();
        for at in 0..self.scenarios.len() {
            while let Some(intended) = self.arrival_of(at).filter(|due| *due <= now) {
                self.arrive(at, intended);
            }
        }
    }

    fn arrive(&mut self, at: usize, intended: Instant) {
        let team = &mut self.scenarios[at];
        let Some(arriving) = &mut team.arrivals else { return };
        arriving.due.advance(&mut self.random);
        self.shared.recorder.borrow_mut().arrived(at);
        if arriving.counter.call(intended) {
            return;
        }
        let (counter, max_users) = (Rc::clone(&arriving.counter), arriving.max_users as usize);
        if team.users.len() < max_users {
            self.add_user(at);
            counter.call(intended);
        } else {
            self.shared.recorder.borrow_mut().iteration(at, Ended::Dropped);
        }
    }
}

/// What a thread takes of a scenario's arrivals; nothing where there are fewer users than threads.
fn arriving(
    common: &Common,
    at: usize,
    thread: u32,
    threads: u32,
    random: &mut StdRng,
) -> Option<Arriving> {
    let Model::Arrivals { rate, spread, max_users, .. } =
        &common.course.scenarios[at].schedule.model
    else {
        return None;
    };
    let threads = threads.min(*max_users);
    (thread < threads).then(|| Arriving {
        due: Due::new(rate.clone(), *spread, thread, threads, random),
        counter: Rc::default(),
        percent: 100,
        max_users: stripe(*max_users, thread, threads),
    })
}
