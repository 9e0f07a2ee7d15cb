//! The backup phase: the drills of all stores side by side, whatever operators wish meanwhile.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::conclusion;
use super::dataset::Dataset;
use super::drill::{Drill, Ended, Gate, Gatekeeper, Wanted, check_disk, gate};
use super::stores::{DrillError, Namespace};
use super::subject::{Subject, Undo};
use super::undo::{Undos, make_folder, remove_folder};
use crate::config::{Backup, BackupWay, Config, PhaseKind, StoreKind};
use crate::run::clock::PlanClock;
use crate::run::event::{BackupEvent, DrillStart, DrillWay, EventBody, PhaseOutcome, Verdict};
use crate::run::phase::{Phase, PhaseContext, PhaseControl, Wish};
use crate::run::recorder::EventSink;
use crate::run::state_dir::StateDir;

/// Mixed into the run's seed, so that the data is not what the load sends.
const SEED_OF_DATA: u64 = 0xbac_d0c5;
/// Stores that are drilled at the same time.
const SIDE_BY_SIDE: usize = 4;

/// What a backup phase is told besides the configuration.
#[derive(Clone, Debug, Default)]
pub struct BackupOptions {
    /// Folder of the run; the drill makes one in it.
    pub run_folder: PathBuf,
    /// Whether the stores live in the run's own process family, and die with it.
    pub embedded: bool,
    /// Whether a restore into the platform's own stores was confirmed by typing its name.
    pub in_place: bool,
}

/// The backup phase.
pub struct BackupPhase(pub BackupOptions);

impl Phase for BackupPhase {
    fn kind(&self) -> PhaseKind {
        PhaseKind::Backup
    }

    fn run(
        &self,
        context: PhaseContext,
    ) -> Pin<Box<dyn Future<Output = PhaseOutcome> + Send + '_>> {
        Box::pin(async move {
            match Session::begin(&context, &self.0).await {
                Ok(session) => session.run(context).await,
                Err(error) => PhaseOutcome::new(Verdict::Skipped, error.to_string()),
            }
        })
    }
}

/// The stores to drill, and those that are left out, with the reason.
pub(super) fn selection(config: &Config) -> (Vec<StoreKind>, Vec<(StoreKind, String)>) {
    let (mut chosen, mut skipped) = (Vec::new(), Vec::new());
    let wanted = &config.backup.stores;
    for kind in StoreKind::ALL {
        if config.stores.get(kind).is_none() {
            skipped.push((kind, "not configured".to_owned()));
        } else if !wanted.is_empty() && !wanted.contains(&kind) {
            skipped.push((kind, "not asked for".to_owned()));
        } else {
            chosen.push(kind);
        }
    }
    (chosen, skipped)
}

/// What a drill of this run puts into the stores.
pub(super) fn dataset(backup: &Backup, seed: u64) -> Dataset {
    Dataset {
        seed: seed ^ SEED_OF_DATA,
        documents: backup.documents,
        base_ms: jiff::Timestamp::now().as_millisecond(),
    }
}

/// How a configured store is reached.
pub(super) fn subject(
    config: &Config,
    kind: StoreKind,
    names: &Namespace,
    embedded: bool,
) -> Option<Subject> {
    let store = config.stores.get(kind)?.clone();
    let timeout_ms = config.backup.timeout.get().as_millis() as u64;
    Some(Subject { kind, store, names: names.clone(), timeout_ms, embedded })
}

struct Session {
    drills: Vec<Drill>,
    start: DrillStart,
    dataset: Dataset,
    folder: PathBuf,
    folder_undo: u64,
    undos: Arc<Undos>,
}

