//! What the drills of all stores come to: the worst one decides, and the restored stores have to fit
//! together.

use super::dataset::Dataset;
use super::drill::{Ended, closure};
use super::ledger::Ledger;
use crate::config::StoreKind;
use crate::run::event::{
    BackupEvent, ClosureReport, DrillStart, DrillSummary, EventBody, PhaseOutcome, StoreReport,
    Verdict,
};
use crate::run::recorder::EventSink;

/// Says what the drills come to.
pub(super) async fn conclude(
    start: DrillStart,
    dataset: Dataset,
    ended: Vec<(StoreKind, Option<Ended>)>,
    events: &EventSink,
) -> PhaseOutcome {
    let (mut reports, mut verified, mut crashed) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, ended) in ended {
        match ended {
            Some(Ended { report, documents }) => {
                // What a verifier says that was not shown to notice a loss, says nothing of documents.
                let documents = documents.filter(|_| report.verifier_missed().is_empty());
                verified.extend(documents.map(|documents| (kind, documents)));
                reports.push(report);
            }
            None => crashed.push(kind),
        }
    }
    let closure = whole(dataset, verified).await;
    if let Some(Ok(closure)) = &closure {
        events.emit(EventBody::Backup(BackupEvent::Closure(closure.clone())));
    }
    let summary = summary(&reports, closure.as_ref(), crashed.len() as u32);
    events.emit(EventBody::Backup(BackupEvent::Finished(summary)));
    PhaseOutcome::new(
        summary.verdict,
        words(&start, &reports, closure.as_ref(), &summary, &crashed),
    )
}

/// Whether the documents are whole; nothing to say where fewer than two stores were verified.
async fn whole(
    dataset: Dataset,
    verified: Vec<(StoreKind, Ledger)>,
) -> Option<Result<ClosureReport, String>> {
    if verified.len() < 2 {
        return None;
    }
    let compared = tokio::task::spawn_blocking(move || closure(dataset, &verified)).await;
    Some(match compared {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    })
}

fn summary(
    reports: &[StoreReport],
    closure: Option<&Result<ClosureReport, String>>,
    crashed: u32,
) -> DrillSummary {
    let fits = match closure {
        Some(Ok(closure)) if closure.whole < closure.documents => Verdict::Fail,
        Some(Err(_)) => Verdict::Inconclusive,
        _ => Verdict::Pass,
    };
    let of_crashed = if crashed > 0 { Verdict::Invalid } else { Verdict::Pass };
    let worst = reports.iter().map(|report| report.verdict).max();
    let compared = || reports.iter().filter_map(|report| report.comparison.as_ref());
    let all_compared = compared().count() == reports.len() && crashed == 0;
    // A verifier that was not shown to notice a loss has seen none.
    let trusted = all_compared && reports.iter().all(|report| report.verifier_missed().is_empty());
    let lost: u64 = compared().map(|comparison| comparison.difference.lost()).sum();
    let expected = compared().map(|comparison| comparison.difference.expected).sum();
    let slowest = |of: fn(&StoreReport) -> Option<u64>| reports.iter().filter_map(of).max();
    DrillSummary {
        verdict: worst.unwrap_or(Verdict::Inconclusive).max(fits).max(of_crashed),
        passed: reports.iter().filter(|r| r.verdict == Verdict::Pass).count() as u32,
        stores: reports.len() as u32 + crashed,
        expected,
        restored: expected - lost.min(expected),
        // What is known to be lost is lost, whatever else was not compared.
        lost: (trusted || lost > 0).then_some(lost),
        rpo_us: slowest(|report| report.times.rpo_us),
        rto_us: slowest(|report| report.times.rto_us),
    }
}

