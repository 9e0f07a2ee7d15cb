//! A virtual user: flows drawn by weight, steps in order, and what it waits for in between.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::header::HeaderMap;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::act::{Belongings, Luggage, act, reserved_tokens, time_limit};
use super::arrivals::{Counter, Free};
use super::course::{ReadyFlow, ReadyScenario, ReadyStep};
use super::exchange::{Dial, Failure, Line};
use super::mcp::{HANDSHAKE_REQUESTS, Session};
use super::patience::Patience;
use super::recorder::{Brought, Clocks, Ended};
use super::schedule::Model;
use super::shared::{Common, Flight, Gate, ThreadShared, Underway};
use super::think;
use crate::config::{SessionLife, Step};
use crate::run::event::{CheckCounts, ErrorKind};

/// After a refused or broken connection nobody knocks again at once: a target that is down must not be
/// stormed, nor the generator kept busy with failing.
const BACK_OFF: Duration = Duration::from_millis(50);

/// A virtual user.
pub struct User {
    shared: Rc<ThreadShared>,
    scenario: usize,
    number: u64,
    random: StdRng,
    with: Belongings,
    gate: watch::Receiver<Gate>,
    leave: oneshot::Receiver<()>,
    counter: Option<Rc<Counter>>,
    /// That it waits for an arrival, while it does.
    free: Option<Free>,
    flows: u64,
    /// How long it held back in the flow that it flies, or an operator held it: that is no part of the
    /// flow's duration.
    held_back: Duration,
    patience: Patience,
    /// When it last looked at the clock: what was due then is due without another look.
    looked: Instant,
}

/// What a user is made from.
pub struct UserParts {
    /// What the users of the thread share.
    pub shared: Rc<ThreadShared>,
    /// Position of its scenario.
    pub scenario: usize,
    /// Its number in the phase.
    pub number: u64,
    /// Seed of its choices.
    pub seed: u64,
    /// How it connects.
    pub dial: Rc<dyn Dial>,
    /// Headers of every request.
    pub headers: Rc<HeaderMap>,
    /// Whether it may send.
    pub gate: watch::Receiver<Gate>,
    /// Resolved when it has to leave.
    pub leave: oneshot::Receiver<()>,
    /// Where it waits for arrivals, in an open model.
    pub counter: Option<Rc<Counter>>,
}

impl User {
    /// A user that has done nothing yet.
    pub fn new(parts: UserParts) -> Self {
        Self {
            shared: parts.shared,
            scenario: parts.scenario,
            number: parts.number,
            random: StdRng::seed_from_u64(parts.seed),
            with: Belongings {
                line: Line::new(parts.dial, parts.headers),
                session: Session::default(),
            },
            gate: parts.gate,
            leave: parts.leave,
            free: parts.counter.as_ref().map(Free::at),
            counter: parts.counter,
            flows: 0,
            held_back: Duration::ZERO,
            patience: Patience::default(),
            looked: Instant::now(),
        }
    }

    /// Lives until it has to leave, or has done what it came for.
    pub async fn live(mut self) {
        let common = Arc::clone(&self.shared.common);
        let scenario = &common.course.scenarios[self.scenario];
        // Users that start together do not all knock at the same moment.
        let first = scenario.think_time.max.get().mul_f64(self.random.random());
        let counted = matches!(scenario.schedule.model, Model::Iterations { .. });
        let mut due = Instant::now() + if counted { Duration::ZERO } else { first };
        while let Some(intended) = self.next_start(due).await {
            if !self.may_begin(&common, scenario) {
                return;
            }
            let underway = Underway::begin(&self.shared, self.scenario);
            let Some((ended, whole)) = self.fly(&common, scenario, intended).await else {
                return underway.forget();
            };
            let took = (ended - intended).saturating_sub(self.held_back);
            let how = if whole { Ended::Finished(took) } else { Ended::Interrupted };
            underway.ended(how);
            self.free = self.counter.as_ref().map(Free::at);
            due = ended + think::draw(&scenario.think_time, &mut self.random);
            if let Some(pacing) = scenario.pacing {
                due = due.max(intended + pacing);
            }
        }
    }

    /// Whether there is an iteration left for this user.
    fn may_begin(&mut self, common: &Common, scenario: &ReadyScenario) -> bool {
        self.flows += 1;
        let Model::Iterations { count, shared, .. } = scenario.schedule.model else { return true };
        let progress = &common.progress[self.scenario];
        let before = if shared { progress.begin() } else { self.flows - 1 };
        before < count
    }

