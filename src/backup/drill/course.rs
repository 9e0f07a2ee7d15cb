//! The course of one store's drill.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::canary::{CanaryWriter, Written};
use super::gate::{AtWork, Gate};
use super::guard;
use super::reporter::Reporter;
use super::sink::Holding;
use super::verdict;
use crate::backup::archive::Archive;
use crate::backup::dataset::Dataset;
use crate::backup::ledger::Ledger;
use crate::backup::stores::{DrillError, DrillStore, Identity, Namespace};
use crate::backup::subject::{OpenStore, reach, remove};
use crate::backup::undo::Undos;
use crate::run::event::{BackupEvent, DrillStep, StoreReport};
use crate::run::recorder::EventSink;

/// Longest that one attempt at cleaning may take; the undo journal remembers what it did not reach.
const CLEANING: Duration = Duration::from_secs(60);

/// What is drilled, and how.
pub struct Drill {
    /// The run.
    pub run_id: String,
    /// The store.
    pub opener: Arc<dyn OpenStore>,
    /// Our place in it.
    pub names: Namespace,
    /// What is put into it.
    pub dataset: Dataset,
    /// About how many bytes that takes.
    pub needed: u64,
    /// Free room of the store by the configuration, bytes.
    pub free_bytes: Option<u64>,
    /// A folder of its own for backup and ledgers.
    pub folder: PathBuf,
    /// Time between two canaries.
    pub canary_interval: Duration,
    /// What the store really is, where its own word would mislead.
    pub label: Option<String>,
    /// Remembers what has to be undone.
    pub undos: Arc<Undos>,
}

/// A drill that is over.
pub struct Ended {
    /// What it showed.
    pub report: StoreReport,
    /// The documents that came back, where it came to that.
    pub documents: Option<Ledger>,
}

/// A drill under way, and what it has found so far.
pub struct Course<'a> {
    pub drill: &'a Drill,
    pub gate: Gate,
    pub at_work: Option<AtWork>,
    pub reporter: Reporter,
    pub report: StoreReport,
    pub store: Option<Arc<dyn DrillStore>>,
    /// The store that a backup was restored into, where it is another one.
    pub scratch: Option<Arc<dyn DrillStore>>,
    pub identity: Option<Identity>,
    pub bystanders: Vec<(String, u64)>,
    /// Entry of the undo journal, once something of ours may be there.
    pub undo: Option<u64>,
    pub before: Option<Holding>,
    pub canaries: Option<CanaryWriter>,
    pub written: Written,
    pub archive: Option<Archive>,
    pub disaster: Option<Instant>,
    pub restored: Option<Holding>,
    /// What is wrong however well the drill itself ends: a backup older than is promised.
    pub broken_promise: Option<String>,
}

impl Drill {
    /// The course of this drill, with nothing done.
    pub(in crate::backup) fn begin(&self, events: EventSink, gate: Gate) -> Course<'_> {
        let kind = self.opener.kind();
        Course {
            drill: self,
            gate,
            at_work: None,
            reporter: Reporter::new(events, kind),
            report: StoreReport::begun(kind, self.label.clone()),
            store: None,
            scratch: None,
            identity: None,
            bystanders: Vec::new(),
            undo: None,
            before: None,
            canaries: None,
            written: Written::default(),
            archive: None,
            disaster: None,
            restored: None,
            broken_promise: None,
        }
    }

    /// Drills one store, and removes everything of it again.
    pub async fn run(&self, events: EventSink, gate: Gate) -> Ended {
        let mut course = self.begin(events, gate);
        let outcome = course.steps(&DrillStep::ALL).await;
        course.conclude(outcome).await
    }
}

