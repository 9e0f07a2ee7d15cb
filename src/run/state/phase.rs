//! The state of one phase.

use serde::{Deserialize, Serialize};

use super::backup::BackupState;
use super::chaos::ChaosState;
use super::load::LoadState;
use super::security::SecurityState;
use crate::config::PhaseKind;
use crate::run::event::{EventBody, PhaseOutcome};

/// Where a phase stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PhaseStatus {
    /// Still to come.
    #[default]
    Pending,
    /// At work (or paused in the middle of it).
    Running,
    /// Over, or passed over; the outcome says which.
    Finished,
}

/// The state of one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseState {
    /// Which phase.
    pub kind: PhaseKind,
    /// Where it stands.
    pub status: PhaseStatus,
    /// Left out by request before it began.
    pub skip_requested: bool,
    /// Planned length, microseconds, pauses not counted.
    pub planned_us: u64,
    /// When it began, microseconds since the run was created.
    pub started_us: Option<u64>,
    /// When it ended.
    pub finished_us: Option<u64>,
    /// When the pause that still lasts began.
    pub paused_since_us: Option<u64>,
    /// Length of the pauses that are over, microseconds.
    pub paused_us: u64,
    /// How it ended.
    pub outcome: Option<PhaseOutcome>,
    /// What it measured, for a load phase.
    pub load: Option<LoadState>,
    /// What it broke and how that was borne, for the chaos phase.
    #[serde(default)]
    pub chaos: Option<ChaosState>,
    /// What the security audit found.
    #[serde(default)]
    pub security: Option<SecurityState>,
    /// What the backup drill showed.
    #[serde(default)]
    pub backup: Option<BackupState>,
}

impl PhaseState {
    /// A phase that is still to come.
    pub const fn new(kind: PhaseKind) -> Self {
        Self {
            kind,
            status: PhaseStatus::Pending,
            skip_requested: false,
            planned_us: 0,
            started_us: None,
            finished_us: None,
            paused_since_us: None,
            paused_us: 0,
            outcome: None,
            load: None,
            chaos: None,
            security: None,
            backup: None,
        }
    }

    /// Time at work up to `now_us`, pauses not counted, microseconds.
    pub fn elapsed_us(&self, now_us: u64) -> u64 {
        let Some(started) = self.started_us else { return 0 };
        let end = self.finished_us.or(self.paused_since_us).unwrap_or(now_us.max(started));
        end.saturating_sub(started).saturating_sub(self.paused_us)
    }

    pub(super) fn apply(&mut self, at_us: u64, body: &EventBody) {
        match body {
            EventBody::PhaseStarted { planned_us } => {
                self.status = PhaseStatus::Running;
                self.started_us = Some(at_us);
                self.planned_us = *planned_us;
            }
            EventBody::PhaseFinished { outcome } => {
                self.end_pause(at_us);
                self.status = PhaseStatus::Finished;
                self.finished_us = Some(at_us);
                self.outcome = Some(outcome.clone());
            }
            EventBody::Paused {} => self.paused_since_us = Some(at_us),
            EventBody::Resumed {} => self.end_pause(at_us),
            EventBody::Load(load) => {
                self.load.get_or_insert_with(LoadState::default).apply(at_us, load);
            }
            EventBody::Security(security) => {
                self.security.get_or_insert_with(SecurityState::default).apply(security);
            }
            EventBody::Backup(backup) => {
                self.backup.get_or_insert_with(BackupState::default).apply(at_us, backup);
            }
            EventBody::Chaos(chaos) => {
                self.chaos.get_or_insert_with(ChaosState::default).apply(at_us, chaos);
            }
            _ => {}
        }
    }

    fn end_pause(&mut self, at_us: u64) {
        if let Some(since) = self.paused_since_us.take() {
            self.paused_us += at_us.saturating_sub(since);
        }
    }
}
