//! A virtual user: flows drawn by weight, steps in order, think time in between.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Method;
use hyper::header::HeaderMap;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use super::budget::Budget;
use super::chat::{self, History};
use super::course::{Course, ReadyScenario, ReadyStep, think};
use super::documents::Documents;
use super::exchange::{Ask, Dial, Failure, Line, expect_success, read_all};
use super::mcp::{CallFailure, Session};
use super::rag;
use super::recorder::{Brought, Clocks, Recorder};
use crate::config::{Config, Endpoint, ServiceKind, Step};
use crate::platform::endpoint::ResolvedEndpoint;
use crate::run::event::ErrorKind;

/// After a refused connection nobody knocks again at once.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);

/// Whether users may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// They may.
    Open,
    /// They finish what is in flight, and wait.
    Held,
    /// They finish what is in flight, and leave.
    Draining,
    /// They are dropped where they are.
    Dropped,
}

/// What the generator threads of a phase share.
pub struct Common {
    /// The workload.
    pub course: Course,
    /// The platform.
    pub config: Arc<Config>,
    /// Resolved endpoints by scenario.
    pub endpoints: Vec<Arc<ResolvedEndpoint>>,
    /// What may still be sent.
    pub budget: Budget,
    /// Set when the budget is used up.
    pub exhausted: AtomicBool,
    /// Documents that are written.
    pub documents: Documents,
    /// The run's id.
    pub run_id: String,
}

/// What the users of one thread share.
pub struct ThreadShared {
    /// What the threads share.
    pub common: Arc<Common>,
    /// What the thread measures.
    pub recorder: RefCell<Recorder>,
    /// Requests in flight.
    pub in_flight: Cell<usize>,
    /// Told when nothing is in flight any more.
    pub idle: Notify,
}

/// A virtual user.
pub struct User {
    shared: Rc<ThreadShared>,
    scenario: usize,
    random: StdRng,
    line: Line,
    session: Session,
    gate: watch::Receiver<Gate>,
    leave: oneshot::Receiver<()>,
}

/// What a user is made from.
pub struct UserParts {
    /// What the users of the thread share.
    pub shared: Rc<ThreadShared>,
    /// Position of its scenario.
    pub scenario: usize,
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
}

impl User {
    /// A user that has done nothing yet.
    pub fn new(parts: UserParts) -> Self {
        Self {
            shared: parts.shared,
            scenario: parts.scenario,
            random: StdRng::seed_from_u64(parts.seed),
            line: Line::new(parts.dial, parts.headers),
            session: Session::default(),
            gate: parts.gate,
            leave: parts.leave,
        }
    }

    /// Lives until it has to leave.
    pub async fn live(mut self) {
        let common = Arc::clone(&self.shared.common);
        let scenario = &common.course.scenarios[self.scenario];
        // Users that start together do not all knock at the same moment.
        let mut due =
            Instant::now() + think(common.course.think_time, 1.0).mul_f64(self.random.random());
        loop {
            let flow = scenario.flow(self.random.random_range(0..scenario.weights().max(1)));
            let mut history = History::new();
            for ready in flow {
                if let Step::Think(pause) = ready.step {
                    due += pause.get();
                    continue;
                }
                let Some(intended) = self.wait_until(due).await else { return };
                due = self.take_step(&common, scenario, ready, intended, &mut history).await;
            }
            due += think(common.course.think_time, self.random.random());
        }
    }

    /// Waits for the intended start of the next request, shifted by a pause in between; none when
    /// the user has to leave.
    async fn wait_until(&mut self, due: Instant) -> Option<Instant> {
        let mut due = due;
        loop {
            let gate = *self.gate.borrow_and_update();
            match gate {
                Gate::Draining | Gate::Dropped => return None,
                Gate::Held => {
                    tokio::select! {
                        changed = self.gate.changed() => changed.ok()?,
                        _ = &mut self.leave => return None,
                    }
                    due = due.max(Instant::now());
                }
                Gate::Open => tokio::select! {
                    biased;
                    changed = self.gate.changed() => changed.ok()?,
                    _ = &mut self.leave => return None,
                    () = tokio::time::sleep_until(due) => return Some(due),
                },
            }
        }
    }

