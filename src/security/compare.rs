//! The findings beside those of the runs before on the same target: of each check those of the latest
//! run that made it to its end, because a run may have made some of the checks only.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::CheckKind;
use crate::run::event::{
    CheckReport, CheckStatus, Comparison, EventBody, Finding, Gone, Novelty, SecurityEvent,
};
use crate::run::folder::RunFolder;
use crate::run::journal;
use crate::run::state::RunState;
use crate::run::summary::RunSummary;

use super::check_of;
use super::looked::Looked;

/// Runs on the same target that are looked through for audits.
const LOOKED_THROUGH: usize = 20;

/// What runs before had found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Before(Vec<Made>);

/// One check of a run before.
#[derive(Clone, Debug, PartialEq)]
struct Made {
    check: CheckKind,
    run: String,
    findings: Vec<Finding>,
}

impl Before {
    /// The latest audits of a target that were scored and made these checks, other than this run's; reads
    /// journals.
    pub fn find(runs: &Path, target: &str, own_run: &str, wanted: &[CheckKind]) -> Self {
        let mut before = Self::default();
        let earlier = RunFolder::list(runs).into_iter().rev().filter(|run| run.id() != own_run);
        // Whose run it was stands in its first event: the others' need not be read, nor are they counted.
        let on_it = |run: &RunFolder| RunSummary::begun(run).is_some_and(|of| of.target == target);
        let earlier = earlier.filter(on_it);
        for run in earlier.take(LOOKED_THROUGH) {
            if wanted.iter().all(|check| before.of(*check).is_some()) {
                break;
            }
            let mut state = RunState::default();
            // The state keeps the worst only, and what it left out would be new every time.
            let mut findings = Vec::new();
            let read = journal::for_each_event(run.path(), |event| {
                if let EventBody::Security(SecurityEvent::Found(finding)) = &event.body {
                    findings.push((**finding).clone());
                }
                state.apply(&event);
            });
            if read.is_err() {
                continue;
            }
            let audits = state.phases.iter().filter_map(|phase| phase.security.as_ref());
            for audit in audits.filter(|audit| audit.score.is_some()) {
                before.take(&run.id(), &audit.checks, &findings);
            }
        }
        before
    }

    fn of(&self, check: CheckKind) -> Option<&Made> {
        self.0.iter().find(|made| made.check == check)
    }

    /// Takes the checks of an audit that no later one made.
    fn take(&mut self, run: &str, checks: &[CheckReport], findings: &[Finding]) {
        for check in CheckKind::ALL {
            if self.of(check).is_none() && was_made(check, checks) {
                let of = findings.iter().filter(|one| check_of(&one.rule) == Some(check));
                let (run, findings) = (run.to_owned(), of.cloned().collect());
                self.0.push(Made { check, run, findings });
            }
        }
    }

    /// Whether there was a finding before; none where its check had not been made.
    pub fn novelty(&self, finding: &Finding) -> Option<Novelty> {
        let made = self.of(check_of(&finding.rule)?)?;
        let had = made.findings.iter().any(|other| other.fingerprint == finding.fingerprint);
        Some(if had { Novelty::Unchanged } else { Novelty::New })
    }

    /// The whole comparison; none where no check of this run had been made before. Fixed is only what
    /// this run looked for, and where it was: a check that was not made to its end fixes nothing, nor does
    /// one that does not know the place any more.
    pub fn compared(
        &self,
        findings: &[Finding],
        checks: &[CheckReport],
        looked: &Looked,
    ) -> Option<Comparison> {
        let beside = self.beside(checks);
        let mut runs: Vec<&str> = beside.iter().map(|made| made.run.as_str()).collect();
        runs.sort_unstable_by(|one, other| other.cmp(one));
        runs.dedup();
        if runs.is_empty() {
            return None;
        }
        let count = |novelty| {
            let of = findings.iter().filter(|finding| self.novelty(finding) == Some(novelty));
            of.count() as u32
        };
        let gone = self.gone(findings, checks).filter(|finding| looked.has(&finding.place));
        Some(Comparison {
            run: runs.join(", "),
            new: count(Novelty::New),
            unchanged: count(Novelty::Unchanged),
            fixed: gone
                .map(|finding| Gone {
                    fingerprint: finding.fingerprint.clone(),
                    title: format!("{} at {}", finding.title, finding.place),
                })
                .collect(),
        })
    }

    /// Places of findings that this run neither has nor can call fixed, because it did not look there.
    pub fn unseen(
        &self,
        findings: &[Finding],
        checks: &[CheckReport],
        looked: &Looked,
    ) -> BTreeSet<&str> {
        let gone = self.gone(findings, checks).map(|finding| finding.place.as_str());
        gone.filter(|place| !looked.has(place)).collect()
    }

    /// What was made before of the checks of this run.
    fn beside(&self, checks: &[CheckReport]) -> Vec<&Made> {
        let both = |made: &&Made| checks.iter().any(|one| one.check == made.check.title());
        self.0.iter().filter(both).collect()
    }

