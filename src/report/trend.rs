//! Figures over past runs, the oldest first, as a table with a sparkline a column.

use std::fmt::Write as _;

use super::json::Report;
use super::load::Figures;
use super::text::widest;

/// Levels of a sparkline.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The figures of one run that a trend shows; none where they were not measured.
struct Point<'a> {
    report: &'a Report,
    values: [Option<f64>; HEADS.len()],
}

const HEADS: [&str; 9] =
    ["errors %", "P50 ms", "P95 ms", "P99 ms", "resilience", "security", "lost", "RPO s", "RTO s"];

/// The trend of these runs.
pub fn text(reports: &[Report]) -> String {
    let points: Vec<Point> = reports.iter().map(point).collect();
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write(&mut text, &points);
    text
}

fn write(text: &mut String, points: &[Point]) -> std::fmt::Result {
    let runs = points.iter().filter_map(|point| point.report.run.as_ref());
    let width = widest(10, runs.map(|run| &run.plan));
    // What no run measured has no column.
    let measured = |at: &usize| points.iter().any(|point| point.values[*at].is_some());
    let columns: Vec<usize> = (0..HEADS.len()).filter(measured).collect();
    write!(text, "{:<24} {:<width$} {:<14}", "run", "plan", "verdict")?;
    for at in &columns {
        write!(text, " {:>10}", HEADS[*at])?;
    }
    writeln!(text)?;
    for Point { report, values } in points {
        let (id, plan) =
            report.run.as_ref().map_or(("?", "?"), |run| (run.id.as_str(), run.plan.as_str()));
        write!(text, "{id:<24} {plan:<width$} {:<14}", report.overall_status)?;
        for value in columns.iter().map(|at| values[*at]) {
            write!(text, " {:>10}", value.map_or_else(|| "-".into(), |of| format!("{of:.2}")))?;
        }
        writeln!(text)?;
    }
    for at in columns {
        let head = HEADS[at];
        let column: Vec<Option<f64>> = points.iter().map(|point| point.values[at]).collect();
        if column.iter().flatten().count() > 1 {
            writeln!(text, "{head:<10} {}", sparkline(&column))?;
        }
    }
    Ok(())
}

fn point(report: &Report) -> Point<'_> {
    let load = report.phases.iter().find_map(|phase| phase.load.as_ref()?.services.get("all"));
    let of = |figure: fn(&Figures) -> Option<f64>| load.and_then(figure);
    let chaos = report.phases.iter().find_map(|phase| phase.chaos.as_ref());
    let security = report.phases.iter().find_map(|phase| phase.security.as_ref());
    // Where both ways were drilled, the platform's own backup comes last.
    let drill = report.phases.iter().find_map(|phase| phase.backup.last());
    Point {
        report,
        values: [
            of(|figures| figures.error_rate_percent),
            of(|figures| figures.response.p50_ms),
            of(|figures| figures.response.p95_ms),
            of(|figures| figures.response.p99_ms),
            chaos.and_then(|chaos| chaos.resilience_score),
            security.and_then(|security| security.score),
            drill.and_then(|drill| Some(drill.records_lost? as f64)),
            drill.and_then(|drill| drill.rpo_seconds),
            drill.and_then(|drill| drill.rto_seconds),
        ],
    }
}

/// Bars from the smallest to the largest value; a gap where there is none.
fn sparkline(values: &[Option<f64>]) -> String {
    let known = values.iter().flatten().copied();
    let low = known.clone().fold(f64::INFINITY, f64::min);
    let high = known.fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.0 };
        BARS[(share * (BARS.len() - 1) as f64).round() as usize]
    };
    values.iter().map(|value| value.map_or(' ', bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PhaseKind;
    use crate::run::state::{PhaseState, RunState};

    #[test]
    fn a_sparkline_spans_what_is_there_and_leaves_gaps() {
        assert_eq!(sparkline(&[Some(1.0), None, Some(8.0), Some(4.5)]), "▁ █▅");
        assert_eq!(sparkline(&[Some(3.0), Some(3.0)]), "▁▁");
    }

    #[test]
    fn a_run_that_only_drills_has_its_figures_and_no_others() {
        let mut report = super::super::json::report(&RunState {
            phases: vec![PhaseState::new(PhaseKind::Backup)],
            ..RunState::default()
        });
        let drill = serde_json::json!({
            "way": "platform", "success_rate": "1/1", "documents": 1, "seed": 1, "namespace": "n",
            "records_expected": 3, "records_restored": 1, "records_lost": 2, "rpo_seconds": 4.5,
            "rpo_scope": "platform", "rto_seconds": 61.25, "skipped": {}, "service": [], "stores": [],
        });
        report.phases[0].backup = vec![serde_json::from_value(drill).expect("a drill")];
        let text = text(&[report]);
        let words = |at: usize| text.lines().nth(at).expect("a line").split_whitespace();
        assert_eq!(words(0).collect::<Vec<_>>()[3..], ["lost", "RPO", "s", "RTO", "s"], "{text}");
        let row: Vec<&str> = words(1).collect();
        assert_eq!(row[row.len() - 3..], ["2.00", "4.50", "61.25"], "{text}");
    }

    #[test]
    fn a_run_without_figures_has_its_row() {
        let report = super::super::json::report(&Default::default());
        let text = text(&[report]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().nth(1).is_some_and(|row| row.contains("running")), "{text}");
    }
}
