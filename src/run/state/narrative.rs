//! What happened, in words: one line an event, for the log, line mode and screen readers.

use crate::run::event::{EventBody, LoadEvent, LogLevel, Verdict};

/// The line for an event and how serious it is; none for events that need no line.
pub fn narrate(body: &EventBody) -> Option<(LogLevel, String)> {
    let (level, line) = match body {
        EventBody::Ready {} => (LogLevel::Info, "ready: nothing runs until it is started".into()),
        EventBody::RunStarted {} => (LogLevel::Info, "the run begins".into()),
        EventBody::PhaseStarted { planned_us } => {
            (LogLevel::Info, format!("begins, {} s planned", planned_us / 1_000_000))
        }
        EventBody::PhaseFinished { outcome } => {
            let level = match outcome.verdict {
                Verdict::Pass | Verdict::Skipped => LogLevel::Info,
                Verdict::Inconclusive | Verdict::Invalid | Verdict::Aborted => LogLevel::Warn,
                Verdict::Fail => LogLevel::Error,
            };
            (level, format!("{}: {}", outcome.verdict, outcome.reason))
        }
        EventBody::CooldownStarted { .. } => (LogLevel::Info, "cooling down".into()),
        EventBody::CooldownEnded { reason, .. } => {
            (LogLevel::Info, format!("cooldown over: {reason}"))
        }
        EventBody::CommandRefused { client, reason, .. } => {
            (LogLevel::Warn, format!("{client}: refused: {reason}"))
        }
        EventBody::Pausing {} => (LogLevel::Info, "pausing".into()),
        EventBody::Paused {} => (LogLevel::Info, "paused".into()),
        EventBody::Resumed {} => (LogLevel::Info, "goes on".into()),
        EventBody::Held { reason } => (LogLevel::Warn, format!("held: {reason}")),
        EventBody::Aborting { reason } => (LogLevel::Warn, format!("aborting: {reason}")),
        EventBody::Annotation { client, text } => (LogLevel::Info, format!("{client}: {text}")),
        EventBody::Log { level, message, .. } => (*level, message.clone()),
        EventBody::Load(load) => narrate_load(load)?,
        EventBody::JournalRepaired { cut_bytes } => {
            (LogLevel::Warn, format!("{cut_bytes} bytes of the journal were torn and cut"))
        }
        EventBody::RunFinished { verdict } => (LogLevel::Info, format!("verdict: {verdict}")),
        _ => return None,
    };
    Some((level, line))
}

fn narrate_load(load: &LoadEvent) -> Option<(LogLevel, String)> {
    match load {
        LoadEvent::Started(start) => {
            let left_out =
                start.left_out.iter().map(|(what, why)| format!("; without {what}: {why}"));
            let line = format!(
                "load by the {} engine on {} threads{}",
                start.engine,
                start.threads,
                left_out.collect::<String>()
            );
            Some((LogLevel::Info, line))
        }
        LoadEvent::Rescaled { scenario: Some(name), users } => {
            Some((LogLevel::Info, format!("{name} rescaled: {users} users altogether")))
        }
        LoadEvent::Rescaled { scenario: None, users } => {
            Some((LogLevel::Info, format!("rescaled to {users} users")))
        }
        LoadEvent::GuardTripped { reason } => Some((LogLevel::Error, format!("stopped: {reason}"))),
        LoadEvent::Cleanup(report) => {
            let level = if report.remaining_count > 0 { LogLevel::Error } else { LogLevel::Info };
            let line = format!(
                "documents: {} written, {} removed and absent, {} remaining",
                report.written, report.removed, report.remaining_count
            );
            Some((level, line))
        }
        LoadEvent::Interval(_) | LoadEvent::WriteBlock { .. } => None,
    }
}