    /// Findings that checks of this run do not have any more, of those that were made to their end.
    fn gone(&self, findings: &[Finding], checks: &[CheckReport]) -> impl Iterator<Item = &Finding> {
        let again =
            self.beside(checks).into_iter().filter(move |made| was_made(made.check, checks));
        let before = again.flat_map(|made| &made.findings);
        before.filter(move |finding| {
            !findings.iter().any(|now| now.fingerprint == finding.fingerprint)
        })
    }
}

/// Whether a check was made to its end.
fn was_made(check: CheckKind, reports: &[CheckReport]) -> bool {
    let report = reports.iter().find(|report| report.check == check.title());
    report.is_some_and(|report| {
        !report.partial && matches!(report.status, CheckStatus::Pass | CheckStatus::Vulnerable)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::Severity;
    use crate::security::rules::{ANY_ORIGIN, REFLECTED};

    fn check(kind: CheckKind, status: CheckStatus) -> CheckReport {
        CheckReport {
            check: kind.title().to_owned(),
            status,
            coverage: String::new(),
            requests: 1,
            operations: None,
            partial: false,
        }
    }

    fn origin(place: &str) -> Finding {
        ANY_ORIGIN.finding(Severity::High, place, None)
    }

    /// A run that looked at these places.
    fn looked_at(places: &[&str]) -> Looked {
        let looked = Looked::default();
        places.iter().for_each(|place| looked.at(place));
        looked
    }

    fn script() -> Finding {
        REFLECTED.finding(Severity::High, "rag GET /c", None)
    }

    #[test]
    fn only_what_was_looked_for_again_is_fixed() {
        let made = [CheckKind::Cors, CheckKind::Xss].map(|of| check(of, CheckStatus::Vulnerable));
        let mut before = Before::default();
        before.take("r", &made, &[origin("a"), origin("b"), script()]);
        let mut checks = [
            check(CheckKind::Cors, CheckStatus::Vulnerable),
            check(CheckKind::Xss, CheckStatus::NotTested),
        ];
        let findings = [origin("b"), origin("d")];
        let looked = looked_at(&["a", "b", "d", "rag GET /c"]);
        let compared = before.compared(&findings, &checks, &looked).expect("something before");
        assert_eq!((compared.new, compared.unchanged), (1, 1));
        let fixed: Vec<&str> = compared.fixed.iter().map(|gone| gone.title.as_str()).collect();
        assert_eq!(fixed, [" at a"], "XSS was not looked for to its end");
        // What was found is found, but the rest was not looked for.
        checks[0].partial = true;
        let compared = before.compared(&findings, &checks, &looked).expect("something before");
        assert_eq!(compared.fixed, []);
    }

    #[test]
    fn what_was_found_where_this_run_did_not_look_is_not_fixed() {
        let made = [check(CheckKind::Cors, CheckStatus::Vulnerable)];
        let mut before = Before::default();
        before.take("r", &made, &["rag GET /a", "rag GET /b"].map(origin));
        let checks = [check(CheckKind::Cors, CheckStatus::Pass)];
        let looked = looked_at(&["rag GET /b"]);
        let compared = before.compared(&[], &checks, &looked).expect("something before");
        let fixed: Vec<&str> = compared.fixed.iter().map(|gone| gone.title.as_str()).collect();
        assert_eq!(fixed, [" at rag GET /b"]);
        assert_eq!(Vec::from_iter(before.unseen(&[], &checks, &looked)), ["rag GET /a"]);
    }

    #[test]
    fn a_check_is_compared_with_the_latest_run_that_made_it() {
        let both = [CheckKind::Cors, CheckKind::Xss].map(|of| check(of, CheckStatus::Vulnerable));
        let only = [check(CheckKind::Cors, CheckStatus::Vulnerable)];
        let mut before = Before::default();
        // The latest comes first.
        before.take("2-only-cors", &only, &[origin("b")]);
        before.take("1-both", &both, &[origin("a"), script()]);
        assert_eq!(before.novelty(&script()), Some(Novelty::Unchanged));
        assert_eq!(before.novelty(&origin("a")), Some(Novelty::New), "it had gone meanwhile");
        let looked = looked_at(&["a", "b", "rag GET /c"]);
        let now = [origin("b"), script()];
        let compared = before.compared(&now, &both, &looked).expect("compared");
        assert_eq!((compared.new, compared.unchanged, compared.fixed.len()), (0, 2, 0));
        assert_eq!(compared.run, "2-only-cors, 1-both");
        let compared = before.compared(&now[..1], &only, &looked).expect("compared");
        assert_eq!((compared.run.as_str(), compared.fixed.len()), ("2-only-cors", 0));
    }

    #[test]
    fn what_nobody_had_looked_for_is_neither_new_nor_known() {
        let mut before = Before::default();
        let looked = looked_at(&["rag GET /c"]);
        assert_eq!(before.compared(&[script()], &[], &looked), None);
        let mut cut = check(CheckKind::Xss, CheckStatus::Vulnerable);
        cut.partial = true;
        before.take("r", &[cut], &[]);
        assert_eq!(before.novelty(&script()), None, "that one was cut short");
        let pass = [check(CheckKind::Xss, CheckStatus::Pass)];
        assert_eq!(before.compared(&[], &pass, &looked), None);
    }
}