    /// Takes one step, and returns when the next may begin.
    async fn take_step(
        &mut self,
        common: &Common,
        scenario: &ReadyScenario,
        ready: &ReadyStep,
        intended: Instant,
        history: &mut History,
    ) -> Instant {
        let mut intended = intended;
        if needs_session(&ready.step) && !self.session.is_open() {
            match self.open_session(common, scenario, intended).await {
                Ok(at) => intended = at,
                Err(at) => return at,
            }
        }
        let tokens = reserved_tokens(common, &ready.step);
        if !common.budget.take(tokens) {
            common.exhausted.store(true, Ordering::Relaxed);
            return Instant::now() + AFTER_REFUSAL;
        }
        let id = match ready.step {
            Step::Ingest { .. } => match common.documents.take() {
                Some(id) => id,
                // The next block of ids is on record in a moment.
                None => return Instant::now() + AFTER_REFUSAL,
            },
            _ => String::new(),
        };
        let began = Instant::now();
        let flight = Flight::begin(&self.shared);
        let limit = endpoint(common, scenario.service).map_or(Duration::MAX, |e| e.timeout.get());
        let acted = tokio::time::timeout(limit, self.act(common, &ready.step, &id, history)).await;
        let ended = Instant::now();
        drop(flight);
        let (outcome, first_token) = match acted {
            Ok(Ok((brought, first_token))) => (Ok(brought), first_token),
            Ok(Err(failure)) => (Err(failure), None),
            Err(_) => {
                self.line.hang_up();
                let detail = format!("no whole answer within {:.0} s", limit.as_secs_f64());
                (Err(Failure::new(ErrorKind::Timeout, detail)), None)
            }
        };
        let used = outcome.as_ref().map_or(0, |brought| brought.tokens);
        common.budget.give_back(tokens.saturating_sub(used));
        let next = ended + pause_after(&outcome);
        let clocks = Clocks { intended, began, first_token, ended };
        self.shared.recorder.borrow_mut().record(ready.series, clocks, outcome);
        next
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
        if !common.budget.take(0) {
            common.exhausted.store(true, Ordering::Relaxed);
            return Err(Instant::now() + AFTER_REFUSAL);
        }
        let path = common.endpoints[self.scenario].path(&mcp.path);
        let began = Instant::now();
        let flight = Flight::begin(&self.shared);
        let opening = self.session.initialize(&mut self.line, &path);
        let opened = tokio::time::timeout(mcp.endpoint.timeout.get(), opening).await;
        let ended = Instant::now();
        drop(flight);
        let outcome = opened.unwrap_or_else(|_| {
            Err(Failure::new(ErrorKind::Timeout, "initialize: no whole answer in time"))
        });
        let (next, failed) = (ended + pause_after(&outcome), outcome.is_err());
        if failed {
            self.line.hang_up();
        }
        let clocks = Clocks { intended, began, first_token: None, ended };
        self.shared.recorder.borrow_mut().record(series, clocks, outcome);
        if failed { Err(next) } else { Ok(ended) }
    }

    async fn act(
        &mut self,
        common: &Common,
        step: &Step,
        id: &str,
        history: &mut History,
    ) -> Result<(Brought, Option<Instant>), Failure> {
        let services = &common.config.services;
        let endpoint = &common.endpoints[self.scenario];
        let line = &mut self.line;
        let marker = common.documents.marker();
        let brought = match (step, &services.chat, &services.rag, &services.mcp) {
            (Step::Chat { prompt, stream }, Some(chat), ..) => {
                let path = endpoint.path(&chat.completions);
                let done = chat::complete(line, chat, &path, prompt, *stream, history).await?;
                return Ok((done.brought, done.first_token));
            }
            (Step::Query { question }, _, Some(service), _) => {
                rag::query(line, endpoint, &service.query, question).await?
            }
            (Step::Ingest { text }, _, Some(service), _) => match &service.scratch {
                Some(scratch) => rag::ingest(line, endpoint, scratch, id, marker, text).await?,
                None => return Err(Failure::new(ErrorKind::Check, "no scratch collection")),
            },
            (Step::Tool {} | Step::ListTools {} | Step::Ping {}, _, _, Some(service)) => {
                let path = endpoint.path(&service.path);
                let session = &mut self.session;
                let called = match step {
                    Step::Tool {} => session.call_tool(line, &path, &service.tools, marker).await,
                    Step::ListTools {} => {
                        session.request(line, &path, "tools/list", json!({})).await
                    }
                    _ => session.request(line, &path, "ping", json!({})).await,
                };
                called.map_err(|failure| match failure {
                    CallFailure::Failed(failure) => failure,
                    CallFailure::Expired => {
                        session.forget();
                        Failure::new(
                            ErrorKind::ClientStatus,
                            "the session has expired; opening another",
                        )
                    }
                })?
            }
            _ => health(line, common, self.scenario).await?,
        };
        Ok((brought, None))
    }
}

async fn health(line: &mut Line, common: &Common, scenario: usize) -> Result<Brought, Failure> {
    let service = common.course.scenarios[scenario].service;
    let path = endpoint(common, service).map_or("/health", |endpoint| endpoint.health.as_str());
    let ask = Ask {
        method: Method::GET,
        path: common.endpoints[scenario].path(path),
        body: None,
        accept: "*/*",
        headers: HeaderMap::new(),
    };
    let response = line.send(&ask).await?;
    let status = response.status();
    let body = read_all(response.into_body()).await?;
    expect_success(status)?;
    Ok(Brought { bytes: body.len() as u64, tokens: 0 })
}

fn endpoint(common: &Common, service: ServiceKind) -> Option<&Endpoint> {
    common.config.services.endpoints().find(|(kind, _)| *kind == service).map(|(_, e)| e)
}

const fn needs_session(step: &Step) -> bool {
    matches!(step, Step::Tool {} | Step::ListTools {} | Step::Ping {})
}

/// The most tokens that a step can cost.
fn reserved_tokens(common: &Common, step: &Step) -> u64 {
    match (step, &common.config.services.chat) {
        (Step::Chat { .. }, Some(chat)) => u64::from(chat.max_tokens),
        _ => 0,
    }
}

fn pause_after(outcome: &Result<Brought, Failure>) -> Duration {
    match outcome {
        Err(Failure {
            kind: ErrorKind::Connect | ErrorKind::Tls | ErrorKind::Protocol, ..
        }) => AFTER_REFUSAL,
        _ => Duration::ZERO,
    }
}

/// A request in flight.
struct Flight(Rc<ThreadShared>);

impl Flight {
    fn begin(shared: &Rc<ThreadShared>) -> Self {
        shared.in_flight.set(shared.in_flight.get() + 1);
        Self(Rc::clone(shared))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        if self.0.in_flight.get() == 0 {
            self.0.idle.notify_waiters();
        }
    }
}
