//! The summary of a run in plain lines, for terminals and logs.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::json::{Figures, PhaseSection, Report};

/// A summary of at most a screen.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write_summary(&mut text, report);
    text
}

/// A text whose lines are broken between words, so that none is wider than `width` columns but for a
/// word that is; what goes on begins in column `indent`.
pub fn folded(text: &str, width: usize, indent: usize) -> String {
    let rows = text.lines().flat_map(|line| fold(line, width, indent));
    rows.collect::<Vec<_>>().join("\n")
}

fn fold(line: &str, width: usize, indent: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut rest = line.trim_end().to_owned();
    while rest.width() > width {
        let Some(at) = break_of(&rest, width, indent) else { break };
        let after = rest.split_off(at);
        rows.push(rest.trim_end().to_owned());
        rest = format!("{:indent$}{}", "", after.trim_start());
    }
    rows.push(rest);
    rows
}

/// Where a line is broken: at the last space that leaves no more than `width` columns before it, else
/// at the first one.
fn break_of(line: &str, width: usize, indent: usize) -> Option<usize> {
    let spaces = line.match_indices(' ').map(|(at, _)| at);
    let mut breaks = spaces.filter(|at| line[..*at].trim_end().width() > indent);
    let mut found = breaks.next()?;
    for at in breaks.take_while(|at| line[..*at].width() <= width) {
        found = at;
    }
    Some(found)
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
            "          {:<12} recovery {recovery:>7}  {}",
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
            "          {:<9} {:<12} {}  lost {} of {}  RPO {}  RTO {}",
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
            "          {name:<6} n {n:<8} failed {failed:<5} P50 {:>7}  P95 {:>7}  P99 {:>7}",
            millis(response.p50_ms),
            millis(response.p95_ms),
            millis(response.p99_ms)
        )?;
    }
    for (what, why) in &load.left_out {
        writeln!(text, "          left out: {what}: {why}")?;
    }
    if let Some(documents) = &load.documents {
        writeln!(
            text,
            "          documents: {} written, {} removed and absent, {} remaining",
            documents.written, documents.removed, documents.remaining
        )?;
    }
    Ok(())
}

fn millis(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.0} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_go_on_below_their_text() {
        let line = "slo       p99     n 43  inconclusive: 43 samples: 299 without a bad one decide";
        let rows = "slo       p99     n 43  inconclusive: 43\n          samples: 299 without a bad one\n          decide";
        assert_eq!(folded(line, 40, 10), rows);
        assert_eq!(folded("short\n\nlines", 40, 10), "short\n\nlines", "they stay as they are");
        assert_eq!(folded("report    /a/very/long/path", 12, 10), "report    /a/very/long/path");
        for width in 1..60 {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&folded(line, width, 10)), words(line), "{width} columns");
        }
    }
}
