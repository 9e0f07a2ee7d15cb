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

impl DrillState {
    /// Whether the documents fit together over the stores, in one line: of how many and which stores
    /// that was counted, and of which not. None while that is not known, and for a single store.
    pub fn across_stores(&self) -> Option<String> {
        self.summary.filter(|_| self.start.stores.len() > 1)?;
        let Some(closure) = &self.closure else {
            return Some("documents were not counted, for want of two verified stores".into());
        };
        let others = self.start.stores.iter().filter(|store| !closure.stores.contains(store));
        let others: Vec<&str> = others.map(|store| store.name()).collect();
        Some(match others.as_slice() {
            [] => closure.words(),
            others => format!("{}; not verified: {}", closure.words(), others.join(", ")),
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::{DrillWay, Verdict};

    #[test]
    fn whole_documents_are_told_with_the_stores_of_which_they_were_counted() {
        let start = DrillStart {
            way: DrillWay::BuiltIn,
            documents: 5,
            seed: 7,
            namespace: "sd_drill_x".into(),
            stores: vec![StoreKind::Postgres, StoreKind::Redis, StoreKind::Neo4j],
            skipped: vec![],
        };
        let mut backup = BackupState::default();
        backup.apply(0, &BackupEvent::Started(start));
        let across = |backup: &BackupState| backup.latest().and_then(DrillState::across_stores);
        assert_eq!(across(&backup), None, "it goes on");
        backup.apply(1, &BackupEvent::Finished(summary()));
        let nothing = "documents were not counted, for want of two verified stores";
        assert_eq!(across(&backup).as_deref(), Some(nothing));
        let stores = vec![StoreKind::Postgres, StoreKind::Neo4j];
        let closure = ClosureReport { documents: 5, whole: 4, broken: vec![], stores };
        backup.apply(2, &BackupEvent::Closure(closure));
        let some = "4 of 5 documents are whole over postgres, neo4j; not verified: redis";
        assert_eq!(across(&backup).as_deref(), Some(some));
    }

    fn summary() -> DrillSummary {
        DrillSummary {
            verdict: Verdict::Fail,
            passed: 1,
            stores: 3,
            expected: 9,
            restored: 8,
            lost: None,
            rpo_us: None,
            rto_us: None,
        }
    }
}
