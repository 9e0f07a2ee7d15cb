//! The platform's own backup service under drill: known data is put into its stores, it is asked for a
//! backup, the files are checked, and the backup is restored into scratch stores and compared there.

mod artefact;
mod bucket;
mod call;
pub mod format;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::Instant;

use self::bucket::Place;
use self::call::Asked;
use super::drill::{Course, Drill, Ended, Gate, check_other_server};
use super::stores::DrillError;
use super::subject::{OpenStore, reach};
use super::undo::Undos;
use crate::config::{Artefact, PlatformBackup, StoreKind};
use crate::platform::text::excerpt;
use crate::run::event::{BackupEvent, BackupLevel, DrillStep, EventBody};
use crate::run::recorder::EventSink;

/// Stores that are worked on at the same time.
const SIDE_BY_SIDE: usize = 4;
/// The steps before the backup is asked for.
const BEFORE: [DrillStep; 3] = [DrillStep::Setup, DrillStep::Inject, DrillStep::VerifyInitial];
/// The steps after it was restored.
const AFTER: [DrillStep; 2] = [DrillStep::VerifyIntegrity, DrillStep::DataLoss];

/// A drill of the platform's backup service.
pub(super) struct ServiceDrill {
    /// How it is asked.
    pub service: PlatformBackup,
    /// The stores of the platform.
    pub drills: Vec<Drill>,
    /// The scratch stores.
    pub scratch: BTreeMap<StoreKind, Arc<dyn OpenStore>>,
    /// Whether a restore into the platform's own stores was confirmed.
    pub in_place: bool,
    /// The promised RPO, against which the age of the last backup is held.
    pub rpo: Option<std::time::Duration>,
    /// Remembers what has to be undone in scratch stores.
    pub undos: Arc<Undos>,
}

/// One store: its course, and how far it got.
struct One<'a> {
    course: Course<'a>,
    outcome: Result<(), DrillError>,
    /// Entry of the undo journal for the scratch store.
    scratch_undo: Option<u64>,
    /// Whether the service said that it restored.
    restored: bool,
}

impl ServiceDrill {
    /// Drills the service, and removes everything again.
    pub async fn run(&self, events: &EventSink, gate: Gate) -> Vec<(StoreKind, Option<Ended>)> {
        let mut all: Vec<One<'_>> = Vec::new();
        for drill in &self.drills {
            let course = drill.begin(events.clone(), gate.clone());
            all.push(One { course, outcome: Ok(()), scratch_undo: None, restored: false });
        }
        self.note_age(&mut all).await;
        each(&mut all, &BEFORE).await;
        self.refuse_own(&mut all).await;
        let say = |message: String| {
            events.emit(EventBody::Backup(BackupEvent::Service { message }));
        };
        let triggered = SystemTime::now();
        self.back_up(&mut all, &say).await;
        self.check_artefacts(&mut all, triggered).await;
        self.restore(&mut all, &say).await;
        each(&mut all, &AFTER).await;
        let mut ended = Vec::new();
        for One { mut course, outcome, scratch_undo, restored } in all {
            let kind = course.kind();
            if let Some((undo, opener)) = scratch_undo.zip(self.scratch.get(&kind)) {
                course.clean_scratch(undo, restored, &**opener, &self.undos).await;
            }
            ended.push((kind, Some(course.conclude(outcome).await)));
        }
        ended
    }

    fn artefacts(&self, kind: StoreKind) -> Vec<Artefact> {
        let all = self.service.artefacts.iter();
        all.filter(|artefact| artefact.store == kind).cloned().collect()
    }

