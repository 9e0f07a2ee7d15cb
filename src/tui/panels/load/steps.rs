//! Every step over the whole phase.

use ratatui::text::Line;

use crate::tui::app::App;
use crate::tui::format::{count, latency};
use crate::tui::panels::fitted;
use crate::tui::view::{Figures, SeriesView};

/// Terminals of this width show every column.
const WIDE: u16 = 100;

pub fn block<'a>(app: &App, width: u16) -> Vec<Line<'a>> {
    let wide = width >= WIDE;
    let clock = if app.service_time { "service" } else { "response" };
    let name = name_columns(wide);
    let title = format!(" {:<8} {:<name$} {:>6}{:>7}", "scenario", "step", "n", "failed");
    let rest = format!("{:>9}{:>9}{:>9}", "P50", "P95", "P99");
    let more = if wide {
        format!("{:>9}{:>8}  errors   {clock} time (c)", "max", "req/s")
    } else {
        format!("  {clock}")
    };
    let mut text = vec![Line::styled(format!("{title}{rest}{more}"), app.theme.title)];
    text.extend(app.load().series.iter().map(|series| step(series, wide, app)));
    text
}

/// Columns of a step's name: those of the built-in workloads fit where there is room.
const fn name_columns(wide: bool) -> usize {
    if wide { 22 } else { 18 }
}

fn step<'a>(series: &SeriesView, wide: bool, app: &App) -> Line<'a> {
    let figures = if app.service_time { &series.service_time } else { &series.response };
    let strange = figures.failed > 0 || figures.cut_off > 0;
    let style = if strange { app.theme.warning } else { app.theme.text };
    let mut row = format!(
        " {} {} {:>6}{:>7}{:>9}{:>9}{:>9}",
        fitted(&series.key.scenario, 8, app),
        fitted(&series.key.step, name_columns(wide), app),
        count(figures.n),
        count(figures.failed),
        latency(figures.p50),
        latency(figures.p95),
        latency(figures.p99),
    );
    if wide {
        let rate = figures.rate.unwrap_or_default();
        row += &format!("{:>9}{rate:>8.1}  {}", latency(figures.max), errors(figures));
    } else if figures.cut_off > 0 {
        row += &format!("{:>6} cut", count(figures.cut_off));
    }
    Line::styled(row, style)
}

/// Failed requests by kind, and those that were cut off.
pub fn errors(figures: &Figures) -> String {
    let kinds = figures.errors.iter().map(|(kind, n)| format!("{kind} {n}"));
    let cut_off = (figures.cut_off > 0).then(|| format!("cut off {}", figures.cut_off));
    kinds.chain(cut_off).collect::<Vec<_>>().join(", ")
}