impl Course<'_> {
    /// Takes steps, one after the other, until one fails.
    pub(in crate::backup) async fn steps(&mut self, steps: &[DrillStep]) -> Result<(), DrillError> {
        // Differences are not the end: they are counted by the last step.
        let mut differences = None;
        for step in steps.iter().copied() {
            if step <= DrillStep::Destroy {
                // The last point at which it can hold is before anything is destroyed.
                self.gate.pass(&mut self.at_work).await?;
            }
            let done = self.one_step(step).await;
            match done {
                Err(error) if step == DrillStep::VerifyIntegrity && self.is_compared() => {
                    differences = Some(error);
                }
                done => done?,
            }
        }
        differences.map_or(Ok(()), Err)
    }

    const fn is_compared(&self) -> bool {
        self.report.comparison.is_some()
    }

    async fn one_step(&mut self, step: DrillStep) -> Result<(), DrillError> {
        let of = match step {
            DrillStep::Setup | DrillStep::Destroy | DrillStep::DataLoss => None,
            _ => self.expected_count(),
        };
        self.reporter.begin(step, of);
        let done = match step {
            DrillStep::Setup => self.set_up().await,
            DrillStep::Inject => self.inject().await,
            DrillStep::VerifyInitial => self.verify_initial().await,
            DrillStep::Backup => self.back_up().await,
            DrillStep::VerifyBackup => self.verify_backup().await,
            DrillStep::Destroy => self.destroy().await,
            DrillStep::Restore => self.restore().await,
            DrillStep::VerifyIntegrity => self.verify_integrity().await,
            DrillStep::DataLoss => self.data_loss(),
        };
        let took = self.reporter.end(done.as_deref());
        if step == DrillStep::Restore {
            self.report.times.restore_us = Some(took.as_micros() as u64);
        }
        done.map(drop)
    }

    fn expected_count(&self) -> Option<u64> {
        self.before.as_ref().map(|before| before.records.count())
    }

    pub(super) fn store(&self) -> Result<Arc<dyn DrillStore>, DrillError> {
        self.store.clone().ok_or_else(|| DrillError::Wrong("there is no connection".into()))
    }

    /// A step that is done for several stores at once: it has ended when `work` has.
    pub(in crate::backup) async fn step_of<T>(
        &mut self,
        step: DrillStep,
        work: impl Future<Output = Result<(T, String), DrillError>>,
    ) -> Result<T, DrillError> {
        self.reporter.begin(step, None);
        let done = work.await;
        let took = self.reporter.end(done.as_ref().map(|(_, detail)| detail.as_str()));
        if step == DrillStep::Restore {
            self.report.times.restore_us = Some(took.as_micros() as u64);
        }
        done.map(|(value, _)| value)
    }

    /// Cleans, decides, and says so.
    pub(in crate::backup) async fn conclude(mut self, outcome: Result<(), DrillError>) -> Ended {
        self.stop_canaries().await;
        self.clean().await;
        let step = self.reporter.step();
        let promise = self.broken_promise.as_deref();
        verdict::decide(&mut self.report, step, outcome, promise);
        self.reporter.emit(BackupEvent::StoreFinished(Box::new(self.report.clone())));
        Ended { report: self.report, documents: self.restored.map(|holding| holding.documents) }
    }

    pub(in crate::backup) async fn stop_canaries(&mut self) {
        if let Some(canaries) = self.canaries.take() {
            self.written = canaries.stop().await;
            self.report.times.canaries_written = self.written.acknowledged.len() as u64;
            if self.written.failed > 0 {
                let note = format!("{} canaries were not taken", self.written.failed);
                self.report.notes.push(note);
            }
        }
    }

    /// Of which store.
    pub(in crate::backup) fn kind(&self) -> crate::config::StoreKind {
        self.drill.opener.kind()
    }

    /// Removes what a restore brought into a scratch store; `restored`: the service said that it did.
    pub(in crate::backup) async fn clean_scratch(
        &mut self,
        undo: u64,
        restored: bool,
        opener: &dyn OpenStore,
        undos: &Undos,
    ) {
        let held = self.scratch.take();
        let names = &self.drill.names;
        let never_seen = !self.report.absence_proven && !restored;
        let work = async {
            let scratch = match held {
                Some(scratch) => scratch,
                None => match reach(opener).await {
                    Ok((scratch, _)) => scratch,
                    // It was not there before the restore, and is not now.
                    Err(_) if never_seen => return Ok(Vec::new()),
                    Err(error) => return Err(error),
                },
            };
            remove(&*scratch, names).await
        };
        let removed = tokio::time::timeout(CLEANING, work).await;
        match removed {
            Ok(Ok(left)) if left.is_empty() => undos.done(undo),
            Ok(Ok(left)) => self.scratch_residue(&left.join(", ")),
            Ok(Err(error)) => self.scratch_residue(&error.to_string()),
            Err(_) => self.scratch_residue("no answer"),
        }
    }

    fn scratch_residue(&mut self, what: &str) {
        let names = self.drill.names.name();
        self.report.residue.push(format!("{names} in the scratch store: {what}"));
    }

    /// Removes everything of ours, and looks whether it and everything else is as it was.
    async fn clean(&mut self) {
        if let Some(undo) = self.undo {
            let left = self.remove_all().await;
            if left.is_empty() {
                self.drill.undos.done(undo);
            }
            self.report.residue.extend(left);
        }
        if let Some(store) = &self.store {
            let asked = tokio::time::timeout(CLEANING, store.bystanders()).await;
            let after = asked.ok().and_then(Result::ok);
            let before = std::mem::take(&mut self.bystanders);
            self.report.bystanders = guard::bystanders(before, after.as_deref());
            self.report.notes.extend(guard::fewer(&self.report.bystanders));
        }
    }

    /// With the connection that is there and, should it be broken, with a new one.
    async fn remove_all(&mut self) -> Vec<String> {
        let names = &self.drill.names;
        if let Some(store) = self.store.clone()
            && let Ok(Ok(residue)) = tokio::time::timeout(CLEANING, remove(&*store, names)).await
        {
            return residue;
        }
        let again = async {
            let store = self.drill.opener.open().await?;
            let residue = remove(&*store, names).await?;
            Ok::<_, DrillError>((store, residue))
        };
        match tokio::time::timeout(CLEANING, again).await {
            Ok(Ok((store, residue))) => {
                self.store = Some(store);
                residue
            }
            Ok(Err(error)) => vec![format!("{}, perhaps: {error}", names.name())],
            Err(_) => vec![format!("{}, perhaps: no answer", names.name())],
        }
    }
}
