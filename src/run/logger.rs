//! The engine's log lines are events with their own time, so that attaching and replaying show when
//! they happened.

use std::sync::OnceLock;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::control::one_line;
use super::event::{EventBody, LogLevel};
use super::recorder::EventSink;
use crate::config::without_secrets;

/// Longest log line, in characters.
const MAX_LINE_CHARS: usize = 500;

static LOGGER: EventLogger = EventLogger(OnceLock::new());

struct EventLogger(OnceLock<EventSink>);

/// Sends the log of this process to the run's events from now on.
pub(super) fn install(events: &EventSink) {
    // A second engine in one process happens in tests only; the first keeps the log.
    if LOGGER.0.set(events.clone()).is_ok() && log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for EventLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries speak of their own affairs; ours are what an operator acts on.
        metadata.level() <= Level::Info && metadata.target().starts_with("shakedown")
    }

    fn log(&self, record: &Record<'_>) {
        let Some(events) = self.0.get().filter(|_| self.enabled(record.metadata())) else { return };
        if super::recorder::reads_just_now() {
            // It would wait for itself; the engine's own log takes it.
            eprintln!("{}: {}", record.level(), record.args());
            return;
        }
        let level = match record.level() {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug | Level::Trace => LogLevel::Debug,
        };
        // A line belongs to the phase during which it was written.
        let phase = events.with_state(|state| state.running_phase().map(|phase| phase.kind));
        let events = phase.map_or_else(|| events.clone(), |phase| events.for_phase(phase));
        events.emit(EventBody::Log {
            level,
            target: record.target().to_owned(),
            message: one_line(&without_secrets(&record.args().to_string()), MAX_LINE_CHARS),
        });
    }

    fn flush(&self) {}
}
