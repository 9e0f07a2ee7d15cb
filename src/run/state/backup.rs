//! What is known of the backup drill.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::StoreKind;
use crate::run::event::{
    BackupEvent, ClosureReport, DrillStart, DrillStep, DrillSummary, StepProgress, StepReport,
    StoreReport,
};

/// Lines of the backup service that are kept; more are in the journal.
const KEPT_MESSAGES: usize = 50;

/// What is known of the drills of a phase, in order: the built-in one, the platform's, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BackupState {
    /// The drills.
    pub drills: Vec<DrillState>,
}

/// What is known of one drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillState {
    /// How it began.
    pub start: DrillStart,
    /// The stores that have begun.
    pub stores: BTreeMap<StoreKind, StoreState>,
    /// What the backup service said.
    pub service: Vec<String>,
    /// Whether every document is whole.
    pub closure: Option<ClosureReport>,
    /// How it ended.
    pub summary: Option<DrillSummary>,
}

/// What is known of one store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoreState {
    /// Steps that are over.
    pub steps: Vec<StepReport>,
    /// The step that is under way, and since when, microseconds since the run was created.
    pub current: Option<(DrillStep, u64)>,
    /// How far that step is.
    pub progress: Option<StepProgress>,
    /// Everything, once the store is over.
    pub report: Option<StoreReport>,
}

impl StoreState {
    /// A step that is over.
    pub fn step(&self, step: DrillStep) -> Option<&StepReport> {
        self.steps.iter().find(|report| report.step == step)
    }
}

impl BackupState {
    /// The drill that is under way or was last.
    pub fn latest(&self) -> Option<&DrillState> {
        self.drills.last()
    }

    /// Records that were lost in all drills; none where one did not come to compare them all.
    pub fn lost(&self) -> Option<u64> {
        let lost = self.drills.iter().map(|drill| drill.summary.and_then(|summary| summary.lost));
        lost.reduce(|a, b| Some(a? + b?)).flatten()
    }

    /// Records that were compared.
    pub fn compared(&self) -> u64 {
        self.drills.iter().filter_map(|drill| drill.summary).map(|summary| summary.expected).sum()
    }

    pub(super) fn apply(&mut self, at_us: u64, event: &BackupEvent) {
        if let BackupEvent::Started(start) = event {
            self.drills.push(DrillState {
                start: start.clone(),
                stores: BTreeMap::new(),
                service: Vec::new(),
                closure: None,
                summary: None,
            });
        }
        if let Some(drill) = self.drills.last_mut() {
            drill.apply(at_us, event);
        }
    }
}

impl DrillState {
    fn apply(&mut self, at_us: u64, event: &BackupEvent) {
        match event {
            BackupEvent::StepStarted { store, step } => {
                let store = self.stores.entry(*store).or_default();
                store.current = Some((*step, at_us));
                store.progress = None;
            }
            BackupEvent::Progress(progress) => {
                self.stores.entry(progress.store).or_default().progress = Some(*progress);
            }
            BackupEvent::StepFinished(report) => {
                let store = self.stores.entry(report.store).or_default();
                store.current = None;
                store.progress = None;
                store.steps.push(report.clone());
            }
            BackupEvent::StoreFinished(report) => {
                let store = self.stores.entry(report.store).or_default();
                store.current = None;
                store.report = Some((**report).clone());
            }
            BackupEvent::Service { message } => {
                if self.service.len() < KEPT_MESSAGES {
                    self.service.push(message.clone());
                }
            }
            BackupEvent::Closure(closure) => self.closure = Some(closure.clone()),
            BackupEvent::Finished(summary) => self.summary = Some(*summary),
            BackupEvent::Started(_) | BackupEvent::Unknown => {}
        }
    }
}
