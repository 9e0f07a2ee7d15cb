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
    let (mut reports, mut restored, mut crashed) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, ended) in ended {
        match ended {
            Some(Ended { report, documents }) => {
                restored.extend(documents.map(|documents| (kind, documents)));
                reports.push(report);
            }
            None => crashed.push(kind),
        }
    }
    let closure = whole(dataset, restored).await;
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

/// Whether the documents are whole; nothing to say where fewer than two stores were restored.
async fn whole(
    dataset: Dataset,
    restored: Vec<(StoreKind, Ledger)>,
) -> Option<Result<ClosureReport, String>> {
    if restored.len() < 2 {
        return None;
    }
    let compared = tokio::task::spawn_blocking(move || closure(dataset, &restored)).await;
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
    let lost: u64 = compared().map(|comparison| comparison.lost()).sum();
    let expected = compared().map(|comparison| comparison.expected).sum();
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
    let mut words = vec![format!(
        "{loss}: {passed}/{stores} stores, {restored}/{expected} records ({} backup)",
        start.way.words()
    )];
    let bad = reports.iter().filter(|report| report.verdict != Verdict::Pass);
    words.extend(bad.map(|r| format!("{}: {}: {}", r.store, r.verdict, r.reason)));
    words.extend(crashed.iter().map(|kind| format!("{kind}: its drill crashed")));
    match closure {
        Some(Ok(closure)) if closure.whole < closure.documents => words.push(format!(
            "{} of {} documents are not whole: {}",
            closure.documents - closure.whole,
            closure.documents,
            closure.broken.first().map_or("", String::as_str)
        )),
        Some(Err(error)) => words.push(format!("the stores were not compared: {error}")),
        _ => {}
    }
    let skipped = start.skipped.iter().map(|(kind, why)| format!("without {kind}: {why}"));
    words.extend(skipped);
    words.join("; ")
}
