//! What happened, in words: one line an event, for the log, line mode and screen readers.

use super::chaos::IF_LEFT;
use crate::run::event::{
    BackupEvent, ChaosEvent, Confidence, EventBody, ImageStatus, LoadEvent, LogLevel, MomentSource,
    NotifyEvent, SecurityEvent, Severity, StoreEvent, Verdict, known_from,
};

/// The line for an event and how serious it is; none for events that need no line.
pub fn narrate(body: &EventBody) -> Option<(LogLevel, String)> {
    let (level, line) = match body {
        EventBody::Armed { by } => {
            (LogLevel::Warn, format!("armed by {by}: it may work on the production target"))
        }
        EventBody::Ready {} => (LogLevel::Info, "ready: nothing runs until it is started".into()),
        EventBody::RunStarted {} => (LogLevel::Info, "the run begins".into()),
        EventBody::PhaseStarted { planned_us } => {
            (LogLevel::Info, format!("begins, {} s planned", planned_us / 1_000_000))
        }
        EventBody::PhaseFinished { outcome } => {
            (level_of(outcome.verdict), format!("{}: {}", outcome.verdict, outcome.reason))
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
        EventBody::Chaos(chaos) => narrate_chaos(chaos)?,
        EventBody::Security(security) => narrate_security(security)?,
        EventBody::Backup(backup) => narrate_backup(backup)?,
        EventBody::Stores(stores) => narrate_stores(stores)?,
        EventBody::Notify(notify) => narrate_notify(notify)?,
        EventBody::ThresholdBroken { objective, reason } => {
            (LogLevel::Error, format!("load ends: {objective}: {reason}"))
        }
        EventBody::JournalRepaired { cut_bytes } => {
            (LogLevel::Warn, format!("{cut_bytes} bytes of the journal were torn and cut"))
        }
        EventBody::RunFinished { verdict } => (LogLevel::Info, format!("verdict: {verdict}")),
        _ => return None,
    };
    Some((level, line))
}

const fn level_of(verdict: Verdict) -> LogLevel {
    match verdict {
        Verdict::Pass | Verdict::Skipped => LogLevel::Info,
        Verdict::Inconclusive | Verdict::Invalid | Verdict::Aborted => LogLevel::Warn,
        Verdict::Fail => LogLevel::Error,
    }
}

fn narrate_chaos(chaos: &ChaosEvent) -> Option<(LogLevel, String)> {
    let line = match chaos {
        ChaosEvent::Started(start) => {
            let mut line = format!(
                "{} experiments by the {} runtime, seed {}",
                start.experiments, start.runtime, start.seed
            );
            for (name, why) in &start.excluded {
                line += &format!("; not {name}: {why}");
            }
            line
        }
        ChaosEvent::ExperimentStarted { number, title, .. } => {
            format!("experiment {number}: {title}: measuring the platform first")
        }
        ChaosEvent::Injecting { fault, undo, expected, .. } => {
            let expected =
                expected.as_ref().map_or_else(String::new, |words| format!("; expected: {words}"));
            return Some((LogLevel::Warn, format!("FAULT {fault}; undo: {undo}{expected}")));
        }
        ChaosEvent::Effect { effective: true, evidence } => format!("effect: {evidence}"),
        ChaosEvent::Effect { effective: false, evidence } => {
            return Some((LogLevel::Warn, format!("no effect: {evidence}")));
        }
        ChaosEvent::Moment { target, kind, source, .. } => {
            format!("{target} {}{}", kind.words(), known_from(source.map(MomentSource::word)))
        }
        ChaosEvent::RuntimeTrouble { why: Some(why) } => {
            return Some((LogLevel::Warn, format!("{why}; {IF_LEFT}")));
        }
        ChaosEvent::RuntimeTrouble { why: None } => {
            "the runtime does what it is asked again".into()
        }
        ChaosEvent::Excluded { target, why } => format!("{target} is left alone: {why}"),
        ChaosEvent::Healing { reason } => format!("healing: {reason}"),
        ChaosEvent::Healed { took_us, residue } if residue.is_empty() => {
            format!("healed in {} ms, nothing is left", took_us / 1000)
        }
        ChaosEvent::Healed { residue, .. } => {
            let line = format!("still there: {}; {IF_LEFT}", residue.join(", "));
            return Some((LogLevel::Error, line));
        }
        ChaosEvent::ProtectedDisturbed { what } => {
            return Some((LogLevel::Error, format!("a protected target changed: {what}")));
        }
        ChaosEvent::ExperimentFinished(result) => {
            let line = format!("{}: {}: {}", result.title, result.verdict, result.reason);
            return Some((level_of(result.verdict), line));
        }
        ChaosEvent::Scored(score) => match score.score {
            Some(points) => {
                format!("resilience {points:.0} of 100, coverage {}/{}", score.covered, score.asked)
            }
            None => "no resilience score: no experiment counts".into(),
        },
        ChaosEvent::Injected {}
        | ChaosEvent::Probed { .. }
        | ChaosEvent::Measured { .. }
        | ChaosEvent::EffectNow { .. }
        | ChaosEvent::Unknown => return None,
    };
    Some((LogLevel::Info, line))
}

fn narrate_security(security: &SecurityEvent) -> Option<(LogLevel, String)> {
    match security {
        SecurityEvent::Discovered(found) => {
            let words = format!(
                "{} operations found, {} of them may be attacked, in {} places",
                found.found, found.attackable, found.points
            );
            Some((LogLevel::Info, words))
        }
        SecurityEvent::Found(finding) => {
            let grave = finding.severity >= Severity::High;
            let level = match (finding.counts(), grave) {
                (true, true) => LogLevel::Error,
                (true, false) => LogLevel::Warn,
                // What is accepted, and what only looks like one, counts for nothing.
                (false, true) if finding.suppressed.is_none() => LogLevel::Warn,
                (false, _) => LogLevel::Info,
            };
            let tentative = finding.confidence == Confidence::Tentative;
            let sure = if tentative { " (tentative)" } else { "" };
            let (severity, title) = (finding.severity.word(), &finding.title);
            let words = format!("{title} at {}: {}", finding.place, finding.evidence);
            Some((level, format!("{severity}{sure}: {words}")))
        }
        SecurityEvent::ImageFinished(report) => {
            let level =
                if report.status == ImageStatus::Scanned { LogLevel::Info } else { LogLevel::Warn };
            Some((level, format!("image {}: {}", report.image, report.detail)))
        }
        SecurityEvent::Writing(written) => {
            Some((LogLevel::Info, format!("writes {} to {}", written.name, written.place)))
        }
        SecurityEvent::Removed { name, gone, detail } => Some(narrate_removal(name, *gone, detail)),
        SecurityEvent::CheckFinished(report) => {
            let words = format!("{}: {}: {}", report.check, report.status.words(), report.coverage);
            Some((if report.status.is_open() { LogLevel::Warn } else { LogLevel::Info }, words))
        }
        SecurityEvent::Compared(compared) => {
            let words = format!(
                "beside run {}: {} new, {} unchanged, {} fixed",
                compared.run,
                compared.new,
                compared.unchanged,
                compared.fixed.len()
            );
            Some((LogLevel::Info, words))
        }
        SecurityEvent::CheckStarted { .. }
        | SecurityEvent::Progress { .. }
        | SecurityEvent::Database(_)
        | SecurityEvent::Replacing(_)
        | SecurityEvent::Stored { .. }
        | SecurityEvent::ImagesFound { .. }
        | SecurityEvent::ImageStep { .. }
        | SecurityEvent::ImageStarted { .. }
        | SecurityEvent::Scored(_)
        | SecurityEvent::Unknown => None,
    }
}

fn narrate_removal(name: &str, gone: bool, detail: &str) -> (LogLevel, String) {
    match (gone, detail) {
        (true, "") => (LogLevel::Info, format!("{name} is removed and gone")),
        (true, detail) => (LogLevel::Info, format!("{name} is off the record: {detail}")),
        (false, detail) => (LogLevel::Error, format!("{name} is not shown to be gone: {detail}")),
    }
}

fn narrate_backup(backup: &BackupEvent) -> Option<(LogLevel, String)> {
    let line = match backup {
        BackupEvent::Started(start) => {
            let stores: Vec<&str> = start.stores.iter().map(|store| store.name()).collect();
            let mut line = format!(
                "{} drill of {} with {} documents under {}",
                start.way.words(),
                stores.join(", "),
                start.documents,
                start.namespace
            );
            for (store, why) in &start.skipped {
                line += &format!("; not {store}: {why}");
            }
            line
        }
        BackupEvent::StepFinished(report) => {
            let words = format!("{}: {}: {}", report.store, report.step.words(), report.detail);
            return Some((if report.passed { LogLevel::Info } else { LogLevel::Error }, words));
        }
        BackupEvent::StoreFinished(report) => {
            let level = report.level.map_or("no level", |level| level.word());
            let line = format!("{}: {}: {level}: {}", report.store, report.verdict, report.reason);
            return Some((level_of(report.verdict), line));
        }
        BackupEvent::Service { message } => message.clone(),
        BackupEvent::Closure(closure) => {
            let whole = closure.whole == closure.documents;
            return Some((if whole { LogLevel::Info } else { LogLevel::Error }, closure.words()));
        }
        BackupEvent::Finished(summary) => {
            let line = format!(
                "{} of {} stores, {} of {} records restored as they were",
                summary.passed, summary.stores, summary.restored, summary.expected
            );
            return Some((level_of(summary.verdict), line));
        }
        BackupEvent::StepStarted { .. } | BackupEvent::Progress(_) | BackupEvent::Unknown => {
            return None;
        }
    };
    Some((LogLevel::Info, line))
}

fn narrate_stores(stores: &StoreEvent) -> Option<(LogLevel, String)> {
    match stores {
        StoreEvent::Started { asked, left_out } if !(asked.is_empty() && left_out.is_empty()) => {
            let asked: Vec<String> =
                asked.iter().map(|(kind, steps)| format!("{kind} {}", steps.join(", "))).collect();
            let without: String =
                left_out.iter().map(|(kind, why)| format!("; without {kind}: {why}")).collect();
            let asked = if asked.is_empty() { "none".into() } else { asked.join("; ") };
            Some((LogLevel::Info, format!("stores asked during load: {asked}{without}")))
        }
        StoreEvent::Removed { kind, name, residue: Some(why) } => {
            Some((LogLevel::Error, format!("{kind}: `{name}` may still be there: {why}")))
        }
        _ => None,
    }
}

fn narrate_notify(notify: &NotifyEvent) -> Option<(LogLevel, String)> {
    let line = match notify {
        NotifyEvent::Level { key, resolved: true, .. } => {
            (LogLevel::Info, format!("alert over: {key}"))
        }
        NotifyEvent::Level { summary, level: 0, .. } => {
            (LogLevel::Warn, format!("alert: {summary}"))
        }
        NotifyEvent::Level { summary, level, .. } => {
            (LogLevel::Warn, format!("alert at level {level}: {summary}"))
        }
        NotifyEvent::Sent(sent) => match &sent.error {
            None => {
                (LogLevel::Info, format!("told {}: {} {}", sent.channel, sent.action, sent.key))
            }
            Some(error) => {
                let (channel, key, tries) = (&sent.channel, &sent.key, sent.tries);
                (LogLevel::Error, format!("{channel} not told of {key} ({tries} tries): {error}"))
            }
        },
        NotifyEvent::Silence { channel, what, failed } => {
            let level = if *failed { LogLevel::Error } else { LogLevel::Info };
            (level, format!("{channel}: {what}"))
        }
        NotifyEvent::PlatformAlert { alertname, after_us: Some(us), .. } => {
            let seconds = us / 1_000_000;
            (LogLevel::Info, format!("the platform's alert {alertname} fired after {seconds} s"))
        }
        NotifyEvent::PlatformAlert { alertname, evidence, .. } => {
            (LogLevel::Error, format!("the platform's alert {alertname} did not fire: {evidence}"))
        }
        // It is as it was set up: the SLO panel and the reports say so.
        NotifyEvent::NotConfigured { .. } | NotifyEvent::Unknown => return None,
    };
    Some(line)
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
        LoadEvent::Limit(limit) if limit.steps.is_empty() => {
            let line =
                format!("looks for the largest sustained rate, from {:.1} flows/s", limit.rate);
            Some((LogLevel::Info, line))
        }
        LoadEvent::Limit(limit) => Some((LogLevel::Info, limit.words())),
        LoadEvent::RateChanged { scenario, percent } => {
            let whose = scenario.as_deref().unwrap_or("all arrivals");
            Some((LogLevel::Info, format!("{whose}: {percent} % of the planned rate from now on")))
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
        LoadEvent::Interval(_) | LoadEvent::WriteBlock { .. } | LoadEvent::Thresholds { .. } => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::Finding;

    #[test]
    fn only_a_finding_that_counts_is_an_error() {
        let level = |severity, confidence, suppressed: Option<&str>| {
            let finding = Finding {
                rule: "SDK-SQLI-001".into(),
                about: String::new(),
                title: "SQL injection".into(),
                severity,
                confidence,
                cwe: 89,
                place: "rag GET /a".into(),
                evidence: String::new(),
                remedy: String::new(),
                fingerprint: String::new(),
                parameter: None,
                references: Vec::new(),
                exchanges: Vec::new(),
                fixable: None,
                suppressed: suppressed.map(str::to_owned),
                novelty: None,
            };
            let body = EventBody::Security(SecurityEvent::Found(Box::new(finding)));
            narrate(&body).expect("a line")
        };
        let firm = Confidence::Firm;
        assert_eq!(level(Severity::Critical, firm, None).0, LogLevel::Error);
        assert_eq!(level(Severity::Low, firm, None).0, LogLevel::Warn);
        let (grave, line) = level(Severity::Critical, Confidence::Tentative, None);
        assert_eq!(grave, LogLevel::Warn);
        assert!(line.starts_with("critical (tentative): SQL injection"), "{line}");
        assert_eq!(level(Severity::Low, Confidence::Tentative, None).0, LogLevel::Info);
        assert_eq!(level(Severity::Critical, firm, Some("known")).0, LogLevel::Info);
    }
}
