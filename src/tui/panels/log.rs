//! The run's log with the time at which each line was written, and the dashboard's own diagnostics.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use tui_logger::TuiLoggerWidget;

use super::lines;
use crate::run::event::LogLevel;
use crate::run::state::LogLine;
use crate::tui::app::App;
use crate::tui::format::clock;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let own_rows = if area.height >= 16 { 5 } else { 0 };
    let [run, own] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(own_rows)]).areas(area);
    let filter = if app.warnings_only { "warnings and errors" } else { "everything" };
    let title = format!(" run log: {filter} (l switches)");
    let mut text = vec![Line::styled(title, app.theme.title)];
    let room = usize::from(run.height.saturating_sub(1));
    let recent = recent(app, room, app.warnings_only);
    if recent.is_empty() {
        text.push(Line::styled("   nothing yet: what the run does comes here", app.theme.dim));
    }
    text.extend(recent);
    lines(frame, run, app, text);
    if own_rows > 0 {
        let [title, rest] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(own);
        frame.render_widget(Line::styled(" this dashboard", app.theme.title), title);
        let widget =
            TuiLoggerWidget::default().style(app.theme.dim).output_file(false).output_line(false);
        frame.render_widget(widget, rest);
    }
}

/// The last lines that pass the filter, oldest first.
pub fn recent<'a>(app: &App, room: usize, warnings_only: bool) -> Vec<Line<'a>> {
    let log = &app.shown().log;
    let passes = |line: &&LogLine| !warnings_only || line.level <= LogLevel::Warn;
    let mut recent: Vec<Line<'a>> =
        log.iter().rev().filter(passes).take(room).map(|line| row(line, app)).collect();
    recent.reverse();
    recent
}

fn row<'a>(line: &LogLine, app: &App) -> Line<'a> {
    let (word, style) = match line.level {
        LogLevel::Error => ("error", app.theme.bad),
        LogLevel::Warn => ("warn ", app.theme.warning),
        LogLevel::Info => ("info ", app.theme.text),
        LogLevel::Debug => ("debug", app.theme.dim),
    };
    let at = clock(Duration::from_micros(line.at_us));
    Line::from(vec![
        Span::styled(format!(" {at} "), app.theme.dim),
        Span::styled(format!("{word} "), style),
        Span::styled(
            format!("{:<9}", line.phase.map_or("run", |phase| phase.name())),
            app.theme.dim,
        ),
        Span::styled(app.glyphs.text(&line.message), app.theme.text),
    ])
}
