//! Whole drills against a store in memory: what goes wrong is seen, and nothing is ever left.

mod fake;

use std::sync::Arc;
use std::time::Duration;

use fake::{Fake, Fault};

use super::gate::{Gatekeeper, Wanted};
use super::{Drill, Ended, closure, gate};
use crate::backup::dataset::Dataset;
use crate::backup::stores::{Ending, Namespace};
use crate::backup::subject::remove;
use crate::backup::undo::Undos;
use crate::config::{PhaseKind, StoreKind};
use crate::run::clock::RunClock;
use crate::run::event::{BackupEvent, BackupLevel, DrillStep, EventBody, StoreReport, Verdict};
use crate::run::recorder::{EventSink, Subscription};
use crate::run::state_dir::StateDir;

const DATASET: Dataset = Dataset { seed: 7, documents: 20, base_ms: 1_900_000_000_000 };

struct Place {
    temp: tempfile::TempDir,
    names: Namespace,
    undos: Arc<Undos>,
    events: EventSink,
}

impl Place {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("folder");
        let state = StateDir::at(temp.path().join("state")).expect("made");
        let undos = Arc::new(Undos::open(&state, "r1").expect("open"));
        let names = Namespace::new("20260101-000000-abcdef", 7);
        let events = EventSink::in_memory(RunClock::start()).for_phase(PhaseKind::Backup);
        Self { temp, names, undos, events }
    }

    fn drill(&self, fake: &Fake) -> Drill {
        Drill {
            run_id: "r1".into(),
            opener: Arc::new(fake.clone()),
            names: self.names.clone(),
            dataset: DATASET,
            needed: 1_000_000,
            free_bytes: None,
            folder: self.temp.path().join(fake.kind.name()),
            canary_interval: Duration::from_millis(10),
            label: None,
            undos: Arc::clone(&self.undos),
        }
    }

    fn open_undos(&self) -> usize {
        let undo = self.temp.path().join("state/undo-drill/r1.jsonl");
        let lines = std::fs::read_to_string(undo).expect("readable");
        let count = |word: &str| lines.lines().filter(|line| line.contains(word)).count();
        count("\"intended\"") - count("\"done\"")
    }
}

async fn drilled(kind: StoreKind, fault: Option<Fault>) -> (StoreReport, Fake, Place) {
    let place = Place::new();
    let fake = Fake::new(kind, &place.names, fault);
    let (_keeper, gate) = gate();
    let ended = place.drill(&fake).run(place.events.clone(), gate).await;
    (ended.report, fake, place)
}

#[tokio::test]
async fn on_a_good_day_every_store_comes_back_record_by_record() {
    let mut documents = Vec::new();
    let mut folders = Vec::new();
    for kind in StoreKind::ALL {
        let place = Place::new();
        let fake = Fake::new(kind, &place.names, None);
        let (_keeper, gate) = gate();
        let Ended { report, documents: restored } =
            place.drill(&fake).run(place.events.clone(), gate).await;
        assert_eq!(report.verdict, Verdict::Pass, "{kind}: {report:?}");
        assert_eq!(report.level, Some(BackupLevel::L6));
        assert!(report.absence_proven && report.residue.is_empty());
        assert!(report.verifier.all().iter().all(|(_, caught)| *caught == Some(true)));
        let comparison = report.comparison.expect("compared");
        let difference = &comparison.difference;
        assert!(difference.is_none() && difference.expected > 20);
        assert_eq!(comparison.digest_before, comparison.digest_after);
        let times = report.times;
        assert!(times.rpo_us.is_some() && times.canaries_recovered > 0, "{times:?}");
        assert!(times.rto_us >= times.restore_us, "{times:?}");
        assert!(fake.is_clean() && place.open_undos() == 0);
        assert_eq!((report.bystanders[0].before, report.bystanders[0].after), (17, Some(17)));
        documents.push((kind, restored.expect("restored")));
        folders.push(place);
    }
    let report = closure(DATASET, &documents).expect("compared");
    assert_eq!((report.whole, report.documents), (20, 20), "{report:?}");
}

#[tokio::test]
async fn documents_that_one_store_lost_are_named_with_the_store() {
    let place = Place::new();
    let mut documents = Vec::new();
    for (kind, fault) in [(StoreKind::Minio, None), (StoreKind::Redis, Some(Fault::Drops(3)))] {
        let fake = Fake::new(kind, &place.names, fault);
        let (_keeper, gate) = gate();
        let ended = place.drill(&fake).run(place.events.clone(), gate).await;
        documents.push((kind, ended.documents.expect("restored")));
    }
    let report = closure(DATASET, &documents).expect("compared");
    assert_eq!(report.whole, 19);
    assert_eq!(report.broken, ["doc-0000003 in redis"]);
}

