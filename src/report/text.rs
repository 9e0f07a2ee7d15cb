//! The summary of a run in plain lines, for terminals and logs.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::json::{PhaseSection, Report};

/// A summary of at most a screen.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write_summary(&mut text, report);
    text
}

/// How long a run took, in words.
pub fn length(seconds: f64) -> String {
    let seconds = seconds as u64;
    format!("{} min {} s", seconds / 60, seconds % 60)
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

/// Columns that a table needs for these cells, and `least` at least.
pub fn widest<'a>(least: usize, cells: impl IntoIterator<Item = &'a String>) -> usize {
    cells.into_iter().map(|cell| cell.width()).fold(least, usize::max)
}

fn write_summary(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "verdict   {}", report.verdict)?;
    for reason in &report.reasons {
        writeln!(text, "          {reason}")?;
    }
    if let Some(run) = &report.run {
        writeln!(
            text,
            "run       {} · {} ({}) · {} · {}",
            run.id,
            run.target,
            run.environment,
            run.plan,
            length(run.seconds)
        )?;
        if let Some(unchecked) = run.unchecked() {
            writeln!(text, "WARNING   {unchecked}")?;
        }
    }
    write_objectives(text, report)?;
    for phase in &report.phases {
        writeln!(text, "phase     {:<13} {:<12} {}", phase.phase, phase.status, phase.reason)?;
        if let Some(load) = &phase.load {
            super::load::text::write(text, load)?;
        }
        write_chaos(text, phase)?;
        write_backup(text, phase)?;
    }
    Ok(())
}

fn write_objectives(text: &mut String, report: &Report) -> std::fmt::Result {
    let rows = || report.slo_compliance.iter().filter(|row| row.verdict != "skipped");
    let id = widest(18, rows().map(|row| &row.id));
    let asked = widest(10, rows().map(|row| &row.objective));
    let measured = widest(12, rows().map(|row| &row.measured));
    for row in rows() {
        let why = if row.reason.is_empty() { "" } else { ": " };
        writeln!(
            text,
            "slo       {:<id$} {:>asked$} {:>measured$}  n {:<8} {}{why}{}",
            row.id, row.objective, row.measured, row.n, row.verdict, row.reason
        )?;
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
        for evidence in &experiment.evidence {
            writeln!(text, "{:23}{evidence}", "")?;
        }
    }
    Ok(())
}

fn write_backup(text: &mut String, phase: &PhaseSection) -> std::fmt::Result {
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "-".into(), |s| format!("{s:.2} s"));
    for store in phase.backup.iter().flat_map(|drill| &drill.stores) {
        let records = store.records.as_ref();
        let lost = records.map(|records| records.difference.lost());
        let verdict = store.verdict.as_deref().unwrap_or("-");
        write!(text, "          {:<9} {verdict:<12} ", store.store)?;
        // Why it did not pass stands first; what it came to before that, below.
        if verdict != "pass" {
            writeln!(text, "{}", store.reason)?;
            if store.level.is_none() {
                continue;
            }
            write!(text, "{:33}", "")?;
        }
        writeln!(
            text,
            "{}  lost {} of {}  RPO {}  RTO {}",
            store.level.as_deref().unwrap_or("--"),
            lost.map_or_else(|| "-".into(), |lost| lost.to_string()),
            records.map_or_else(|| "-".into(), |records| records.difference.expected.to_string()),
            time(store.rpo_seconds),
            time(store.rto_seconds.total)
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::slo::row;
    use crate::run::event::{Objective, Verdict};
    use crate::run::state::RunState;

    fn objective(id: &str) -> Objective {
        Objective {
            id: id.into(),
            objective: "< 2000 ms".into(),
            measured: "574 ms".into(),
            n: 4242,
            bad: 0,
            verdict: Verdict::Pass,
            reason: String::new(),
            bound: String::new(),
            method: String::new(),
            gate: true,
            budget: None,
            whole_window: None,
        }
    }

    #[test]
    fn a_length_is_told_to_the_second() {
        assert_eq!(["0 min 25 s", "61 min 1 s"], [length(25.06), length(3661.9)]);
    }

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

    #[test]
    fn a_long_name_leaves_the_columns_in_line() {
        let long = "checkout_service_first_token_p99_eu_central_1";
        let mut report = super::super::json::report(&RunState::default());
        report.slo_compliance = ["p99", long].map(|id| row(&objective(id))).to_vec();
        let text = summary(&report);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("slo ")).collect();
        assert!(rows[1].contains(&format!("{long} ")), "{text}");
        let at = |row: &str| row.find("  n ").expect("a count");
        assert_eq!(at(rows[0]), at(rows[1]), "{text}");
    }
}
