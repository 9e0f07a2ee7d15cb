//! Latencies of the last seconds: a histogram a service on one logarithmic axis.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::lines;
use crate::run::histogram::Histogram;
use crate::run::state::PhaseStatus;
use crate::tui::app::App;
use crate::tui::format::{count, latency};
use crate::tui::view::Figures;

/// The axis, in microseconds: 1 ms to 30 s.
const AXIS: (f64, f64) = (1e3, 30e6);
/// Width of the service's name.
const NAME: usize = 7;
/// Width of the figures.
const FIGURES: usize = 44;

/// Rows that the panel needs.
pub fn height(app: &App) -> u16 {
    1 + app.load().services.len().max(1) as u16
}

/// What stands in place of percentiles where there is no answer whose latency says anything.
pub const NONE_ANSWERED: &str = "none: every request failed";

/// Draws a row per service.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let columns = usize::from(area.width).saturating_sub(NAME + FIGURES + 2).max(1);
    let mut text = vec![axis(columns, app)];
    let services = &app.load().services;
    if services.is_empty() {
        text.push(Line::styled("   no load yet: the load phases fill this", app.theme.dim));
    }
    for service in services {
        let mut spans = vec![Span::styled(format!(" {:<NAME$}", service.service), app.theme.text)];
        spans.push(columns_of(&service.response, columns, app));
        spans.extend(figures_of(&service.now, app));
        text.push(Line::from(spans));
    }
    lines(frame, area, app, text);
}

/// The heading, with the decades over their columns.
fn axis<'a>(columns: usize, app: &App) -> Line<'a> {
    let mut marks = vec![b' '; columns];
    for (value, name) in [(1e3, "1ms"), (1e4, "10ms"), (1e5, "100ms"), (1e6, "1s"), (1e7, "10s")] {
        let at = position(value, columns);
        let end = at + name.len();
        if end <= columns && marks[at.saturating_sub(1)..end].iter().all(|c| *c == b' ') {
            marks[at..end].copy_from_slice(name.as_bytes());
        }
    }
    let marks = String::from_utf8_lossy(&marks).into_owned();
    // What load measured last is not what the platform does now.
    let running = app.load_phase().is_none_or(|load| load.status == PhaseStatus::Running);
    let when = if running { "now" } else { "at end" };
    Line::styled(
        format!(
            " {when:<NAME$}{marks} {:>9}{:>9}{:>9}{:>8}{:>8}",
            "P50", "P95", "P99", "req/s", "failed"
        ),
        app.theme.title,
    )
}

/// A histogram as one row of columns; the P99 objective is a line through it.
pub fn columns_of<'a>(histogram: &Histogram, columns: usize, app: &App) -> Span<'a> {
    let counts = histogram.counts_between(&bounds(columns));
    let highest = counts.iter().copied().max().unwrap_or(0).max(1);
    let limit = app.shown().p99_limit();
    let limit = limit.map(|limit| position(limit.as_micros() as f64, columns));
    let cells = counts.iter().enumerate().map(|(at, n)| match (n, limit) {
        (0, Some(limit)) if limit == at => app.glyphs.limit(),
        // Anything that happened is seen, however little of it there was.
        (n, _) => app.glyphs.column((n * 8).div_ceil(highest) as usize),
    });
    Span::styled(cells.collect::<String>(), app.theme.bar)
}

fn figures_of<'a>(figures: &Figures, app: &App) -> Vec<Span<'a>> {
    let limit = app.shown().p99_limit();
    let style = |value: Option<Duration>| -> Style {
        match (value, limit) {
            (Some(value), Some(limit)) if value >= limit => app.theme.bad,
            (Some(value), Some(limit)) if value * 10 >= limit * 9 => app.theme.warning,
            _ => app.theme.text,
        }
    };
    // What is refused within a millisecond must not look fast.
    let percentiles = if figures.all_failed() {
        vec![Span::styled(format!(" {NONE_ANSWERED:>27}"), app.theme.bad)]
    } else {
        vec![
            Span::styled(format!(" {:>9}", latency(figures.p50)), app.theme.text),
            Span::styled(format!("{:>9}", latency(figures.p95)), app.theme.text),
            Span::styled(format!("{:>9}", latency(figures.p99)), style(figures.p99)),
        ]
    };
    let counts = [
        Span::styled(format!("{:>8.1}", figures.rate.unwrap_or_default()), app.theme.text),
        Span::styled(
            format!("{:>8}", count(figures.failed)),
            if figures.failed > 0 { app.theme.bad } else { app.theme.text },
        ),
    ];
    percentiles.into_iter().chain(counts).collect()
}

/// Bounds of the columns: everything below and above the axis is in the outermost ones.
fn bounds(columns: usize) -> Vec<u64> {
    let (low, high) = (AXIS.0.ln(), AXIS.1.ln());
    let mut bounds: Vec<u64> = (0..=columns)
        .map(|at| (low + (high - low) * at as f64 / columns as f64).exp() as u64)
        .collect();
    if let (Some(first), true) = (bounds.first_mut(), columns > 0) {
        *first = 0;
    }
    if let Some(last) = bounds.last_mut() {
        *last = u64::MAX;
    }
    bounds
}

fn position(micros: f64, columns: usize) -> usize {
    let (low, high) = (AXIS.0.ln(), AXIS.1.ln());
    let at = (micros.max(1.0).ln() - low) / (high - low) * columns as f64;
    (at.max(0.0).round() as usize).min(columns.saturating_sub(1))
}
