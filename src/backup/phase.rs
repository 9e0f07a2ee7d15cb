//! The backup phase: the drills of all stores side by side, whatever operators wish meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::conclusion;
use super::dataset::Dataset;
use super::drill::{Drill, Ended, Gate, Gatekeeper, Wanted, check_disk, gate};
use super::service::ServiceDrill;
use super::stores::{DrillError, Ending, Namespace};
use super::subject::{OpenStore, Subject, Undo};
use super::undo::{Undos, make_folder, remove_folder};
use crate::config::{Backup, BackupWay, Config, PhaseKind, Store, StoreKind, TimeSpan};
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

#[async_trait]
impl Phase for BackupPhase {
    fn kind(&self) -> PhaseKind {
        PhaseKind::Backup
    }

    async fn run(&self, context: PhaseContext) -> PhaseOutcome {
        match Session::begin(&context, &self.0).await {
            Ok(session) => session.run(context).await,
            Err(error) => PhaseOutcome::new(Verdict::Skipped, error.to_string()),
        }
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

struct Session {
    config: Arc<Config>,
    options: BackupOptions,
    run_id: String,
    names: Namespace,
    /// The stores, and about how many bytes each of them gets.
    stores: Vec<(StoreKind, u64)>,
    skipped: Vec<(StoreKind, String)>,
    dataset: Dataset,
    folder: PathBuf,
    folder_undo: u64,
    undos: Arc<Undos>,
}

impl Session {
    async fn begin(context: &PhaseContext, options: &BackupOptions) -> Result<Self, DrillError> {
        let config = Arc::clone(&context.config);
        if config.backup.way == BackupWay::Platform && config.backup.platform.is_none() {
            return Err(DrillError::Refused(
                "no backup service to drill: expected `backup.platform` in the configuration, which \
                 says how the platform's own is asked"
                    .into(),
            ));
        }
        let (chosen, skipped) = selection(&config);
        if chosen.is_empty() {
            return Err(DrillError::Refused(
                "no store to drill: expected some under `stores` in the configuration".into(),
            ));
        }
        let dataset = dataset(&config.backup, context.seed);
        let names = Namespace::new(&context.run_id, rand::random());
        let sizes = tokio::task::spawn_blocking(move || {
            let size = |kind| (kind, dataset.estimated_bytes(kind));
            chosen.into_iter().map(size).collect::<Vec<(StoreKind, u64)>>()
        });
        let stores = sizes.await.map_err(std::io::Error::other)?;
        check_disk(stores.iter().map(|(_, bytes)| bytes).sum(), &options.run_folder)?;
        let state = StateDir::open().map_err(std::io::Error::other)?;
        let undos = Arc::new(Undos::open(&state, &context.run_id)?);
        let folder = options.run_folder.join("drill");
        let folder_undo = undos.intend(&Undo::Folder { path: folder.clone() })?;
        make_folder(&folder, &names)?;
        let (run_id, options) = (context.run_id.clone(), options.clone());
        Ok(Self {
            config,
            options,
            run_id,
            names,
            stores,
            skipped,
            dataset,
            folder,
            folder_undo,
            undos,
        })
    }

    async fn run(self, context: PhaseContext) -> PhaseOutcome {
        let PhaseContext { events, mut control, length, .. } = context;
        let ways: &[DrillWay] = match self.config.backup.way {
            BackupWay::BuiltIn => &[DrillWay::BuiltIn],
            BackupWay::Platform => &[DrillWay::Platform],
            BackupWay::Both => &[DrillWay::BuiltIn, DrillWay::Platform],
        };
        let mut clock = PlanClock::start();
        let mut outcomes: Vec<PhaseOutcome> = Vec::new();
        for way in ways {
            if matches!(control.wish(), Wish::Stop | Wish::StopNow) {
                break;
            }
            let start = self.start(*way);
            events.emit(EventBody::Backup(BackupEvent::Started(start.clone())));
            let (keeper, gate) = gate();
            let work = self.drill(*way, &events, gate);
            let ended = steer(work, keeper, &mut control, &mut clock, length).await;
            outcomes.push(conclusion::conclude(start, self.dataset, ended, &events).await);
        }
        match remove_folder(&self.folder) {
            Ok(()) => self.undos.done(self.folder_undo),
            Err(error) => log::warn!("cannot remove {}: {error}", self.folder.display()),
        }
        let worst = outcomes.iter().map(|outcome| outcome.verdict).max();
        let reasons: Vec<String> = outcomes.into_iter().map(|outcome| outcome.reason).collect();
        PhaseOutcome::new(worst.unwrap_or(Verdict::Aborted), reasons.join(" | "))
    }

    fn start(&self, way: DrillWay) -> DrillStart {
        DrillStart {
            way,
            documents: self.dataset.documents,
            seed: self.dataset.seed,
            namespace: self.names.name(),
            stores: self.stores.iter().map(|(kind, _)| *kind).collect(),
            skipped: self.skipped.clone(),
        }
    }

    async fn drill(
        &self,
        way: DrillWay,
        events: &EventSink,
        gate: Gate,
    ) -> Vec<(StoreKind, Option<Ended>)> {
        let drills = self.drills(way);
        let Some(service) =
            self.config.backup.platform.clone().filter(|_| way == DrillWay::Platform)
        else {
            return side_by_side(drills, events, gate).await;
        };
        let into = service.restore.iter().flat_map(|restore| &restore.into);
        let scratch = into.map(|(kind, store)| {
            let store = store.clone();
            let opener: Arc<dyn OpenStore> = Arc::new(self.subject(*kind, store, false));
            (*kind, opener)
        });
        let scratch = scratch.collect();
        let rpo = events.with_state(|state| {
            state.promises.as_ref().map(|promises| promises.recovery.rpo.get())
        });
        let (in_place, undos) = (self.options.in_place, Arc::clone(&self.undos));
        ServiceDrill { service, drills, scratch, in_place, rpo, undos }.run(events, gate).await
    }

    fn subject(&self, kind: StoreKind, store: Store, embedded: bool) -> Subject {
        let timeout_ms = self.config.backup.timeout.get().as_millis() as u64;
        Subject { kind, store, names: self.names.clone(), timeout_ms, embedded }
    }

    fn drills(&self, way: DrillWay) -> Vec<Drill> {
        let drill = |(kind, needed): &(StoreKind, u64)| {
            let store = self.config.stores.get(*kind)?.clone();
            let (label, free_bytes) = (store.label.clone(), store.free_bytes);
            Some(Drill {
                run_id: self.run_id.clone(),
                label,
                opener: Arc::new(self.subject(*kind, store, self.options.embedded)),
                names: self.names.clone(),
                dataset: self.dataset,
                needed: *needed,
                free_bytes,
                folder: self.folder.join(way.words()).join(kind.name()),
                canary_interval: self.config.backup.canary_interval.get(),
                undos: Arc::clone(&self.undos),
            })
        };
        self.stores.iter().filter_map(drill).collect()
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
    clock: &mut PlanClock,
    length: std::time::Duration,
) -> T {
    let mut work = std::pin::pin!(work);
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
                    let by = control.ended_by();
                    keeper.want(Wanted::End(Ending { verdict: Verdict::Aborted, by }));
                }
            },
            () = keeper.all_hold(), if holding => {
                holding = false;
                clock.hold();
                control.paused();
            }
            () = tokio::time::sleep(left), if !over && !clock.is_held() => {
                over = true;
                let by = format!("ended by its time limit of {}", TimeSpan(length));
                keeper.want(Wanted::End(Ending { verdict: Verdict::Inconclusive, by }));
            }
        }
    }
}
