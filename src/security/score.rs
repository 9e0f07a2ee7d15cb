//! The security score: 100 less what findings weigh (critical 25, high 12, medium 5, low 1), packages of
//! images at most 40, everything else at most 60. The same vulnerability of the same package in several
//! images weighs once, and one that nobody can fix yet 0.3 of it. A confirmed critical finding leaves at
//! most 49, and a check that was not made never leaves 100.

use std::collections::BTreeMap;

use super::rules::{END_OF_LIFE, VULNERABLE_PACKAGE};
use crate::run::event::{CheckReport, CheckStatus, Confidence, Finding, SecurityScore, Severity};

const IMAGES_CAP: f64 = 40.0;
const PROBES_CAP: f64 = 60.0;
const CRITICAL_CAP: f64 = 49.0;
/// What is left at most when something was not tested.
const OPEN_CAP: f64 = 99.0;
/// What a vulnerability without a fixed version weighs of one that has it.
const UNFIXED: f64 = 0.3;

const fn weight(severity: Severity) -> f64 {
    match severity {
        Severity::Critical => 25.0,
        Severity::High => 12.0,
        Severity::Medium => 5.0,
        Severity::Low => 1.0,
        Severity::Info => 0.0,
    }
}

/// The score of an audit.
pub fn score(findings: &[Finding], checks: &[CheckReport]) -> SecurityScore {
    let counted = || findings.iter().filter(|finding| finding.counts());
    let probes: f64 = counted().filter(|f| !is_image(f)).map(|f| weight(f.severity)).sum();
    let mut packages: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for finding in counted().filter(|finding| is_image(finding)) {
        let part = if finding.fixable == Some(false) { UNFIXED } else { 1.0 };
        let once = packages.entry(key(finding)).or_default();
        *once = once.max(weight(finding.severity) * part);
    }
    let images: f64 = packages.values().sum();
    let mut score = 100.0 - images.min(IMAGES_CAP) - probes.min(PROBES_CAP);
    let critical =
        |f: &Finding| f.severity == Severity::Critical && f.confidence == Confidence::Confirmed;
    if counted().any(critical) {
        score = score.min(CRITICAL_CAP);
    }
    let applies = |check: &&CheckReport| check.status != CheckStatus::NotApplicable;
    let asked = checks.iter().filter(applies).count() as u32;
    let open = checks.iter().filter(|check| check.status.is_open()).count() as u32;
    if checks.iter().any(CheckReport::is_open) {
        score = score.min(OPEN_CAP);
    }
    SecurityScore { score: score.max(0.0), covered: asked - open, asked }
}

fn is_image(finding: &Finding) -> bool {
    [VULNERABLE_PACKAGE.id, END_OF_LIFE.id].contains(&finding.rule.as_str())
}

/// What weighs once: a vulnerability of a package whatever the image, an operating system per image.
fn key(finding: &Finding) -> (&str, &str) {
    match &finding.parameter {
        Some(package) => (&finding.rule, package),
        None => (&finding.rule, &finding.place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::rules::{ANY_ORIGIN, SQL_INJECTION};

    fn finding(severity: Severity, confidence: Confidence) -> Finding {
        let rule = if severity == Severity::Critical { SQL_INJECTION } else { ANY_ORIGIN };
        Finding { confidence, ..rule.finding(severity, "rag GET /", None) }
    }

    fn package(place: &str, parameter: &str, fixable: bool) -> Finding {
        let mut found = VULNERABLE_PACKAGE.finding(Severity::High, place, Some(parameter));
        found.fixable = Some(fixable);
        found
    }

    fn check(status: CheckStatus) -> CheckReport {
        CheckReport {
            check: "one".into(),
            status,
            coverage: String::new(),
            requests: 0,
            operations: None,
            partial: false,
        }
    }

    #[test]
    fn findings_weigh_by_severity_and_only_when_they_are_firm_and_not_accepted() {
        let pass = [check(CheckStatus::Pass)];
        let of = |findings: &[Finding]| score(findings, &pass).score;
        assert_eq!(of(&[]), 100.0);
        assert_eq!(of(&[finding(Severity::Medium, Confidence::Firm)]), 95.0);
        assert_eq!(of(&[finding(Severity::High, Confidence::Tentative)]), 100.0);
        assert_eq!(of(&[finding(Severity::Critical, Confidence::Confirmed)]), 49.0);
        let mut accepted = finding(Severity::Critical, Confidence::Confirmed);
        accepted.suppressed = Some("known".into());
        assert_eq!(of(&[accepted]), 100.0);
    }

    #[test]
    fn packages_weigh_once_whatever_the_image_and_less_when_nobody_can_fix_them() {
        let pass = [check(CheckStatus::Pass)];
        let of = |findings: &[Finding]| score(findings, &pass).score;
        let twice = [package("a:1", "CVE-1 zlib", true), package("b:1", "CVE-1 zlib", true)];
        assert_eq!(of(&twice), 88.0);
        assert!((of(&[package("a:1", "CVE-1 zlib", false)]) - 96.4).abs() < 1e-9);
        let many: Vec<_> =
            (0..50).map(|n| package("a:1", &format!("CVE-{n} zlib"), true)).collect();
        assert_eq!(of(&many), 60.0, "images cost at most 40");
    }

    #[test]
    fn what_was_not_tested_is_missing_in_the_coverage_and_never_leaves_100() {
        let checks = [CheckStatus::Pass, CheckStatus::NotTested, CheckStatus::NotApplicable];
        let score = score(&[], &checks.map(check));
        assert_eq!((score.score, score.covered, score.asked), (99.0, 1, 2));
        let part = CheckReport { partial: true, ..check(CheckStatus::Vulnerable) };
        let score = super::score(&[], &[part]);
        assert_eq!((score.score, score.covered, score.asked), (99.0, 1, 1));
    }
}
