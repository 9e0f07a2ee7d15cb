//! The findings beside those of the run before on the same target.

use std::path::Path;

use crate::run::event::{CheckReport, CheckStatus, Comparison, Finding, Gone, Novelty};
use crate::run::folder::RunFolder;
use crate::run::journal;

use super::check_of;

/// Runs that are looked through for one with an audit.
const LOOKED_THROUGH: usize = 20;

/// The audit of a run before.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    run: String,
    findings: Vec<Finding>,
}

impl Before {
    /// The latest audit of a target that came to its end, other than this run's; reads journals.
    pub fn find(runs: &Path, target: &str, own_run: &str) -> Option<Self> {
        let earlier = RunFolder::list(runs).into_iter().rev().filter(|run| run.id() != own_run);
        for run in earlier.take(LOOKED_THROUGH) {
            let Ok(recorded) = journal::read(run.path()) else { continue };
            let same = recorded.state.identity.as_ref().is_some_and(|of| of.target == target);
            let audits = recorded.state.phases.into_iter().filter_map(|phase| phase.security);
            let finished = audits.into_iter().find(|audit| audit.score.is_some());
            if let Some(audit) = finished.filter(|_| same) {
                return Some(Self { run: run.id(), findings: audit.findings });
            }
        }
        None
    }

    /// Whether it had a finding.
    pub fn novelty(&self, finding: &Finding) -> Novelty {
        let had = self.findings.iter().any(|other| other.fingerprint == finding.fingerprint);
        if had { Novelty::Unchanged } else { Novelty::New }
    }

    /// The whole comparison. Gone is only what this run looked for: a check that was not made to its
    /// end fixes nothing.
    pub fn compared(&self, findings: &[Finding], checks: &[CheckReport]) -> Comparison {
        let mut new = 0;
        for finding in findings {
            new += u32::from(self.novelty(finding) == Novelty::New);
        }
        let made = |finding: &Finding| {
            checks.iter().any(|report| {
                Some(report.check.as_str()) == check_of(&finding.rule).map(|kind| kind.title())
                    && matches!(report.status, CheckStatus::Pass | CheckStatus::Vulnerable)
            })
        };
        let gone = self.findings.iter().filter(|finding| {
            made(finding) && !findings.iter().any(|now| now.fingerprint == finding.fingerprint)
        });
        Comparison {
            run: self.run.clone(),
            new,
            unchanged: findings.len() as u32 - new,
            fixed: gone
                .map(|finding| Gone {
                    fingerprint: finding.fingerprint.clone(),
                    title: format!("{} at {}", finding.title, finding.place),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CheckKind;
    use crate::run::event::Severity;
    use crate::security::rules::{ANY_ORIGIN, REFLECTED};

    #[test]
    fn only_what_was_looked_for_again_is_fixed() {
        let of = |place: &str| ANY_ORIGIN.finding(Severity::High, place, None);
        let script = REFLECTED.finding(Severity::High, "rag GET /c", None);
        let before = Before { run: "r".into(), findings: vec![of("a"), of("b"), script] };
        let check = |kind: CheckKind, status| CheckReport {
            check: kind.title().to_owned(),
            status,
            coverage: String::new(),
            requests: 1,
            operations: None,
        };
        let checks = [
            check(CheckKind::Cors, CheckStatus::Vulnerable),
            check(CheckKind::Xss, CheckStatus::NotTested),
        ];
        let compared = before.compared(&[of("b"), of("d")], &checks);
        assert_eq!((compared.new, compared.unchanged), (1, 1));
        let fixed: Vec<&str> = compared.fixed.iter().map(|gone| gone.title.as_str()).collect();
        assert_eq!(fixed, [" at a"], "XSS was not looked for to its end");
    }
}
