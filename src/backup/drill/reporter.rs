//! What one store's drill says while it goes on.

use std::time::Duration;

use tokio::time::Instant;

use crate::backup::stores::DrillError;
use crate::config::StoreKind;
use crate::run::event::{BackupEvent, DrillStep, EventBody, StepProgress, StepReport};
use crate::run::recorder::EventSink;

/// Time between two reports of progress.
const EVERY: Duration = Duration::from_millis(200);

/// Says what one store's drill does.
pub struct Reporter {
    events: EventSink,
    store: StoreKind,
    step: DrillStep,
    of: Option<u64>,
    records: u64,
    bytes: u64,
    began: Instant,
    said: Instant,
}

impl Reporter {
    /// A reporter of one store.
    pub fn new(events: EventSink, store: StoreKind) -> Self {
        let now = Instant::now();
        let step = DrillStep::Setup;
        Self { events, store, step, of: None, records: 0, bytes: 0, began: now, said: now }
    }

    /// Says something of the drill.
    pub fn emit(&self, event: BackupEvent) {
        self.events.emit(EventBody::Backup(event));
    }

    /// A step begins. When this returns, that is on disk.
    pub fn begin(&mut self, step: DrillStep, of: Option<u64>) {
        (self.step, self.of, self.records, self.bytes) = (step, of, 0, 0);
        self.began = Instant::now();
        self.said = self.began;
        self.emit(BackupEvent::StepStarted { store: self.store, step });
    }

    /// Some more was done.
    pub fn add(&mut self, records: u64, bytes: u64) {
        self.records += records;
        self.bytes += bytes;
        if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            let Self { store, step, of, records, bytes, .. } = *self;
            self.emit(BackupEvent::Progress(StepProgress { store, step, records, of, bytes }));
        }
    }

    /// The step is over; returns how long it took.
    pub fn end(&self, outcome: Result<&str, &DrillError>) -> Duration {
        let took = self.began.elapsed();
        let (passed, detail) = match outcome {
            Ok(detail) => (true, detail.to_owned()),
            Err(error) => (false, error.to_string()),
        };
        self.emit(BackupEvent::StepFinished(StepReport {
            store: self.store,
            step: self.step,
            passed,
            detail: crate::platform::text::excerpt(&detail),
            records: self.records,
            bytes: self.bytes,
            took_us: took.as_micros() as u64,
        }));
        took
    }

    /// The step that is under way, or was last.
    pub const fn step(&self) -> DrillStep {
        self.step
    }
}
