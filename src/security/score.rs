//! The security score: 100 less what findings weigh (critical 25, high 12, medium 5, low 1), images at
//! most 40, everything else at most 60; a confirmed critical finding leaves at most 49, and a scan that
//! was not made never leaves 100.

use crate::run::event::{CheckReport, CheckStatus, Confidence, Finding, SecurityScore, Severity};

/// Prefix of the rules of image scans.
pub const IMAGE_RULE: &str = "SDK-IMG";
const IMAGES_CAP: f64 = 40.0;
const PROBES_CAP: f64 = 60.0;
const CRITICAL_CAP: f64 = 49.0;
/// What is left at most when something was not tested.
const OPEN_CAP: f64 = 99.0;

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
    let counted = || findings.iter().filter(|finding| finding.confidence >= Confidence::Firm);
    let penalty = |images: bool| -> f64 {
        let of = counted().filter(|f| f.rule.starts_with(IMAGE_RULE) == images);
        of.map(|finding| weight(finding.severity)).sum()
    };
    let mut score = 100.0 - penalty(true).min(IMAGES_CAP) - penalty(false).min(PROBES_CAP);
    let critical =
        |f: &Finding| f.severity == Severity::Critical && f.confidence == Confidence::Confirmed;
    if findings.iter().any(critical) {
        score = score.min(CRITICAL_CAP);
    }
    let applies = |check: &&CheckReport| check.status != CheckStatus::NotApplicable;
    let asked = checks.iter().filter(applies).count() as u32;
    let open = checks.iter().filter(|check| check.status.is_open()).count() as u32;
    if open > 0 {
        score = score.min(OPEN_CAP);
    }
    SecurityScore { score: score.max(0.0), covered: asked - open, asked }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, severity: Severity, confidence: Confidence) -> Finding {
        Finding {
            rule: rule.into(),
            title: String::new(),
            severity,
            confidence,
            cwe: 1,
            place: String::new(),
            evidence: String::new(),
            remedy: String::new(),
        }
    }

    fn check(status: CheckStatus) -> CheckReport {
        CheckReport { check: "one".into(), status, coverage: String::new(), requests: 0 }
    }

    #[test]
    fn findings_weigh_by_severity_and_only_when_they_are_firm() {
        let pass = [check(CheckStatus::Pass)];
        let of = |findings: &[Finding]| score(findings, &pass).score;
        assert_eq!(of(&[]), 100.0);
        assert_eq!(of(&[finding("SDK-CORS-001", Severity::Medium, Confidence::Firm)]), 95.0);
        assert_eq!(of(&[finding("SDK-CORS-001", Severity::High, Confidence::Tentative)]), 100.0);
        assert_eq!(of(&[finding("SDK-SQLI-001", Severity::Critical, Confidence::Confirmed)]), 49.0);
        let many = vec![finding("SDK-IMG-001", Severity::High, Confidence::Firm); 50];
        assert_eq!(of(&many), 60.0, "images cost at most 40");
    }

    #[test]
    fn what_was_not_tested_is_missing_in_the_coverage_and_never_leaves_100() {
        let checks = [CheckStatus::Pass, CheckStatus::NotTested, CheckStatus::NotApplicable];
        let score = score(&[], &checks.map(check));
        assert_eq!((score.score, score.covered, score.asked), (99.0, 1, 2));
    }
}
