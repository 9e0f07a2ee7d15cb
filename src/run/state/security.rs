//! What is known of the security audit.

use serde::{Deserialize, Serialize};

use crate::run::event::{
    CheckReport, Comparison, Discovered, Finding, ImageReport, SecurityEvent, SecurityScore,
    VulnerabilityDatabase, Written,
};

/// Findings kept in the state; more are in the journal.
const KEPT_FINDINGS: usize = 500;

/// What is known of the security audit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SecurityState {
    /// What there is to be audited.
    #[serde(default)]
    pub discovered: Option<Discovered>,
    /// The check that is under way.
    pub current: Option<String>,
    /// How far it is.
    #[serde(default)]
    pub progress: Option<Progress>,
    /// Checks that are over.
    pub checks: Vec<CheckReport>,
    /// Trivy's database.
    #[serde(default)]
    pub database: Option<VulnerabilityDatabase>,
    /// The image that is being scanned.
    #[serde(default)]
    pub current_image: Option<String>,
    /// What Trivy is doing with it, in its words.
    #[serde(default)]
    pub current_step: Option<String>,
    /// Images that are still to be scanned.
    #[serde(default)]
    pub waiting_images: Vec<String>,
    /// Images that have been scanned.
    #[serde(default)]
    pub images: Vec<ImageReport>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// Findings that were too many to be kept.
    #[serde(default)]
    pub findings_dropped: u64,
    /// How they differ from those of the run before.
    #[serde(default)]
    pub comparison: Option<Comparison>,
    /// What the audit wrote and has not shown to be gone.
    #[serde(default)]
    pub residue: Vec<Written>,
    /// How many things it wrote.
    #[serde(default)]
    pub written: u32,
    /// The score, once the phase is over.
    pub score: Option<SecurityScore>,
}

/// How far a check is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub done: u32,
    /// Steps altogether.
    pub of: u32,
    /// What it is at.
    pub at: String,
}

impl SecurityState {
    pub(super) fn apply(&mut self, event: &SecurityEvent) {
        match event {
            SecurityEvent::Discovered(discovered) => self.discovered = Some(discovered.clone()),
            SecurityEvent::CheckStarted { check } => {
                self.current = Some(check.clone());
                self.progress = None;
            }
            SecurityEvent::Progress { done, of, at, .. } => {
                self.progress = Some(Progress { done: *done, of: *of, at: at.clone() });
            }
            SecurityEvent::Database(database) => self.database = Some(database.clone()),
            SecurityEvent::ImagesFound { images } => self.waiting_images.clone_from(images),
            SecurityEvent::ImageStarted { image } => {
                self.waiting_images.retain(|waiting| waiting != image);
                self.current_image = Some(image.clone());
                self.current_step = None;
            }
            SecurityEvent::ImageStep { step, .. } => self.current_step = Some(step.clone()),
            SecurityEvent::ImageFinished(report) => {
                self.current_image = None;
                self.current_step = None;
                // Another name of an image that has been scanned.
                let same = |one: &&mut ImageReport| one.id.is_some() && one.id == report.id;
                match self.images.iter_mut().find(same) {
                    Some(known) => *known = report.clone(),
                    None => self.images.push(report.clone()),
                }
            }
            SecurityEvent::Writing(written) => {
                self.written += 1;
                self.residue.push(written.clone());
            }
            SecurityEvent::Replacing(written) => {
                self.residue.retain(|one| one.name != written.name);
                self.residue.push(written.clone());
            }
            SecurityEvent::Stored { name, at } => {
                let known = self.residue.iter_mut().filter(|written| written.name == *name);
                known.for_each(|written| written.stored = Some(at.clone()));
            }
            SecurityEvent::Removed { name, gone, .. } => {
                self.residue.retain(|written| !gone || written.name != *name);
            }
            SecurityEvent::Found(finding) => self.found(finding),
            SecurityEvent::CheckFinished(report) => {
                self.current = None;
                self.progress = None;
                self.checks.push(report.clone());
            }
            SecurityEvent::Compared(comparison) => self.comparison = Some(comparison.clone()),
            SecurityEvent::Scored(score) => self.score = Some(score.clone()),
            SecurityEvent::Unknown => {}
        }
    }

    /// The worst first; what is accepted stands at the end.
    fn found(&mut self, finding: &Finding) {
        let weight = |finding: &Finding| {
            (
                finding.suppressed.is_some(),
                std::cmp::Reverse((finding.severity, finding.confidence)),
            )
        };
        let at = self.findings.partition_point(|other| weight(other) <= weight(finding));
        self.findings.insert(at, finding.clone());
        if self.findings.len() > KEPT_FINDINGS {
            self.findings.truncate(KEPT_FINDINGS);
            self.findings_dropped += 1;
        }
    }
}
