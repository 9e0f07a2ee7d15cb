//! Line mode: a run as plain lines, for logs, CI and screen readers. No escapes, no drawing.

use std::time::Duration;

use super::format::{clock, latency};
use crate::run::event::{Event, EventBody, LoadEvent, LogLevel};
use crate::run::state::{LoadState, RunState, narrate};

/// Intervals between two load summaries.
const SUMMARY_EVERY: u64 = 10;

/// The line for an event, after it was applied to the state; none for events that need no line.
pub fn line_for(event: &Event, state: &RunState) -> Option<String> {
    let text = match &event.body {
        EventBody::Load(LoadEvent::Interval(_)) => {
            let load = state.phase(event.phase?)?.load.as_ref()?;
            load.intervals.is_multiple_of(SUMMARY_EVERY).then(|| summary(load))?
        }
        body => match narrate(body)? {
            (LogLevel::Error, text) => format!("error: {text}"),
            (LogLevel::Warn, text) => format!("warning: {text}"),
            (LogLevel::Info | LogLevel::Debug, text) => text,
        },
    };
    let phase = event.phase.map_or("run", |phase| phase.name());
    Some(format!("{} {phase:<8} {text}", clock(Duration::from_micros(event.at_us))))
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
