//! Line mode: a run as plain lines, for logs, CI and screen readers. No escapes, no drawing.

use std::time::Duration;

use super::format::{clock, latency};
use crate::run::event::{Event, EventBody, LoadEvent, LogLevel};
use crate::run::state::{LoadState, RunState};

/// Intervals between two load summaries.
const SUMMARY_EVERY: u64 = 10;

/// The line for an event, after it was applied to the state; none for events that need no line.
pub fn line_for(event: &Event, state: &RunState) -> Option<String> {
    let text = match &event.body {
        EventBody::Load(load) => load_line(event, load, state)?,
        EventBody::Log { level, message, .. } => match level {
            LogLevel::Error => format!("error: {message}"),
            LogLevel::Warn => format!("warning: {message}"),
            LogLevel::Info | LogLevel::Debug => message.clone(),
        },
        body => run_line(body)?,
    };
    let phase = event.phase.map_or("run", |phase| phase.name());
    Some(format!("{} {phase:<8} {text}", clock(Duration::from_micros(event.at_us))))
}

fn run_line(body: &EventBody) -> Option<String> {
    let line = match body {
        EventBody::Ready {} => "ready: nothing runs until it is started".into(),
        EventBody::RunStarted {} => "started".into(),
        EventBody::PhaseStarted { planned_us } => {
            format!("begins, {} planned", clock(Duration::from_micros(*planned_us)))
        }
        EventBody::PhaseFinished { outcome } => format!("{}: {}", outcome.verdict, outcome.reason),
        EventBody::CooldownStarted { .. } => "cooling down".into(),
        EventBody::CooldownEnded { reason, .. } => format!("cooldown over: {reason}"),
        EventBody::CommandRefused { client, reason, .. } => format!("{client}: refused: {reason}"),
        EventBody::Pausing {} => "pausing".into(),
        EventBody::Paused {} => "paused".into(),
        EventBody::Resumed {} => "goes on".into(),
        EventBody::Held { reason } => format!("held: {reason}"),
        EventBody::Aborting { reason } => format!("aborting: {reason}"),
        EventBody::Annotation { client, text } => format!("{client}: {text}"),
        EventBody::RunFinished { verdict } => format!("verdict: {verdict}"),
        _ => return None,
    };
    Some(line)
}

fn load_line(event: &Event, load: &LoadEvent, state: &RunState) -> Option<String> {
    match load {
        LoadEvent::Started(start) => {
            let left_out =
                start.left_out.iter().map(|(what, why)| format!("; without {what}: {why}"));
            Some(format!(
                "load by {} on {} threads{}",
                start.engine,
                start.threads,
                left_out.collect::<String>()
            ))
        }
        LoadEvent::Interval(_) => {
            let load = state.phase(event.phase?)?.load.as_ref()?;
            load.intervals.is_multiple_of(SUMMARY_EVERY).then(|| summary(load))
        }
        LoadEvent::Rescaled { users, .. } => Some(format!("rescaled to {users} users")),
        LoadEvent::WriteBlock { .. } => None,
        LoadEvent::GuardTripped { reason } => Some(format!("stopped: {reason}")),
        LoadEvent::Cleanup(report) => Some(format!(
            "documents: {} written, {} removed, {} remaining",
            report.written, report.removed, report.remaining_count
        )),
    }
}

fn summary(load: &LoadState) -> String {
    let users: u32 = load.users.values().sum();
    let mut line = format!("{users} users");
    for service in load.services() {
        let now = load.now(Some(service));
        line += &format!(
            "; {service} {:.1}/s P50 {} P99 {} failed {}",
            now.rate().unwrap_or_default(),
            latency(now.response.quantile(0.5)),
            latency(now.response.quantile(0.99)),
            now.failed()
        );
    }
    line
}
