//! A backup drill, as its events would tell it.

use super::{Story, app_with, screen};
use crate::config::{PhaseKind, StoreKind};
use crate::run::event::{
    BackupEvent, BackupLevel, ClosureReport, Difference, DrillStart, DrillStep, DrillSummary,
    DrillWay, EventBody, PhaseOutcome, RecordComparison, RecoveryTimes, StepProgress, StepReport,
    StoreReport, Verdict, VerifierTest,
};
use crate::tui::app::Panel;

#[tokio::test(start_paused = true)]
async fn a_drill_looks_as_it_should() {
    let (mut drilling, _peer) = app_with(Story::new().running(30).drilling().state, false);
    drilling.panel = Panel::Backup;
    insta::assert_snapshot!("drilling_80x24", screen(&drilling, 80, 24));
    insta::assert_snapshot!("drilling_120x40", screen(&drilling, 120, 40));
    let ended = Story::new().running(30).drilling().drilled();
    for (ascii, size) in [(true, (80, 24)), (false, (120, 40))] {
        let (mut drilled, _peer) = app_with(ended.state.clone(), ascii);
        drilled.panel = Panel::Backup;
        let drawn = screen(&drilled, size.0, size.1);
        assert!(!ascii || drawn.is_ascii(), "{drawn}");
        insta::assert_snapshot!(format!("drilled_{}x{}", size.0, size.1), drawn);
    }
}

const RECORDS: [(StoreKind, u64); 4] = [
    (StoreKind::Postgres, 3_412),
    (StoreKind::Redis, 1_221),
    (StoreKind::Neo4j, 3_117),
    (StoreKind::Minio, 1_033),
];

impl Story {
    fn drill(&mut self, event: BackupEvent) {
        self.tell(Some(PhaseKind::Backup), EventBody::Backup(event));
    }

    fn step(&mut self, store: StoreKind, step: DrillStep, records: u64, passed: bool) {
        self.drill(BackupEvent::StepStarted { store, step });
        self.drill(BackupEvent::StepFinished(StepReport {
            store,
            step,
            passed,
            detail: "as it should be".into(),
            records,
            bytes: records * 700,
            took_us: records * 90,
        }));
    }

    /// PostgreSQL is being restored, Redis backed up, the others wait.
    pub(super) fn drilling(mut self) -> Self {
        let outcome = PhaseOutcome::new(Verdict::Pass, "every threshold held");
        self.tell(Some(PhaseKind::Mixed), EventBody::PhaseFinished { outcome });
        self.tell(Some(PhaseKind::Backup), EventBody::PhaseStarted { planned_us: 300_000_000 });
        self.drill(BackupEvent::Started(DrillStart {
            way: DrillWay::BuiltIn,
            documents: 1000,
            seed: 7,
            namespace: "sd_drill_202611231200007f3a91".into(),
            stores: RECORDS.map(|(kind, _)| kind).to_vec(),
            skipped: vec![(StoreKind::Qdrant, "not configured".into())],
        }));
        for (store, last) in
            [(StoreKind::Postgres, DrillStep::Restore), (StoreKind::Redis, DrillStep::Backup)]
        {
            let records = RECORDS.iter().find(|(kind, _)| *kind == store).map_or(0, |(_, n)| *n);
            for step in DrillStep::ALL.into_iter().filter(|step| *step < last) {
                self.step(store, step, records, true);
            }
            self.drill(BackupEvent::StepStarted { store, step: last });
            let (of, bytes) = (Some(records), records * 250);
            let records = records * 71 / 100;
            let progress = StepProgress { store, step: last, records, of, bytes };
            self.drill(BackupEvent::Progress(progress));
        }
        self
    }

    /// Everything is over: Redis has lost two records, and a server cannot be reached.
    pub(super) fn drilled(mut self) -> Self {
        for (store, records) in RECORDS {
            let begun = self.state.phase(PhaseKind::Backup).and_then(|p| p.backup.as_ref());
            let begun = begun.and_then(|b| b.latest()).and_then(|d| d.stores.get(&store));
            let begun = begun.map_or(0, |store| store.steps.len());
            if store == StoreKind::Minio {
                self.step(store, DrillStep::Setup, 0, false);
                self.drill(BackupEvent::StoreFinished(Box::new(unreached(store))));
                continue;
            }
            let lossy = store == StoreKind::Redis;
            for step in DrillStep::ALL.into_iter().skip(begun) {
                self.step(store, step, records, !lossy || step < DrillStep::VerifyIntegrity);
            }
            let report = if lossy { lossy_report(records) } else { whole(store, records) };
            self.drill(BackupEvent::StoreFinished(Box::new(report)));
        }
        self.drill(BackupEvent::Closure(ClosureReport {
            documents: 1000,
            whole: 999,
            broken: vec!["doc-0000003 in redis".into()],
            stores: vec![StoreKind::Postgres, StoreKind::Redis, StoreKind::Neo4j],
        }));
        self.drill(BackupEvent::Finished(DrillSummary {
            verdict: Verdict::Fail,
            passed: 2,
            stores: 4,
            expected: 7_750,
            restored: 7_748,
            lost: Some(2),
            rpo_us: Some(640_000),
            rto_us: Some(2_140_000),
        }));
        self
    }
}

fn whole(store: StoreKind, records: u64) -> StoreReport {
    StoreReport {
        store,
        server: "Server 1.0".into(),
        label: None,
        verdict: Verdict::Pass,
        reason: format!("zero data loss, {records} records equal one by one"),
        level: Some(BackupLevel::L6),
        comparison: Some(RecordComparison {
            difference: Difference { expected: records, found: records, ..Difference::default() },
            ..RecordComparison::default()
        }),
        absence_proven: true,
        times: RecoveryTimes {
            rpo_us: Some(640_000),
            detect_us: Some(41_000),
            restore_us: Some(1_620_000),
            verify_us: Some(479_000),
            rto_us: Some(2_140_000),
            canaries_written: 5,
            canaries_recovered: 4,
        },
        verifier: VerifierTest {
            altered: Some(true),
            removed: Some(true),
            added: Some(true),
            flipped: Some(true),
        },
        files: vec![],
        manifest_sha256: String::new(),
        bystanders: vec![],
        residue: vec![],
        not_covered: vec![],
        notes: vec![],
    }
}

fn lossy_report(records: u64) -> StoreReport {
    let mut report = whole(StoreKind::Redis, records);
    report.verdict = Verdict::Fail;
    report.level = Some(BackupLevel::L4);
    report.reason = "zero data loss: 2 of 1221 records lost: 1 missing, 1 changed".into();
    report.label = Some("a practice server of the sandbox".into());
    if let Some(comparison) = &mut report.comparison {
        let difference = &mut comparison.difference;
        (difference.missing_count, difference.changed_count) = (1, 1);
        difference.missing = vec!["hash cache:doc-0000003".into()];
        difference.changed = vec!["string hard:name with ünïcode".into()];
    }
    report
}

fn unreached(store: StoreKind) -> StoreReport {
    StoreReport {
        verdict: Verdict::Inconclusive,
        reason: "setup: connect: connection refused".into(),
        level: None,
        comparison: None,
        absence_proven: false,
        times: RecoveryTimes::default(),
        verifier: VerifierTest::default(),
        ..whole(store, 0)
    }
}
