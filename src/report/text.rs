//! The summary of a run in plain lines, for terminals and logs.

use std::fmt::Write as _;

use super::json::{Figures, PhaseSection, Report};

/// A summary of at most a screen.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write_summary(&mut text, report);
    text
}

fn write_summary(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "verdict   {}", report.verdict)?;
    for reason in &report.reasons {
        writeln!(text, "          {reason}")?;
    }
    if let Some(run) = &report.run {
        let (minutes, seconds) = (run.seconds as u64 / 60, run.seconds as u64 % 60);
        writeln!(
            text,
            "run       {} · {} ({}) · {} · {minutes} min {seconds} s",
            run.id, run.target, run.environment, run.plan
        )?;
        if let Some(unchecked) = run.unchecked() {
            writeln!(text, "WARNING   {unchecked}")?;
        }
    }
    for row in report.slo_compliance.iter().filter(|row| row.verdict != "skipped") {
        let why = if row.reason.is_empty() { "" } else { ": " };
        writeln!(
            text,
            "slo       {:<18} {:>10} {:>12}  n {:<8} {}{why}{}",
            row.id, row.objective, row.measured, row.n, row.verdict, row.reason
        )?;
    }
    for phase in &report.phases {
        writeln!(text, "phase     {:<13} {:<12} {}", phase.phase, phase.status, phase.reason)?;
        write_load(text, phase)?;
        write_chaos(text, phase)?;
        write_backup(text, phase)?;
    }
    Ok(())
}

fn write_chaos(text: &mut String, phase: &PhaseSection) -> std::fmt::Result {
    let Some(chaos) = &phase.chaos else { return Ok(()) };
    for experiment in &chaos.experiments {
        let recovery =
            experiment.recovery_ms.map_or_else(|| "-".into(), |ms| format!("{:.1} s", ms / 1e3));
        writeln!(
            text,
            "            {:<12} recovery {recovery:>7}  {}",
            experiment.verdict, experiment.title
        )?;
    }
    Ok(())
}

fn write_backup(text: &mut String, phase: &PhaseSection) -> std::fmt::Result {
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "-".into(), |s| format!("{s:.2} s"));
    for store in phase.backup.iter().flat_map(|drill| &drill.stores) {
        let records = store.records.as_ref();
        let lost = records.map(|records| records.missing_count + records.changed_count);
        writeln!(
            text,
            "            {:<9} {:<12} {}  lost {} of {}  RPO {}  RTO {}",
            store.store,
            store.verdict.as_deref().unwrap_or("-"),
            store.level.as_deref().unwrap_or("--"),
            lost.map_or_else(|| "-".into(), |lost| lost.to_string()),
            records.map_or_else(|| "-".into(), |records| records.expected.to_string()),
            time(store.rpo_seconds),
            time(store.rto_seconds.total)
        )?;
    }
    Ok(())
}

fn write_load(text: &mut String, phase: &PhaseSection) -> std::fmt::Result {
    let Some(load) = &phase.load else { return Ok(()) };
    for (name, figures) in &load.services {
        let Figures { n, failed, response, .. } = figures;
        writeln!(
            text,
            "            {name:<6} n {n:<8} failed {failed:<6} P50 {:>8}  P95 {:>8}  P99 {:>8}",
            millis(response.p50_ms),
            millis(response.p95_ms),
            millis(response.p99_ms)
        )?;
    }
    for (what, why) in &load.left_out {
        writeln!(text, "            left out: {what}: {why}")?;
    }
    if let Some(documents) = &load.documents {
        writeln!(
            text,
            "            documents: {} written, {} removed and absent, {} remaining",
            documents.written, documents.removed, documents.remaining
        )?;
    }
    Ok(())
}

fn millis(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.0} ms"))
}
