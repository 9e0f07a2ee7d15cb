//! Line mode: a run as plain lines, for logs, CI and screen readers. No escapes, no drawing.

use std::time::Duration;

use super::format::{clock, latency};
use crate::config::PhaseKind;
use crate::run::event::{Event, EventBody, LoadEvent, LogLevel};
use crate::run::state::{LoadState, LogLine, RunState, narrate};

/// Intervals between two load summaries.
const SUMMARY_EVERY: u64 = 10;

/// A line of the log as line mode prints it.
pub fn log_line(line: &LogLine) -> String {
    format(line.at_us, line.phase, &marked(line.level, &line.message))
}

fn marked(level: LogLevel, text: &str) -> String {
    match level {
        LogLevel::Error => format!("error: {text}"),
        LogLevel::Warn => format!("warning: {text}"),
        LogLevel::Info | LogLevel::Debug => text.to_owned(),
    }
}

fn format(at_us: u64, phase: Option<PhaseKind>, text: &str) -> String {
    let phase = phase.map_or("run", |phase| phase.name());
    // Whatever a phase says, a line is a line: no escapes reach the terminal.
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{} {phase:<8} {text}", clock(Duration::from_micros(at_us)))
}

/// The line for an event, after it was applied to the state; none for events that need no line.
pub fn line_for(event: &Event, state: &RunState) -> Option<String> {
    let text = match &event.body {
        EventBody::Load(LoadEvent::Interval(_)) => {
            let load = state.phase(event.phase?)?.load.as_ref()?;
            load.intervals.is_multiple_of(SUMMARY_EVERY).then(|| summary(load))?
        }
        body => {
            let (level, text) = narrate(body)?;
            marked(level, &text)
        }
    };
    Some(format(event.at_us, event.phase, &text))
}

fn summary(load: &LoadState) -> String {
    let users: u32 = load.users.values().sum();
    let mut line = format!("{users} users");
    for service in load.services() {
        let now = load.now(Some(service));
        line += &format!(
            "; {service} {:.1}/s P50 {} P99 {} failed {}",
            now.rate().unwrap_or_default(),
            latency(now.measured.response.quantile(0.5)),
            latency(now.measured.response.quantile(0.99)),
            now.measured.failed()
        );
    }
    line
}
