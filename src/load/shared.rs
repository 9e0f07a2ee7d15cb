//! What users share, those of all threads and those of one, and how each counts there what it has under
//! way.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::budget::Budget;
use super::course::Course;
use super::documents::Documents;
use super::progress::Progress;
use super::recorder::{Ended, Recorder};
use crate::config::Config;
use crate::platform::endpoint::ResolvedEndpoint;

/// Whether users may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// They may.
    Open,
    /// They finish what is in flight, and wait: in this pause, as one may follow another unseen.
    Held(u32),
    /// They finish their flow, and leave.
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
    /// Set when a virtual user crashed: what it did from then on is missing.
    pub crashed: AtomicBool,
    /// How far each scenario is, where that is counted.
    pub progress: Vec<Progress>,
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
    /// Whether somebody waits until nothing is in flight any more.
    pub idle_awaited: Cell<bool>,
    /// Told when nothing is in flight any more.
    pub idle: Notify,
}

/// A flow that has begun: when its user is dropped in the middle of it, it was interrupted.
pub struct Underway {
    shared: Rc<ThreadShared>,
    scenario: usize,
    how: Option<Ended>,
}

impl Underway {
    /// A flow of a scenario that begins now.
    pub fn begin(shared: &Rc<ThreadShared>, scenario: usize) -> Self {
        Self { shared: Rc::clone(shared), scenario, how: Some(Ended::Interrupted) }
    }

    /// It is over.
    pub fn ended(mut self, how: Ended) {
        self.how = Some(how);
    }

    /// It did not begin after all.
    pub fn forget(mut self) {
        self.how = None;
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if let Some(how) = self.how {
            self.shared.recorder.borrow_mut().iteration(self.scenario, how);
            let progress = &self.shared.common.progress[self.scenario];
            progress.end();
        }
    }
}

/// A request in flight: when its user is dropped meanwhile, it was cut off.
pub struct Flight {
    shared: Rc<ThreadShared>,
    series: usize,
    began: Instant,
    has_ended: bool,
}

impl Flight {
    /// A request of a series that is sent now.
    pub fn begin(shared: &Rc<ThreadShared>, series: usize, began: Instant) -> Self {
        shared.in_flight.set(shared.in_flight.get() + 1);
        Self { shared: Rc::clone(shared), series, began, has_ended: false }
    }

    /// It came to its end, whichever that was.
    pub fn ended(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let shared = &self.shared;
        if !self.has_ended && !std::thread::panicking() {
            shared.recorder.borrow_mut().cut_off(self.series, self.began.elapsed());
        }
        shared.in_flight.set(shared.in_flight.get() - 1);
        if shared.in_flight.get() == 0 && shared.idle_awaited.get() {
            shared.idle.notify_waiters();
        }
    }
}