    /// Waits for the intended start of the next flow; none when the user has to leave.
    async fn next_start(&mut self, due: Instant) -> Option<Instant> {
        let mut due = due;
        if self.free.is_none() && self.is_due(due) {
            // Whoever was told to leave has heard it here: it cannot be waited for once more.
            if self.leave.try_recv() != Err(TryRecvError::Empty) {
                return None;
            }
            // A flow that ends before it sends anything must not keep the thread to itself.
            tokio::task::coop::consume_budget().await;
            return Some(due);
        }
        loop {
            let gate = *self.gate.borrow_and_update();
            match (gate, &self.free) {
                (Gate::Draining | Gate::Dropped, _) => return None,
                (Gate::Held(_), _) => {
                    tokio::select! {
                        changed = self.gate.changed() => changed.ok()?,
                        _ = &mut self.leave => return None,
                    }
                    due = due.max(Instant::now());
                }
                (Gate::Open, None) => tokio::select! {
                    biased;
                    changed = self.gate.changed() => changed.ok()?,
                    _ = &mut self.leave => return None,
                    () = tokio::time::sleep_until(due) => return Some(due),
                },
                (Gate::Open, Some(free)) => tokio::select! {
                    biased;
                    changed = self.gate.changed() => changed.ok()?,
                    _ = &mut self.leave => return None,
                    intended = free.next() => {
                        self.free = None;
                        return Some(intended);
                    }
                },
            }
        }
    }

    /// Whether nothing stands in the way of what is due: nobody has moved the gate since it was found
    /// open.
    fn is_due(&self, due: Instant) -> bool {
        due <= self.looked
            && matches!(self.gate.has_changed(), Ok(false))
            && *self.gate.borrow() == Gate::Open
    }

    /// Waits within a flow, shifted by a pause in between.
    async fn wait_until(&mut self, due: Instant) -> Instant {
        let mut due = due;
        if self.is_due(due) {
            return due;
        }
        loop {
            if matches!(*self.gate.borrow_and_update(), Gate::Held(_)) {
                if self.gate.changed().await.is_err() {
                    return due;
                }
                let goes_on = due.max(Instant::now());
                self.held_back += goes_on - due;
                due = goes_on;
                continue;
            }
            if due <= Instant::now() {
                return due;
            }
            tokio::select! {
                biased;
                _ = self.gate.changed() => {}
                () = tokio::time::sleep_until(due) => return due,
            }
        }
    }

    /// Takes the steps of a flow; returns when it ended and whether that was its end. None when
    /// there is nothing left to fill it with.
    async fn fly(
        &mut self,
        common: &Common,
        scenario: &ReadyScenario,
        intended: Instant,
    ) -> Option<(Instant, bool)> {
        let drawn = self.random.random_range(0..scenario.weights().max(1));
        let flow = scenario.flow(drawn)?;
        let Some(mut luggage) =
            (if flow.is_filled { self.pack(common, flow) } else { Some(Luggage::default()) })
        else {
            common.progress[self.scenario].spend(&scenario.name);
            return None;
        };
        if scenario.session == SessionLife::Flow {
            self.with.line.begin_anew();
            self.with.session.forget();
        }
        let mut due = intended;
        self.held_back = Duration::ZERO;
        for ready in &flow.steps {
            if let Step::Think(pause) = ready.step {
                due += pause.get();
                continue;
            }
            if !ready.needs.iter().all(|name| luggage.values.has(name)) {
                return Some((due, false));
            }
            let intended = self.wait_until(due).await;
            match self.take_step(common, scenario, ready, intended, &mut luggage).await {
                Ok(next) => due = next,
                Err(next) => return Some((self.wait_until(next).await, false)),
            }
        }
        // A pause at the end of a flow is part of it.
        Some((self.wait_until(due).await, true))
    }

    /// The values that a flow begins with; none when a feeder has no row left.
    fn pack(&mut self, common: &Common, flow: &ReadyFlow) -> Option<Luggage> {
        let mut luggage = Luggage::default();
        let values = &mut luggage.values;
        let (user, flows) = (self.number.to_string(), self.flows.to_string());
        let marker = common.documents.marker();
        values.set("unique", &format!("{marker}-{user}-{flows}"));
        values.set("user", &user);
        values.set("iteration", &flows);
        values.set("marker", marker);
        for at in &flow.feeders {
            let row = common.course.feeders[*at].draw(&mut self.random)?;
            row.for_each(|(name, value)| values.set(name, value));
        }
        Some(luggage)
    }