impl Session {
    async fn begin(context: &PhaseContext, options: &BackupOptions) -> Result<Self, DrillError> {
        let config = &context.config;
        if config.backup.way != BackupWay::BuiltIn {
            let reason = "backup.way: only built_in can be drilled so far";
            return Err(DrillError::Refused(reason.into()));
        }
        let (chosen, skipped) = selection(config);
        if chosen.is_empty() {
            return Err(DrillError::Refused(
                "no store to drill: expected some under `stores` in the configuration".into(),
            ));
        }
        let dataset = dataset(&config.backup, context.seed);
        let names = Namespace::new(&context.run_id, rand::random());
        let kinds = chosen.clone();
        let sizes = tokio::task::spawn_blocking(move || {
            kinds.into_iter().map(|kind| dataset.estimated_bytes(kind)).collect::<Vec<u64>>()
        });
        let sizes = sizes.await.map_err(std::io::Error::other)?;
        check_disk(sizes.iter().sum(), &options.run_folder)?;
        let state = StateDir::open().map_err(std::io::Error::other)?;
        let undos = Arc::new(Undos::open(&state, &context.run_id)?);
        let folder = options.run_folder.join("drill");
        let folder_undo = undos.intend(&Undo::Folder { path: folder.clone() })?;
        make_folder(&folder, &names)?;
        let drill = |(kind, needed): (StoreKind, u64)| {
            let subject = subject(config, kind, &names, options.embedded)?;
            Some(Drill {
                run_id: context.run_id.clone(),
                label: subject.store.label.clone(),
                opener: Arc::new(subject),
                names: names.clone(),
                dataset,
                needed,
                folder: folder.join(kind.name()),
                canary_interval: config.backup.canary_interval.get(),
                undos: Arc::clone(&undos),
            })
        };
        let drills = chosen.iter().copied().zip(sizes).filter_map(drill).collect();
        let start = DrillStart {
            way: DrillWay::BuiltIn,
            documents: dataset.documents,
            seed: dataset.seed,
            namespace: names.name(),
            stores: chosen,
            skipped,
        };
        Ok(Self { drills, start, dataset, folder, folder_undo, undos })
    }

    async fn run(self, context: PhaseContext) -> PhaseOutcome {
        let PhaseContext { events, mut control, length, .. } = context;
        events.emit(EventBody::Backup(BackupEvent::Started(self.start.clone())));
        let (keeper, gate) = gate();
        let work = side_by_side(self.drills, &events, gate);
        let ended = steer(work, keeper, &mut control, length).await;
        let outcome = conclusion::conclude(self.start, self.dataset, ended, &events).await;
        match remove_folder(&self.folder) {
            Ok(()) => self.undos.done(self.folder_undo),
            Err(error) => log::warn!("cannot remove {}: {error}", self.folder.display()),
        }
        outcome
    }
}

/// Runs the drills, a few at a time; one that fails does not stop the others.
pub(super) async fn side_by_side(
    drills: Vec<Drill>,
    events: &EventSink,
    gate: Gate,
) -> Vec<(StoreKind, Option<Ended>)> {
    let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut tasks = JoinSet::new();
    let mut all: Vec<(StoreKind, Option<Ended>)> = Vec::new();
    for drill in drills {
        all.push((drill.opener.kind(), None));
        let (events, gate, places) = (events.clone(), gate.clone(), Arc::clone(&places));
        tasks.spawn(async move {
            // The semaphore is never closed.
            let _place = places.acquire().await;
            (drill.opener.kind(), drill.run(events, gate).await)
        });
    }
    drop(gate);
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((kind, ended)) => {
                if let Some(row) = all.iter_mut().find(|row| row.0 == kind) {
                    row.1 = Some(ended);
                }
            }
            // Its undo stays on record.
            Err(error) => log::error!("the drill of a store crashed: {error}"),
        }
    }
    all
}

/// Hands operators' wishes to work that goes through a gate, until it is over.
pub(super) async fn steer<T>(
    work: impl Future<Output = T>,
    mut keeper: Gatekeeper,
    control: &mut PhaseControl,
    length: std::time::Duration,
) -> T {
    let mut work = std::pin::pin!(work);
    let mut clock = PlanClock::start();
    let (mut holding, mut over) = (false, false);
    loop {
        let left = length.saturating_sub(clock.elapsed());
        tokio::select! {
            biased;
            done = &mut work => return done,
            wish = control.changed(), if !over => match wish {
                Wish::Work => {
                    clock.release();
                    holding = false;
                    keeper.want(Wanted::Work);
                    control.resumed();
                }
                Wish::Pause => {
                    holding = true;
                    keeper.want(Wanted::Hold);
                }
                Wish::Stop | Wish::StopNow => {
                    (holding, over) = (false, true);
                    keeper.want(Wanted::End(Verdict::Aborted));
                }
            },
            () = keeper.all_hold(), if holding => {
                holding = false;
                clock.hold();
                control.paused();
            }
            () = tokio::time::sleep(left), if !over && !clock.is_held() => {
                over = true;
                keeper.want(Wanted::End(Verdict::Inconclusive));
            }
        }
    }
}