    /// How old the last backup is before a new one is asked for. Older than the promised RPO, it says
    /// that a disaster now would cost more than is promised, however good the new one is.
    async fn note_age(&self, all: &mut [One<'_>]) {
        for one in all {
            let mut ages = Vec::new();
            for wanted in self.artefacts(one.course.kind()) {
                ages.extend(last_change(&wanted).await.and_then(|at| at.elapsed().ok()));
            }
            let Some(age) = ages.into_iter().min() else {
                one.course.report.notes.push("there was no backup before".into());
                continue;
            };
            let mut words = format!("the last backup was {} min old", age.as_secs() / 60);
            if let Some(rpo) = self.rpo.filter(|rpo| age > *rpo) {
                words += &format!(", and the promised RPO is {} min", rpo.as_secs() / 60);
                one.course.broken_promise = Some(words.clone());
            }
            one.course.report.notes.push(words);
        }
    }

    /// Asks for a backup, once for all stores, and waits until it is done.
    async fn back_up(&self, all: &mut [One<'_>], say: &impl Fn(String)) {
        let Some(gate) = at_work(all).next().map(|one| one.course.gate.clone()) else { return };
        at_work(all).for_each(|one| one.course.reporter.begin(DrillStep::Backup, None));
        let work = async {
            let answer = Asked(&self.service).call(&self.service.trigger).await?;
            say(answer.words.clone());
            match &self.service.wait {
                Some(wait) => {
                    let state = Asked(&self.service).wait(wait, &answer).await?;
                    Ok(format!("the backup service says {}", excerpt(&state)))
                }
                None => Ok(answer.words),
            }
        };
        let done = unless_over(&gate, work).await;
        say_failure(&done, say);
        for one in at_work(all) {
            one.course.reporter.end(done.as_deref());
            match &done {
                Ok(_) => {
                    one.course.report.level = Some(BackupLevel::L0);
                    // From here on nothing is in the backup: this is the moment of the disaster.
                    one.course.stop_canaries().await;
                    one.course.disaster = Some(Instant::now());
                }
                Err(error) => one.outcome = Err(of_each(error)),
            }
        }
    }

    async fn check_artefacts(&self, all: &mut [One<'_>], triggered: SystemTime) {
        for one in at_work(all) {
            let wanted = self.artefacts(one.course.kind());
            let folder = one.course.drill.folder.clone();
            let work = async {
                let mut artefacts = Vec::new();
                for artefact in wanted {
                    artefacts.push(match &artefact.s3 {
                        Some(place) => Place::open(place)?.fetch(&artefact, &folder).await?,
                        None => artefact,
                    });
                }
                let checked = tokio::task::spawn_blocking(move || {
                    artefact::check(&artefacts, triggered, Path::new(&folder))
                });
                let found = checked.await.map_err(std::io::Error::other)??;
                let words = found.words.clone();
                Ok((found, words))
            };
            match one.course.step_of(DrillStep::VerifyBackup, work).await {
                Ok(found) => {
                    let report = &mut one.course.report;
                    report.level = Some(found.level);
                    report.files = found.files;
                    report.verifier.flipped = found.flipped;
                }
                Err(error) => one.outcome = Err(error),
            }
        }
    }

    /// Restores into the scratch stores, once for all of them.
    async fn restore(&self, all: &mut [One<'_>], say: &impl Fn(String)) {
        let Some(restore) = &self.service.restore else {
            for one in at_work(all) {
                let reason =
                    "no `backup.platform.restore`: whether it can be restored is not known";
                one.outcome = Err(DrillError::Refused(reason.into()));
            }
            return;
        };
        for one in at_work(all) {
            one.outcome = self.look_at_scratch(one).await;
        }
        let Some(gate) = at_work(all).next().map(|one| one.course.gate.clone()) else { return };
        at_work(all).for_each(|one| one.course.reporter.begin(DrillStep::Restore, None));
        let work = Asked(&self.service).call(&restore.call);
        let done = unless_over(&gate, work).await.map(|answer| answer.words);
        match &done {
            Ok(words) => say(words.clone()),
            Err(_) => say_failure(&done, say),
        }
        for one in at_work(all) {
            one.restored = done.is_ok();
            let restored = match &done {
                Ok(words) => self.open_restored(one).await.map(|()| words.as_str()),
                Err(error) => Err(of_each(error)),
            };
            let took = one.course.reporter.end(restored.as_deref());
            one.course.report.times.restore_us = Some(took.as_micros() as u64);
            match restored {
                Ok(_) => one.course.report.level = Some(BackupLevel::L4),
                Err(error) => one.outcome = Err(error),
            }
        }
    }

    /// Refuses scratch stores that are the platform's own before a backup is made for nothing.
    async fn refuse_own(&self, all: &mut [One<'_>]) {
        for one in at_work(all).filter(|_| !self.in_place) {
            if let Some(opener) = self.scratch.get(&one.course.kind())
                && let Ok((_, identity)) = reach(&**opener).await
            {
                one.outcome = check_other_server(&one.course, &identity);
            }
        }
    }

    /// Looks at the scratch store of one before anything is restored into it: it must not be the
    /// platform's own, and hold nothing of ours. One that is not there yet is made by the restore. No
    /// connection is kept: a restore may replace a database that nobody uses, or start its server anew.
    async fn look_at_scratch(&self, one: &mut One<'_>) -> Result<(), DrillError> {
        let kind = one.course.kind();
        let Some(opener) = self.scratch.get(&kind) else {
            let reason = format!("no scratch store for {kind}: backup.platform.restore.into");
            return Err(DrillError::Refused(reason));
        };
        match reach(&**opener).await {
            Err(error) => {
                let note = format!("the scratch store was not there before the restore: {error}");
                one.course.report.notes.push(note);
            }
            Ok((scratch, identity)) => {
                if let Err(error) = check_other_server(&one.course, &identity) {
                    if !self.in_place {
                        return Err(error);
                    }
                    one.course.steps(&[DrillStep::Destroy]).await?;
                    one.course.store = None;
                    return Ok(());
                }
                let left = scratch.residue().await?;
                if !left.is_empty() {
                    let reason = format!("the scratch store holds {} already", left.join(", "));
                    return Err(DrillError::Refused(reason));
                }
                one.course.report.absence_proven = true;
            }
        }
        // What the restore brings there is ours to remove.
        one.scratch_undo = Some(self.undos.intend(&opener.undo())?);
        Ok(())
    }

    /// Opens the store of one that was restored into.
    async fn open_restored(&self, one: &mut One<'_>) -> Result<(), DrillError> {
        let scratch = self.scratch.get(&one.course.kind()).filter(|_| one.scratch_undo.is_some());
        let Some(opener) = scratch else {
            one.course.store = Some(one.course.drill.opener.open().await?);
            return Ok(());
        };
        let (scratch, identity) = reach(&**opener).await?;
        check_other_server(&one.course, &identity)?;
        one.course.scratch = Some(scratch);
        Ok(())
    }
}

/// When the newest file or object of an artefact was written; none when there is none.
async fn last_change(artefact: &Artefact) -> Option<SystemTime> {
    match &artefact.s3 {
        None => Some(artefact::newest(&artefact.path).ok()??.1),
        Some(place) => {
            let newest = Place::open(place).ok()?.newest(&artefact.path).await;
            Some(newest.ok()??.modified)
        }
    }
}

/// What went wrong for all stores at once, as the error of one of them.
fn of_each(error: &DrillError) -> DrillError {
    match error {
        DrillError::Ended(ending) => DrillError::Ended(ending.clone()),
        error => DrillError::Wrong(error.to_string()),
    }
}

fn at_work<'a, 'b>(all: &'a mut [One<'b>]) -> impl Iterator<Item = &'a mut One<'b>> {
    all.iter_mut().filter(|one| one.outcome.is_ok())
}

/// Takes the same steps in every store that has come so far.
async fn each(all: &mut [One<'_>], steps: &[DrillStep]) {
    let works = at_work(all).map(|one| async { one.outcome = one.course.steps(steps).await });
    let works: Vec<_> = works.collect();
    stream::iter(works).buffer_unordered(SIDE_BY_SIDE).collect::<()>().await;
}

/// Work that is dropped when everything is to end.
async fn unless_over<T>(
    gate: &Gate,
    work: impl Future<Output = Result<T, DrillError>>,
) -> Result<T, DrillError> {
    let mut gate = gate.clone();
    tokio::select! {
        done = work => done,
        error = gate.closed() => Err(error),
    }
}

/// What went wrong in asking the service. That somebody ended the drill is none of it.
fn say_failure<T>(done: &Result<T, DrillError>, say: &impl Fn(String)) {
    if let Err(error) = done
        && !matches!(error, DrillError::Ended(_))
    {
        say(error.to_string());
    }
}
