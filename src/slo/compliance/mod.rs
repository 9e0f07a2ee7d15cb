//! Controls: each with what shows that it is met, or with what is missing. There is no middle between
//! pass and fail but `unknown`, and no percentage.

mod dated;
mod transit;

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::{
    ComplianceRules, Config, Control, Evidence, PhaseKind, Required, SloDefinitions, TimeSpan,
};
use crate::run::event::{ControlResult, ControlStatus, DrillSummary, DrillWay};
use crate::run::state::RunState;

/// Looks at every control.
pub async fn check(config: &Config, state: &RunState) -> Vec<ControlResult> {
    let Some(promises) = &state.promises else { return Vec::new() };
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let mut results = transit::check(config, promises).await;
    results.extend(dated::check(config, promises, today));
    results.extend(recovery(promises, state));
    results
}

/// RPO and RTO are what the drill measures. Our own copy of a drill's records says nothing about the
/// backups that the platform makes: only a drill of these shows either.
fn recovery(promises: &SloDefinitions, state: &RunState) -> Vec<ControlResult> {
    let backup = state.phase(PhaseKind::Backup).and_then(|phase| phase.backup.as_ref());
    let drills = || backup.iter().flat_map(|backup| &backup.drills);
    let platform = drills().rfind(|drill| drill.start.way != DrillWay::BuiltIn);
    let drill = platform.or_else(|| drills().last());
    let one = |control, limit: TimeSpan, of: fn(&DrillSummary) -> Option<u64>| {
        let measured = drill.and_then(|drill| of(&drill.summary?)).map(Duration::from_micros);
        let (status, evidence) = match (measured, platform) {
            (None, _) => (
                ControlStatus::Unknown,
                format!("no drill has measured it in this run; {limit} is promised"),
            ),
            (Some(time), Some(_)) => {
                let met = time <= limit.get();
                let status = if met { ControlStatus::Pass } else { ControlStatus::Fail };
                (
                    status,
                    format!(
                        "{:.1} s in the drill of the platform's backup, {limit} is promised",
                        time.as_secs_f64()
                    ),
                )
            }
            (Some(time), None) => {
                let seconds = time.as_secs_f64();
                let words = format!(
                    "{seconds:.1} s by the built-in copy, which says nothing of the platform's own backup; {limit} is promised"
                );
                (ControlStatus::Unknown, words)
            }
        };
        ControlResult { control, subject: "platform".into(), required: true, status, evidence }
    };
    vec![
        one(Control::Rpo, promises.recovery.rpo, |summary| summary.rpo_us),
        one(Control::Rto, promises.recovery.rto, |summary| summary.rto_us),
    ]
}

/// What people have seen of a control, as a result; none when nobody has written anything.
fn seen(rules: &ComplianceRules, control: Control, today: Date) -> Option<ControlResult> {
    let written = rules.evidence.iter().filter(|evidence| evidence.control == control);
    let latest = written.max_by_key(|evidence| evidence.on)?;
    let (status, evidence) = weigh(latest, rules, today);
    Some(ControlResult {
        control,
        subject: "platform".into(),
        required: required(rules, control),
        status,
        evidence,
    })
}

fn weigh(evidence: &Evidence, rules: &ComplianceRules, today: Date) -> (ControlStatus, String) {
    let Evidence { statement, by, on, file, .. } = evidence;
    let words = format!("{statement} ({by}, {on})");
    let Some(age) = age(*on, today) else {
        return (ControlStatus::Unknown, format!("{words}: {on} is still to come"));
    };
    if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
        return (ControlStatus::Unknown, format!("{words}: {} is not there", file.display()));
    }
    let days = age.as_hours() / 24;
    let within = |limit: std::time::Duration| age <= SignedDuration::try_from(limit).unwrap_or(age);
    match evidence.control {
        Control::KeyRotation if within(rules.key_rotation_max_age.get()) => {
            (ControlStatus::Pass, format!("{words}: {days} d ago"))
        }
        Control::KeyRotation => {
            let limit = rules.key_rotation_max_age;
            (ControlStatus::Fail, format!("{words}: {days} d ago, {limit} is allowed"))
        }
        Control::AuditLog if !within(rules.audit_log_retention_min.get()) => {
            (ControlStatus::Pass, format!("{words}: entries of {days} d ago are there"))
        }
        Control::AuditLog => {
            let asked = rules.audit_log_retention_min;
            (ControlStatus::Unknown, format!("{words}: reaches back {days} d, {asked} is asked"))
        }
        _ if within(rules.evidence_max_age.get()) => (ControlStatus::Pass, words),
        _ => {
            let limit = rules.evidence_max_age;
            (ControlStatus::Unknown, format!("{words}: {days} d old, it counts for {limit}"))
        }
    }
}

/// How long ago a day was; none when it is still to come.
fn age(on: Date, today: Date) -> Option<SignedDuration> {
    (on <= today).then(|| today.duration_since(on))
}

fn required(rules: &ComplianceRules, control: Control) -> bool {
    match control {
        Control::EncryptionInTransit => rules.encryption_in_transit == Required::Required,
        Control::EncryptionAtRest => rules.encryption_at_rest == Required::Required,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, SHIPPED_SLOS};

    fn weighed(control: &str, on: &str, file: Option<&str>) -> (ControlStatus, String) {
        let promises = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        let mut rules = promises.compliance;
        rules.evidence = vec![Evidence {
            control: serde_json::from_value(control.into()).expect("a control"),
            statement: "seen".into(),
            by: "ops".into(),
            on: on.parse().expect("a date"),
            file: file.map(Into::into),
        }];
        let today = "2026-11-24".parse().expect("a date");
        let control = rules.evidence[0].control;
        let result = seen(&rules, control, today).expect("evidence");
        (result.status, result.evidence)
    }

    #[test]
    fn evidence_counts_for_as_long_as_it_is_fresh() {
        use ControlStatus::{Fail, Pass, Unknown};
        for (control, on, expected) in [
            ("encryption_at_rest", "2026-11-01", Pass),
            ("encryption_at_rest", "2026-01-01", Unknown),
            ("encryption_at_rest", "2027-01-01", Unknown),
            ("key_rotation", "2026-10-01", Pass),
            ("key_rotation", "2026-08-01", Fail),
            ("audit_log", "2025-11-01", Pass),
            ("audit_log", "2026-06-01", Unknown),
        ] {
            let (status, words) = weighed(control, on, None);
            assert_eq!(status, expected, "{control} {on}: {words}");
        }
    }

    #[test]
    fn a_reference_to_a_file_that_is_not_there_shows_nothing() {
        let (status, words) =
            weighed("encryption_at_rest", "2026-11-01", Some("/nowhere/protocol"));
        assert_eq!(status, ControlStatus::Unknown);
        assert!(words.contains("/nowhere/protocol is not there"), "{words}");
    }
}