fn words(
    start: &DrillStart,
    reports: &[StoreReport],
    closure: Option<&Result<ClosureReport, String>>,
    summary: &DrillSummary,
    crashed: &[StoreKind],
) -> String {
    let DrillSummary { passed, stores, restored, expected, verdict, .. } = summary;
    let loss = match (verdict, summary.lost) {
        (Verdict::Pass, Some(0)) => "zero data loss".to_owned(),
        (_, Some(lost)) => format!("{lost} records lost"),
        (_, None) => "data loss not decided".to_owned(),
    };
    let counts = format!(
        "{loss}: {passed}/{stores} stores, {restored}/{expected} records ({} backup)",
        start.way.words()
    );
    // What made it not pass stands first.
    let mut bad: Vec<&StoreReport> =
        reports.iter().filter(|report| report.verdict != Verdict::Pass).collect();
    bad.sort_by_key(|report| std::cmp::Reverse(report.verdict));
    let mut words: Vec<String> =
        crashed.iter().map(|kind| format!("{kind}: its drill crashed")).collect();
    words.extend(bad.iter().map(|r| format!("{}: {}: {}", r.store, r.verdict, r.reason)));
    match closure {
        Some(Ok(closure)) if closure.whole < closure.documents => {
            let first = closure.broken.first().map_or("", String::as_str);
            words.push(format!("{}, not so {first}", closure.words()));
        }
        Some(Err(error)) => words.push(format!("the stores were not compared: {error}")),
        _ => {}
    }
    words.push(counts);
    let skipped = start.skipped.iter().map(|(kind, why)| format!("without {kind}: {why}"));
    words.extend(skipped);
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::backup::ledger::{Entry, LedgerBuilder};
    use crate::config::PhaseKind;
    use crate::run::clock::RunClock;
    use crate::run::event::{DrillWay, VerifierTest};

    const DATASET: Dataset = Dataset { seed: 7, documents: 3, base_ms: 0 };

    /// A store that holds these documents after its restore.
    fn ended(kind: StoreKind, folder: &std::path::Path, documents: &[u64], tried: bool) -> Ended {
        let mut ledger = LedgerBuilder::new(folder, kind.name());
        for document in documents.iter().map(|number| DATASET.document(*number)) {
            let digest = Sha256::digest(&document.body).into();
            ledger.add(Entry { name: document.id, digest }).expect("added");
        }
        let mut report = StoreReport::begun(kind, None);
        report.verdict = if tried { Verdict::Pass } else { Verdict::Inconclusive };
        report.reason = if tried { "zero data loss".into() } else { "ended in the middle".into() };
        let caught = tried.then_some(true);
        report.verifier =
            VerifierTest { altered: caught, removed: caught, added: caught, flipped: caught };
        Ended { report, documents: Some(ledger.finish().expect("written")) }
    }

    #[tokio::test]
    async fn documents_are_counted_over_the_stores_that_were_verified_and_these_are_named() {
        let temp = tempfile::tempdir().expect("folder");
        let events = EventSink::in_memory(RunClock::start()).for_phase(PhaseKind::Backup);
        let start = DrillStart {
            way: DrillWay::BuiltIn,
            documents: DATASET.documents,
            seed: DATASET.seed,
            namespace: "sd_drill_x".into(),
            stores: vec![StoreKind::Postgres, StoreKind::Redis, StoreKind::Minio],
            skipped: vec![],
        };
        let mut heard = events.subscribe();
        let of = |kind, documents: &[u64], tried| {
            (kind, Some(ended(kind, temp.path(), documents, tried)))
        };
        let stores = vec![
            of(StoreKind::Postgres, &[1, 2, 3], true),
            of(StoreKind::Redis, &[1, 3], true),
            of(StoreKind::Minio, &[], false),
        ];
        let outcome = conclude(start, DATASET, stores, &events).await;
        let closure = loop {
            let event = heard.events.recv().await.expect("an event");
            if let EventBody::Backup(BackupEvent::Closure(closure)) = event.body.clone() {
                break closure;
            }
        };
        assert_eq!(closure.stores, [StoreKind::Postgres, StoreKind::Redis]);
        let whole = "2 of 3 documents are whole over postgres, redis";
        let first = "minio: inconclusive: ended in the middle; ";
        let second = format!("{whole}, not so doc-0000002 in redis; ");
        assert!(outcome.reason.starts_with(&format!("{first}{second}")), "{}", outcome.reason);
        assert_eq!(outcome.verdict, Verdict::Fail);
    }
}