/// Verdict, and words of the reason.
async fn ends(fault: Fault, verdict: Verdict, words: &str) -> StoreReport {
    let (report, fake, place) = drilled(StoreKind::Redis, Some(fault.clone())).await;
    assert_eq!(report.verdict, verdict, "{fault:?}: {}", report.reason);
    assert!(report.reason.contains(words), "{fault:?}: {}", report.reason);
    assert!(fake.is_clean(), "{fault:?} left something: {:?}", report.residue);
    assert_eq!(place.open_undos(), 0, "{fault:?}");
    report
}

#[tokio::test]
async fn whatever_is_lost_or_changed_is_seen_and_named() {
    let fails = |fault, words| ends(fault, Verdict::Fail, words);
    let dropped = fails(Fault::Drops(3), "1 of 39 records lost").await;
    let comparison = dropped.comparison.expect("compared").difference;
    assert_eq!(comparison.missing, ["hash cache:doc-0000003"]);
    assert_eq!(dropped.level, Some(BackupLevel::L4), "restored, but not equal");
    let altered = fails(Fault::Alters(4), "0 missing, 1 changed").await;
    assert_eq!(
        altered.comparison.expect("compared").difference.changed,
        ["hash cache:doc-0000004"]
    );
    let more = fails(Fault::Duplicates(5), "1 more than there were").await;
    assert_eq!(
        more.comparison.expect("compared").difference.extra,
        ["hash cache:doc-0000005 once more"]
    );
    fails(Fault::Doubles(5), "the server counts").await;
    let late = fails(Fault::ExpiresLate, "changed").await;
    assert!(late.comparison.expect("compared").difference.changed_count > 20, "every lifetime");
    let forgot = fails(Fault::Forgets(2), "not what was written: 1 missing").await;
    assert!(forgot.comparison.is_none() && !forgot.absence_proven, "nothing was destroyed");
    fails(Fault::Keeps, "still there").await;
}

#[tokio::test]
async fn a_stores_own_form_of_a_backup_is_compared_too() {
    let good = ends(Fault::FailsOnce("bystanders", 2), Verdict::Pass, "zero data loss").await;
    assert!(good.notes.iter().any(|note| note.starts_with("in its own form: 39 records equal")));
    assert!(good.files.iter().any(|file| file.name == "own"));
    let lost = ends(Fault::NativeLoses, Verdict::Fail, "in its own form: not what").await;
    assert!(lost.reason.contains("1 missing") && !lost.absence_proven, "nothing was destroyed");
    let refused = ends(Fault::NativeRefused, Verdict::Pass, "zero data loss").await;
    assert!(
        refused.notes.iter().any(|note| note.contains("was not drilled: ") && note.contains("403"))
    );
}

#[tokio::test]
async fn what_could_do_harm_or_prove_nothing_is_refused() {
    let refused = |fault, words| ends(fault, Verdict::Inconclusive, words);
    refused(Fault::Narrow, "at most a tenth").await;
    refused(Fault::Foreign, "there already").await;
    let intruded = refused(Fault::Intrudes, "only").await;
    assert!(!intruded.absence_proven);
    refused(Fault::Moves, "another server").await;
    let harmed = ends(Fault::Harms, Verdict::Pass, "zero data loss").await;
    assert!(harmed.notes.iter().any(|note| note.contains("live traffic or damage")));
}

#[tokio::test]
async fn a_store_that_fails_once_at_any_operation_ends_in_a_verdict_and_is_clean() {
    let (_, fake, _) = drilled(StoreKind::Neo4j, None).await;
    let calls = fake.calls();
    let mut tried = 0;
    for at in 0..calls.len() {
        let name = calls[at];
        let nth = calls[..=at].iter().filter(|call| **call == name).count() as u32;
        let (report, fake, place) =
            drilled(StoreKind::Neo4j, Some(Fault::FailsOnce(name, nth))).await;
        assert!(fake.is_clean(), "{name} {nth}: {report:?}");
        assert_eq!(place.open_undos(), 0, "{name} {nth}");
        if report.verdict == Verdict::Pass {
            // Only what is not needed for the verdict may fail without changing it.
            assert!(
                matches!(name, "write" | "bystanders" | "marker" | "residue" | "count" | "destroy"),
                "{name} {nth}: {report:?}"
            );
        }
        assert_eq!(fake.bystanders_left(), 17);
        tried += 1;
    }
    assert!(tried > 20, "{calls:?}");
}

