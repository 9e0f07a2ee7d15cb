//! Controls that are a matter of dates: what people have seen, and how old the secrets are.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{age, required, seen};
use crate::config::{Auth, ComplianceRules, Config, Control, SecretSource, SloDefinitions};
use crate::run::event::{ControlResult, ControlStatus};

pub(super) fn check(config: &Config, promises: &SloDefinitions, today: Date) -> Vec<ControlResult> {
    let rules = &promises.compliance;
    let mut results = Vec::new();
    for control in [Control::EncryptionAtRest, Control::KeyRotation, Control::AuditLog] {
        let of_files =
            if control == Control::KeyRotation { secrets(config, rules, today) } else { vec![] };
        match seen(rules, control, today) {
            Some(result) => results.push(result),
            None if of_files.is_empty() => results.push(ControlResult {
                control,
                subject: "platform".into(),
                required: required(rules, control),
                status: ControlStatus::Unknown,
                evidence: "a run cannot see it, and `compliance.evidence` names nothing".into(),
            }),
            None => {}
        }
        results.extend(of_files);
    }
    results
}

/// A secret's file tells when it was last written.
fn secrets(config: &Config, rules: &ComplianceRules, today: Date) -> Vec<ControlResult> {
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    for (service, endpoint) in config.services.endpoints() {
        match &endpoint.auth {
            Some(Auth::BearerFile(path)) => files.push((service.to_string(), path.clone())),
            Some(Auth::Header { value: SecretSource::File(path), .. }) => {
                files.push((service.to_string(), path.clone()));
            }
            _ => {}
        }
    }
    for (kind, store) in config.stores.configured() {
        if let Some(SecretSource::File(path)) = &store.password {
            files.push((kind.to_string(), path.clone()));
        }
    }
    files.into_iter().map(|(subject, path)| one(subject, &path, rules, today)).collect()
}

fn one(subject: String, path: &PathBuf, rules: &ComplianceRules, today: Date) -> ControlResult {
    let written = std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let day = written.and_then(|time| Timestamp::try_from(time).ok());
    let age = day.and_then(|at| age(at.to_zoned(TimeZone::UTC).date(), today));
    let limit = rules.key_rotation_max_age;
    let (status, evidence) = match age {
        None => (ControlStatus::Unknown, format!("{}: cannot tell when written", path.display())),
        Some(age) => {
            let days = age.as_hours() / 24;
            let words = format!("its secret's file was written {days} d ago, {limit} is allowed");
            let fresh = age.unsigned_abs() <= limit.get();
            (if fresh { ControlStatus::Pass } else { ControlStatus::Fail }, words)
        }
    };
    ControlResult { control: Control::KeyRotation, subject, required: true, status, evidence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, SHIPPED_SLOS};

    #[test]
    fn a_secret_that_was_not_replaced_for_too_long_fails() {
        let promises = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        let path = file.path().to_owned();
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let later = |days: i64| today.checked_add(jiff::Span::new().days(days)).expect("in range");
        let status = |today| one("redis".into(), &path, &promises.compliance, today).status;
        assert_eq!(status(today), ControlStatus::Pass);
        assert_eq!(status(later(91)), ControlStatus::Fail);
        let gone = one("redis".into(), &PathBuf::from("/nowhere"), &promises.compliance, today);
        assert_eq!(gone.status, ControlStatus::Unknown);
    }
}
