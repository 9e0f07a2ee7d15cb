//! What is known of the security audit.

use serde::{Deserialize, Serialize};

use crate::run::event::{CheckReport, Finding, SecurityEvent, SecurityScore};

/// Findings kept in the state; more are in the journal.
const KEPT_FINDINGS: usize = 500;

/// What is known of the security audit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SecurityState {
    /// The check that is under way.
    pub current: Option<String>,
    /// Checks that are over.
    pub checks: Vec<CheckReport>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// The score, once the phase is over.
    pub score: Option<SecurityScore>,
}

impl SecurityState {
    pub(super) fn apply(&mut self, event: &SecurityEvent) {
        match event {
            SecurityEvent::CheckStarted { check } => self.current = Some(check.clone()),
            SecurityEvent::Found(finding) => {
                self.findings.push((**finding).clone());
                self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
                self.findings.truncate(KEPT_FINDINGS);
            }
            SecurityEvent::CheckFinished(report) => {
                self.current = None;
                self.checks.push(report.clone());
            }
            SecurityEvent::Scored(score) => self.score = Some(score.clone()),
            SecurityEvent::Unknown => {}
        }
    }
}
