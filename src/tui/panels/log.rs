//! The run's log with the time at which each line was written, and the dashboard's own diagnostics.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use tui_logger::TuiLoggerWidget;

use super::{lines, wrapped};
use crate::run::event::LogLevel;
use crate::run::state::LogLine;
use crate::tui::app::App;
use crate::tui::diagnostics;

/// Columns before the message: time, level and phase.
const BEFORE_MESSAGE: usize = 25;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let own_rows = if area.height >= 16 { 5 } else { 0 };
    let [run, own] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(own_rows)]).areas(area);
    let filter = if app.warnings_only { "warnings and errors" } else { "everything" };
    let room = usize::from(run.height.saturating_sub(1));
    let (rows, page) = paged_rows(app, usize::from(area.width), room);
    let title = format!(" run log: {filter} (l switches, 7 shows earlier lines){page}");
    let mut text = vec![Line::styled(title, app.theme.title)];
    if rows.is_empty() {
        let nothing = match app.warnings_only {
            true => "   none so far: l shows everything",
            false => "   nothing yet: what the run does comes here",
        };
        text.push(Line::styled(nothing, app.theme.dim));
    }
    text.extend(rows);
    lines(frame, run, app, text);
    if own_rows > 0 {
        let [title, rest] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(own);
        frame.render_widget(Line::styled(" this dashboard", app.theme.title), title);
        diagnostics::collect();
        let widget =
            TuiLoggerWidget::default().style(app.theme.dim).output_file(false).output_line(false);
        frame.render_widget(widget, rest);
    }
}

/// The last lines, oldest first, one row each.
pub fn recent<'a>(app: &App, room: usize) -> Vec<Line<'a>> {
    let lines = app.shown().log.iter().rev().take(room);
    let mut recent: Vec<Line<'a>> = lines.map(|line| row(line, app)).collect();
    recent.reverse();
    recent
}

/// The rows of the page that is asked for, counted back from the last one, and which page that is.
fn paged_rows<'a>(app: &App, width: usize, room: usize) -> (Vec<Line<'a>>, String) {
    if app.panel_page == 0 || room == 0 {
        return (wrapped_rows(app, width, room), String::new());
    }
    let mut rows = wrapped_rows(app, width, usize::MAX);
    let pages = rows.len().div_ceil(room).max(1);
    let page = app.panel_page % pages;
    rows.truncate(rows.len() - page * room);
    let rows = rows.split_off(rows.len().saturating_sub(room));
    (rows, format!(", page {} of {pages}", page + 1))
}

/// The last lines that pass the filter, oldest first, in as many rows as they need.
fn wrapped_rows<'a>(app: &App, width: usize, room: usize) -> Vec<Line<'a>> {
    let passes = |line: &&LogLine| !app.warnings_only || line.level <= LogLevel::Warn;
    let mut rows: VecDeque<Line<'a>> = VecDeque::new();
    for line in app.shown().log.iter().rev().filter(passes) {
        if rows.len() >= room {
            break;
        }
        let mut texts = wrapped(&line.message, width.saturating_sub(BEFORE_MESSAGE)).into_iter();
        let first = LogLine { message: texts.next().unwrap_or_default(), ..line.clone() };
        let more = texts.map(|text| {
            let text = app.glyphs.text(&text);
            Line::styled(format!("{:BEFORE_MESSAGE$}{text}", ""), app.theme.text)
        });
        let whole: Vec<Line<'a>> = std::iter::once(row(&first, app)).chain(more).collect();
        whole.into_iter().rev().for_each(|row| rows.push_front(row));
    }
    let too_many = rows.len().saturating_sub(room);
    rows.into_iter().skip(too_many).collect()
}

fn row<'a>(line: &LogLine, app: &App) -> Line<'a> {
    let (word, style) = match line.level {
        LogLevel::Error => ("error", app.theme.bad),
        LogLevel::Warn => ("warn ", app.theme.warning),
        LogLevel::Info => ("info ", app.theme.text),
        LogLevel::Debug => ("debug", app.theme.dim),
    };
    let at = line.wall.to_zoned(app.zone.clone()).strftime("%H:%M:%S").to_string();
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
