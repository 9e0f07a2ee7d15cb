//! Percentiles over time on a logarithmic axis, with the marks of the timeline below.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::lines;
use crate::config::ServiceKind;
use crate::run::state::{HistoryPoint, PhaseState, RunState};
use crate::tui::app::App;

/// The axis, in microseconds: 1 ms to 30 s.
const AXIS: (f64, f64) = (1e3, 30e6);
/// Between two intervals in a row there is not more than this.
const LONGEST_US: u64 = 2_500_000;
/// Width of the scale on the left.
const SCALE: usize = 8;

/// What the marks on the axis mean, where there is room to say it.
const MARKS: &str = "   P paused R resumed U users G guard ! other";

/// Draws the history of a service.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App, service: ServiceKind) {
    let state = app.shown();
    let (rows, columns) = (
        usize::from(area.height.saturating_sub(2)),
        usize::from(area.width).saturating_sub(SCALE + 1),
    );
    if rows < 3 || columns < 10 {
        return;
    }
    let Some(phase) = app.load_phase() else { return };
    let window = window(phase, app.zoom, app.now_us());
    let mut grid = vec![vec![' '; columns]; rows];
    let load = phase.load.as_ref();
    let between = load.map_or(1, |load| u64::from(load.intervals_per_point)) * LONGEST_US;
    let points: Vec<&HistoryPoint> = points(phase, service, window).collect();
    for (at, point) in points.iter().enumerate() {
        let column = scale(point.at_us, window, columns);
        // A point stands until the next one, but not over a stretch in which nothing was measured.
        let next = points.get(at + 1).map_or(point.at_us, |next| next.at_us);
        let gap = next.saturating_sub(point.at_us) > between;
        let until = if gap { point.at_us } else { next };
        let last = scale(until, window, columns).saturating_sub(1).max(column);
        // The later ones win where they meet: what is slowest is what matters.
        for (value, glyph) in [(point.p50_us, '.'), (point.p95_us, '+'), (point.p99_us, '*')] {
            if value > 0 {
                grid[row_of(value, rows)][column..=last].fill(glyph);
            }
        }
    }
    let span = format_span((window.1 - window.0) / 1_000_000);
    let whose = phase.kind.name();
    let mut title = format!(" {service} in {whose}, {span}   . P50  + P95  * P99   ([ ] zooms)");
    if title.width() + MARKS.len() <= usize::from(area.width) {
        title += MARKS;
    }
    let mut text = vec![Line::styled(title, app.theme.title)];
    for (row, cells) in grid.into_iter().enumerate() {
        text.push(Line::from(vec![
            Span::styled(format!("{:>SCALE$} ", label(row, rows)), app.theme.dim),
            Span::styled(cells.into_iter().collect::<String>(), app.theme.bar),
        ]));
    }
    text.push(marks(state, window, columns, app));
    lines(frame, area, app, text);
}

fn window(phase: &PhaseState, zoom: Option<u64>, now_us: u64) -> (u64, u64) {
    let begin = phase.started_us.unwrap_or(0);
    let end = phase.finished_us.unwrap_or(now_us);
    // Quantised, so that the picture does not creep by a fraction of a column every second.
    let end = end.max(begin + 60_000_000).next_multiple_of(5_000_000);
    let from = zoom.map_or(begin, |seconds| begin.max(end.saturating_sub(seconds * 1_000_000)));
    (from, end)
}

fn points(
    phase: &PhaseState,
    service: ServiceKind,
    window: (u64, u64),
) -> impl Iterator<Item = &HistoryPoint> {
    let history = phase.load.as_ref().and_then(|load| load.history.get(&service));
    history.into_iter().flatten().filter(move |p| p.at_us >= window.0 && p.at_us <= window.1)
}

fn scale(at_us: u64, window: (u64, u64), columns: usize) -> usize {
    let share = (at_us.saturating_sub(window.0)) as f64 / (window.1 - window.0).max(1) as f64;
    ((share * columns as f64) as usize).min(columns - 1)
}

fn row_of(micros: u64, rows: usize) -> usize {
    let (low, high) = (AXIS.0.ln(), AXIS.1.ln());
    let share = ((micros.max(1) as f64).ln() - low) / (high - low);
    let from_bottom = (share.clamp(0.0, 1.0) * (rows - 1) as f64).round() as usize;
    rows - 1 - from_bottom
}

fn label(row: usize, rows: usize) -> &'static str {
    let labels = [
        (1_000, "1 ms"),
        (10_000, "10 ms"),
        (100_000, "100 ms"),
        (1_000_000, "1 s"),
        (10_000_000, "10 s"),
    ];
    labels.iter().find(|(value, _)| row_of(*value, rows) == row).map_or("", |(_, name)| name)
}

/// One character a mark: what happened stands in the log and in the report.
fn marks<'a>(state: &RunState, window: (u64, u64), columns: usize, app: &App) -> Line<'a> {
    let mut cells = vec!['-'; columns];
    for mark in state.marks.iter().filter(|m| m.at_us >= window.0 && m.at_us <= window.1) {
        let glyph = match mark.text.as_str() {
            "paused" => 'P',
            "resumed" => 'R',
            "held" => 'H',
            text if text.ends_with("users") => 'U',
            text if text.starts_with("guard") => 'G',
            _ => '!',
        };
        cells[scale(mark.at_us, window, columns)] = glyph;
    }
    Line::styled(
        format!("{:>SCALE$} {}", "marks", cells.into_iter().collect::<String>()),
        app.theme.dim,
    )
}

fn format_span(seconds: u64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds.div_ceil(60)) }
}