    /// Takes one step, and returns when the next may begin; an error where it could not be sent at all,
    /// and when the next flow may begin.
    async fn take_step(
        &mut self,
        common: &Common,
        scenario: &ReadyScenario,
        ready: &ReadyStep,
        intended: Instant,
        luggage: &mut Luggage,
    ) -> Result<Instant, Instant> {
        let mut intended = intended;
        if ready.step.needs_session() && !self.with.session.is_open() {
            intended = Box::pin(self.open_session(common, scenario, intended)).await?;
        }
        let tokens = reserved_tokens(common, &ready.step);
        if !common.budget.take(tokens) {
            common.exhausted.store(true, Ordering::Relaxed);
            return Err(self.hold_back(Instant::now()));
        }
        let id = match ready.step {
            Step::Ingest { .. } => match common.documents.take() {
                Some(id) => id,
                // The next block of ids is on record in a moment.
                None => return Err(self.hold_back(Instant::now())),
            },
            _ => String::new(),
        };
        let limit = time_limit(common, scenario.service, &ready.step);
        let mut checks = CheckCounts::default();
        let began = Instant::now();
        let flight = Flight::begin(&self.shared, ready.series, began);
        let (at, with) = (self.scenario, &mut self.with);
        let acting = act(common, at, ready, &id, with, luggage, &mut checks);
        let acted = self.patience.within(began, limit, acting).await;
        let ended = Instant::now();
        self.looked = ended;
        flight.ended();
        let outcome = acted.unwrap_or_else(|| {
            self.with.line.hang_up();
            let detail = format!("no whole answer within {:.1} s", limit.as_secs_f64());
            Err(Failure::new(ErrorKind::Timeout, detail))
        });
        if outcome.as_ref().is_err_and(|failure| failure.kind == ErrorKind::Protocol) {
            // What comes next on it may belong to this answer.
            self.with.line.hang_up();
        }
        let used = outcome.as_ref().map_or(0, |brought| brought.tokens);
        common.budget.give_back(tokens.saturating_sub(used));
        let sent = outcome.as_ref().err().is_none_or(|failure| failure.kind.was_sent());
        let next = self.next_after(&outcome, ended);
        let clocks = Clocks { intended, began, ended: ended - self.idle() };
        self.shared.recorder.borrow_mut().record(ready.series, clocks, checks, outcome);
        self.with.line.let_end().await;
        let next = next + self.idle();
        if sent { Ok(next) } else { Err(next) }
    }

    /// Opens an MCP session, as a request of its own; returns when the next may begin.
    async fn open_session(
        &mut self,
        common: &Common,
        scenario: &ReadyScenario,
        intended: Instant,
    ) -> Result<Instant, Instant> {
        let (Some(series), Some(mcp)) = (scenario.initialize, &common.config.services.mcp) else {
            return Ok(intended);
        };
        if !(0..HANDSHAKE_REQUESTS).all(|_| common.budget.take(0)) {
            common.exhausted.store(true, Ordering::Relaxed);
            return Err(self.hold_back(Instant::now()));
        }
        let path = common.endpoints[self.scenario].path(&mcp.path);
        let began = Instant::now();
        let flight = Flight::begin(&self.shared, series, began);
        let opening = self.with.session.initialize(&mut self.with.line, &path);
        let opened = self.patience.within(began, mcp.endpoint.timeout.get(), opening).await;
        let ended = Instant::now();
        flight.ended();
        let outcome = opened.unwrap_or_else(|| {
            Err(Failure::new(ErrorKind::Timeout, "initialize: no whole answer in time"))
        });
        let (next, failed) = (self.next_after(&outcome, ended), outcome.is_err());
        if failed {
            self.with.line.hang_up();
        }
        let clocks = Clocks { intended, began, ended: ended - self.idle() };
        let checks = CheckCounts::default();
        self.shared.recorder.borrow_mut().record(series, clocks, checks, outcome);
        if failed { Err(next) } else { Ok(ended) }
    }

    /// When the next request may begin: at once, but after a connection that failed or broke.
    fn next_after(&mut self, outcome: &Result<Brought, Failure>, ended: Instant) -> Instant {
        use ErrorKind::{Connect, Dns, Generator, Protocol, Tls, Unsendable};
        match outcome {
            Err(Failure {
                kind: Dns | Connect | Tls | Protocol | Generator | Unsendable, ..
            }) => self.hold_back(ended),
            _ => ended,
        }
    }

    /// How long a user waited for nothing but the end of a stream.
    fn idle(&mut self) -> Duration {
        let idle = self.with.line.take_idle();
        self.held_back += idle;
        idle
    }

    fn hold_back(&mut self, from: Instant) -> Instant {
        self.held_back += BACK_OFF;
        from + BACK_OFF
    }
}