#[tokio::test]
async fn a_store_that_is_gone_for_good_stays_on_record() {
    let place = Place::new();
    let fake = Fake::new(StoreKind::Redis, &place.names, Some(Fault::Fails("read", 2)));
    let (_keeper, gate) = gate();
    let dead = Fake::new(StoreKind::Redis, &place.names, Some(Fault::Fails("destroy", 1)));
    let report = place.drill(&dead).run(place.events.clone(), gate.clone()).await.report;
    assert!(!report.residue.is_empty() && report.verdict == Verdict::Fail, "{report:?}");
    assert_eq!(place.open_undos(), 1, "somebody has to come back for it");
    assert!(remove(&dead.healed(), &place.names).await.expect("reached").is_empty());
    assert!(dead.is_clean());
    // One whose backup cannot be read is clean at once.
    let report = place.drill(&fake).run(place.events.clone(), gate).await.report;
    assert_eq!((report.verdict, fake.is_clean()), (Verdict::Fail, true), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_operation_everything_can_be_removed_by_whoever_comes_next() {
    for at in 1..70 {
        let place = Place::new();
        let fake = Fake::new(StoreKind::Redis, &place.names, Some(Fault::Hangs(at)));
        let (_keeper, gate) = gate();
        let drill = place.drill(&fake);
        let work = drill.run(place.events.clone(), gate);
        // It hangs at that operation, and is dropped there, as by kill -9.
        let _ = tokio::time::timeout(Duration::from_secs(1), work).await;
        let touched = !fake.is_clean();
        assert!(!touched || place.open_undos() == 1, "operation {at}: on record before the deed");
        let left = remove(&fake.healed(), &place.names).await.expect("removed");
        assert!(left.is_empty() && fake.is_clean(), "operation {at}");
        assert_eq!(fake.bystanders_left(), 17, "operation {at}");
    }
}

/// Watches the steps of a drill, and does something when one of them begins.
async fn at_step(step: DrillStep, mut heard: Subscription, keeper: &Gatekeeper, wanted: Wanted) {
    while let Some(event) = heard.events.recv().await {
        if let EventBody::Backup(BackupEvent::StepStarted { step: begun, .. }) = &event.body
            && *begun == step
        {
            keeper.want(wanted);
            return;
        }
    }
}

#[tokio::test]
async fn a_pause_never_holds_between_destruction_and_restore() {
    for step in DrillStep::ALL {
        let place = Place::new();
        let fake = Fake::new(StoreKind::Postgres, &place.names, None);
        let (mut keeper, gate) = gate();
        let drill = place.drill(&fake);
        let work = drill.run(place.events.clone(), gate);
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            () = at_step(step, place.events.subscribe(), &keeper, Wanted::Hold) => {}
            _ = &mut work => panic!("{step:?} never began"),
        }
        let ended = tokio::select! {
            () = keeper.all_hold() => None,
            ended = &mut work => Some(ended),
        };
        if step >= DrillStep::Destroy {
            let ended = match ended {
                Some(ended) => ended,
                None => work.await,
            };
            assert_eq!(ended.report.verdict, Verdict::Pass, "{step:?} {}", ended.report.reason);
            continue;
        }
        assert!(ended.is_none(), "{step:?} does not hold");
        assert!(!fake.is_clean() || step == DrillStep::Setup, "{step:?}: its data stays meanwhile");
        keeper.want(Wanted::Work);
        assert_eq!(work.await.report.verdict, Verdict::Pass, "{step:?}");
    }
}

#[tokio::test]
async fn ended_at_any_step_it_is_clean() {
    for step in DrillStep::ALL {
        for verdict in [Verdict::Aborted, Verdict::Inconclusive] {
            let place = Place::new();
            let fake = Fake::new(StoreKind::Qdrant, &place.names, None);
            let (keeper, gate) = gate();
            let drill = place.drill(&fake);
            let work = drill.run(place.events.clone(), gate);
            let heard = place.events.subscribe();
            let ending = Ending { verdict, by: "aborted by an operator".into() };
            let watch = at_step(step, heard, &keeper, Wanted::End(ending));
            let (ended, ()) = tokio::join!(work, watch);
            let report = ended.report;
            assert!(fake.is_clean() && place.open_undos() == 0, "{step:?}");
            if step < DrillStep::Destroy {
                assert_eq!(report.verdict, verdict, "{step:?}: {}", report.reason);
                // It may have gone on before it heard.
                let during =
                    DrillStep::ALL.into_iter().filter(|later| *later >= step).any(|later| {
                        let said = format!("aborted by an operator, during {}", later.words());
                        report.reason.starts_with(&said)
                    });
                assert!(during, "{step:?}: {}", report.reason);
            }
        }
    }
}
