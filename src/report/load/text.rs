//! A load phase in plain lines.

use std::fmt::Write as _;

use super::{Figures, Latency, LoadSection, ScenarioRow, SeriesRow, ThresholdSection, tenths};
use crate::report::text::widest;

/// Most rows of a kind: the summary is read on a screen.
const MAX_ROWS: usize = 12;
/// Longest name, in characters.
const MAX_NAME: usize = 48;
/// Where what belongs to a phase begins.
const INDENT: &str = "          ";

pub(in crate::report) fn write(text: &mut String, load: &LoadSection) -> std::fmt::Result {
    services(text, load)?;
    scenarios(text, &load.scenarios)?;
    steps(text, &load.series)?;
    streams(text, load)?;
    thresholds(text, &load.thresholds)?;
    for (what, why) in &load.left_out {
        writeln!(text, "{INDENT}left out: {what}: {why}")?;
    }
    if let Some(documents) = &load.documents {
        writeln!(
            text,
            "{INDENT}documents: {} written, {} removed and absent, {} remaining",
            documents.written, documents.removed, documents.remaining
        )?;
    }
    Ok(())
}

fn services(text: &mut String, load: &LoadSection) -> std::fmt::Result {
    let width = widest(6, load.services.keys());
    for (name, figures) in &load.services {
        let Figures { n, failed, response, .. } = figures;
        writeln!(
            text,
            "{INDENT}{name:<width$} n {n:<8} failed {failed:<5} P50 {:>7}  P95 {:>7}  P99 {:>7}",
            millis(response.p50_ms),
            millis(response.p95_ms),
            millis(response.p99_ms)
        )?;
    }
    Ok(())
}

fn scenarios(text: &mut String, rows: &[ScenarioRow]) -> std::fmt::Result {
    let names: Vec<String> = rows.iter().take(MAX_ROWS).map(|row| name(&row.scenario)).collect();
    let width = widest(6, &names);
    for (name, row) in names.iter().zip(rows) {
        let ScenarioRow { finished, interrupted, dropped, duration, .. } = row;
        writeln!(
            text,
            "{INDENT}flow {name:<width$}  n {finished:<8} {:>7}/s  broken off {interrupted:<5} \
             dropped {dropped:<5} P95 {:>7}",
            tenths(row.iterations_per_second),
            millis(duration.p95_ms)
        )?;
    }
    more(text, rows.len(), "scenarios")
}

/// The steps; where there are more than room for them, those that failed come first.
fn steps(text: &mut String, rows: &[SeriesRow]) -> std::fmt::Result {
    let mut shown: Vec<&SeriesRow> = rows.iter().collect();
    if shown.len() > MAX_ROWS {
        shown.sort_by_key(|row| std::cmp::Reverse(row.figures.failed));
        shown.truncate(MAX_ROWS);
    }
    let names: Vec<String> =
        shown.iter().map(|row| name(&format!("{}: {}", row.scenario, row.step))).collect();
    let width = widest(6, &names);
    for (name, SeriesRow { figures, .. }) in names.iter().zip(shown) {
        writeln!(
            text,
            "{INDENT}step {name:<width$}  n {:<8} {:>7}/s  response {}  service {}",
            figures.n,
            tenths(figures.requests_per_second),
            percentiles(&figures.response),
            percentiles(&figures.service_time)
        )?;
        if figures.failed > 0 {
            writeln!(text, "{INDENT}     failed {}: {}", figures.failed, super::errors(figures))?;
        }
        if figures.cut_off > 0 {
            writeln!(text, "{INDENT}     cut off {}", figures.cut_off)?;
        }
    }
    if !rows.is_empty() {
        writeln!(
            text,
            "{INDENT}     (P50/P95/P99 in ms, from the intended start and from the send)"
        )?;
    }
    more(text, rows.len(), "steps")
}

fn streams(text: &mut String, load: &LoadSection) -> std::fmt::Result {
    let rows = super::streamed(&load.series);
    for (row, streams) in rows.iter().take(MAX_ROWS) {
        writeln!(
            text,
            "{INDENT}stream {}  n {}  first token {}  gaps {}  per token {}  {} tokens/s",
            name(&format!("{}: {}", row.scenario, row.step)),
            streams.streams,
            percentiles(&streams.first_token),
            percentiles(&streams.token_gap),
            percentiles(&streams.time_per_token),
            tenths(streams.tokens_per_second)
        )?;
    }
    more(text, rows.len(), "streamed steps")
}

/// The thresholds that do not hold; those that do stand in the report.
fn thresholds(text: &mut String, rows: &[ThresholdSection]) -> std::fmt::Result {
    let not: Vec<&ThresholdSection> = rows.iter().filter(|row| row.verdict != "pass").collect();
    for row in not.iter().take(MAX_ROWS) {
        let measured = row.worst.as_ref().unwrap_or(&row.value);
        let why = if row.reason.is_empty() { "" } else { ": " };
        writeln!(
            text,
            "{INDENT}threshold {}: {}  {}, measured {measured} (n {}){why}{}",
            row.metric, row.threshold, row.verdict, row.n, row.reason
        )?;
    }
    more(text, not.len(), "thresholds")
}

/// A name that cannot leave its column.
fn name(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    match text.chars().count() {
        0..=MAX_NAME => clean.collect(),
        _ => clean.take(MAX_NAME - 3).chain("...".chars()).collect(),
    }
}

fn more(text: &mut String, rows: usize, what: &str) -> std::fmt::Result {
    if rows <= MAX_ROWS {
        return Ok(());
    }
    writeln!(text, "{INDENT}{} more {what} stand in the JSON report", rows - MAX_ROWS)
}

fn percentiles(latency: &Latency) -> String {
    [latency.p50_ms, latency.p95_ms, latency.p99_ms].map(tenths).join("/")
}

fn millis(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.0} ms"))
}
