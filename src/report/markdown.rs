//! A summary in Markdown, such as for a CI job's page.

use std::fmt::Write as _;

use super::json::Report;

/// GitHub drops a step summary above 1 MiB altogether.
const MAX_BYTES: usize = 900 * 1024;

/// The report as Markdown, cut with a remark where it would be too long.
pub fn document(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write_document(&mut text, report);
    if text.len() > MAX_BYTES {
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        text.push_str("\n\n... more in the report\n");
    }
    text
}

fn write_document(text: &mut String, report: &Report) -> std::fmt::Result {
    let run = report.run.as_ref();
    writeln!(text, "## shakedown: {}\n", cell(&report.verdict))?;
    if !report.complete {
        writeln!(text, "**Partial: the run did not end**\n")?;
    }
    if let Some(run) = run {
        writeln!(
            text,
            "{} ({}) · {} · `{}`\n",
            cell(&run.target),
            run.environment,
            cell(&run.plan),
            run.id
        )?;
        if let Some(unchecked) = run.unchecked() {
            writeln!(text, "**Warning: {}**\n", cell(&unchecked))?;
        }
    }
    for reason in &report.reasons {
        writeln!(text, "- {}", cell(reason))?;
    }
    write_objectives(text, report)?;
    write_controls(text, report)?;
    for alert in &report.notifications.open {
        writeln!(text, "\nAlert: {} (level {})", cell(&alert.summary), alert.level)?;
    }
    writeln!(text, "\n| phase | verdict | why |\n|---|---|---|")?;
    for phase in &report.phases {
        writeln!(text, "| {} | {} | {} |", phase.phase, phase.status, cell(&phase.reason))?;
    }
    Ok(())
}

fn write_objectives(text: &mut String, report: &Report) -> std::fmt::Result {
    let rows = report.slo_compliance.iter().filter(|row| row.verdict != "skipped");
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n| objective | asked | measured | n | verdict |\n|---|--:|--:|--:|---|")?;
    for row in rows {
        let id = cell(&row.id);
        writeln!(
            text,
            "| {id} | {} | {} | {} | {} |",
            cell(&row.objective),
            cell(&row.measured),
            row.n,
            row.verdict
        )?;
    }
    Ok(())
}

fn write_controls(text: &mut String, report: &Report) -> std::fmt::Result {
    if report.controls.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n| control | of | status | evidence |\n|---|---|---|---|")?;
    for row in &report.controls {
        let (name, subject) = (cell(row.control.name()), cell(&row.subject));
        writeln!(text, "| {name} | {subject} | {} | {} |", row.status, cell(&row.evidence))?;
    }
    Ok(())
}

/// A text that cannot leave its cell, nor bring markup or HTML with it.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' => cell.extend(['\\', c]),
            '<' => cell.push_str("&lt;"),
            c if c.is_control() => cell.push(' '),
            c => cell.push(c),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json;
    use crate::run::state::RunState;

    #[test]
    fn a_run_that_did_not_end_is_marked_as_partial() {
        let marked = |complete| {
            document(&Report { complete, ..json::report(&RunState::default()) }).contains("Partial")
        };
        assert_eq!([marked(false), marked(true)], [true, false]);
    }

    #[test]
    fn a_hostile_text_stays_in_its_cell() {
        assert_eq!(cell("a|b\n<img> [x](y) `c`"), "a\\|b &lt;img> \\[x\\](y) \\`c\\`");
    }
}
