//! The recorder: gives every event its place and time, writes it to the journal, folds it into the
//! state, and hands it to everybody who watches.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::clock::RunClock;
use super::event::{EVENT_VERSION, Event, EventBody};
use super::journal::{Journal, JournalError};
use super::state::RunState;
use crate::config::PhaseKind;

thread_local! {
    /// Whether this thread reads the state just now, and so holds the recorder.
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread would wait for itself if it recorded something now.
pub(super) fn reads_just_now() -> bool {
    READS.get()
}

/// Events that a subscriber may lag behind before it is dropped.
const SUBSCRIBER_QUEUE: usize = 1024;

/// Takes events from everywhere in the engine. Cheap to clone.
#[derive(Clone)]
pub struct EventSink {
    recorder: Arc<Mutex<Recorder>>,
    phase: Option<PhaseKind>,
}

struct Recorder {
    clock: RunClock,
    journal: Option<Journal>,
    journal_error: Option<JournalError>,
    state: RunState,
    subscribers: Vec<mpsc::Sender<Arc<Event>>>,
    closed: bool,
}

/// The state at one moment, and every event after it.
pub struct Subscription {
    /// The fold of all events up to the subscription.
    pub snapshot: RunState,
    /// The events after it. Closed when the subscriber has fallen too far behind.
    pub events: mpsc::Receiver<Arc<Event>>,
}

impl EventSink {
    /// A sink that writes to a journal.
    pub fn new(clock: RunClock, journal: Journal) -> Self {
        Self::with(clock, Some(journal))
    }

    /// A sink that only folds, for tests and benches.
    pub fn in_memory(clock: RunClock) -> Self {
        Self::with(clock, None)
    }

    fn with(clock: RunClock, journal: Option<Journal>) -> Self {
        let recorder = Recorder {
            clock,
            journal,
            journal_error: None,
            state: RunState::default(),
            subscribers: Vec::new(),
            closed: false,
        };
        Self { recorder: Arc::new(Mutex::new(recorder)), phase: None }
    }

    /// The same sink, for events of a phase.
    pub fn for_phase(&self, phase: PhaseKind) -> Self {
        Self { recorder: Arc::clone(&self.recorder), phase: Some(phase) }
    }

    /// Records an event. When this returns, an event that has to be durable is on disk: what it
    /// announces may be done now.
    pub fn emit(&self, body: EventBody) {
        self.lock().record(self.phase, body);
    }

    /// Reads the state as it is now. Nothing can be recorded meanwhile.
    pub fn with_state<T>(&self, read: impl FnOnce(&RunState) -> T) -> T {
        let recorder = self.lock();
        READS.set(true);
        let answer = read(&recorder.state);
        READS.set(false);
        answer
    }

    /// Subscribes to everything after this moment.
    pub fn subscribe(&self) -> Subscription {
        let (sender, events) = mpsc::channel(SUBSCRIBER_QUEUE);
        let mut recorder = self.lock();
        if !recorder.closed {
            recorder.subscribers.push(sender);
        }
        Subscription { snapshot: recorder.state.clone(), events }
    }

    /// Ends every subscription; subscribers still get what is in their queue. New ones are closed
    /// from the start.
    pub fn close_subscriptions(&self) {
        let mut recorder = self.lock();
        recorder.closed = true;
        recorder.subscribers.clear();
    }

    /// The error that stopped the journal, if one did. A run whose journal is lost must not go on.
    pub fn journal_error(&self) -> Option<String> {
        self.lock().journal_error.as_ref().map(ToString::to_string)
    }

    /// Time since the run was created.
    pub fn elapsed(&self) -> std::time::Duration {
        self.lock().clock.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Recorder> {
        // A panic while recording leaves at worst one event unseen; the run still has to heal.
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder {
    fn record(&mut self, phase: Option<PhaseKind>, body: EventBody) {
        let event = Event {
            v: EVENT_VERSION,
            seq: self.state.seq + 1,
            at_us: u64::try_from(self.clock.elapsed().as_micros()).unwrap_or(u64::MAX),
            wall: Timestamp::now(),
            phase,
            body,
        };
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.append(&event, event.body.must_be_durable())
        {
            self.journal = None;
            self.journal_error = Some(error);
        }
        self.state.apply(&event);
        let event = Arc::new(event);
        self.subscribers.retain(|subscriber| subscriber.try_send(Arc::clone(&event)).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_line_from_whoever_reads_the_state_waits_for_nobody() {
        let events = EventSink::in_memory(RunClock::start());
        super::super::logger::install(&events);
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            events.with_state(|_| log::warn!("from inside"));
            done.send(()).expect("listening");
        });
        is_done.recv_timeout(std::time::Duration::from_secs(20)).expect("it waits for itself");
    }
}
