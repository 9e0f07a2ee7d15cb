//! What is drawn: one file a panel, free functions over the app.
//!
//! ```text
//! header      what, how long, state
//! rule
//! phases      a bar per phase
//! attention   what needs the operator, never scrolled away
//! body        overview | load | chaos | security | backup | SLO | log | help
//! footer      keys, or a question
//! ```

mod attention;
mod backup;
mod chaos;
mod explain;
mod explain_load;
mod explain_objective;
mod footer;
mod header;
mod help;
mod history;
mod latency;
mod load;
mod log;
mod minimum;
mod objectives;
mod overview;
mod phases;
mod plan;
mod security;
mod security_detail;
mod slo;
mod verdict;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::app::{App, Panel};

/// Below this only the minimum is drawn.
const SMALLEST: (u16, u16) = (60, 14);

/// Draws a frame.
pub fn render(frame: &mut Frame<'_>, app: &App) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return minimum::render(frame, area, app);
    }
    let [head, line, bars, needs, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(attention::height(app)),
        Constraint::Min(0),
        Constraint::Length(footer::height(app, area.width)),
    ])
    .areas(area);
    header::render(frame, head, app);
    rule(frame, line, app);
    phases::render(frame, bars, app);
    attention::render(frame, needs, app);
    match app.panel {
        Panel::Overview => overview::render(frame, body, app),
        Panel::Load => load::render(frame, body, app),
        Panel::Chaos => chaos::render(frame, body, app),
        Panel::Security => security::render(frame, body, app),
        Panel::Backup => backup::render(frame, body, app),
        Panel::Slo => slo::render(frame, body, app),
        Panel::Log => log::render(frame, body, app),
        Panel::Help => help::render(frame, body, app),
    }
    if app.explain {
        frame.render_widget(Clear, body);
        explain::render(frame, body, app);
    }
    footer::render(frame, foot, app);
}

fn rule(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let line = app.glyphs.rule().repeat(usize::from(area.width));
    frame.render_widget(Line::styled(line, app.theme.rule), area);
}

/// Draws lines from the top; where something does not fit, a mark says so.
fn lines(frame: &mut Frame<'_>, area: Rect, app: &App, lines: Vec<Line<'_>>) {
    let width = usize::from(area.width);
    let lines: Vec<Line<'_>> =
        lines.into_iter().map(|line| cut(line, width, app.glyphs.more())).collect();
    frame.render_widget(Paragraph::new(lines).style(app.theme.text), area);
}

fn cut<'a>(line: Line<'a>, width: usize, mark: &'static str) -> Line<'a> {
    if line.width() <= width {
        return line;
    }
    let mut room = width.saturating_sub(1);
    let mut kept = Vec::new();
    for span in line.spans {
        let columns = span.width();
        if columns > room {
            kept.push(Span::styled(fixed(&span.content, room), span.style));
            break;
        }
        room -= columns;
        kept.push(span);
    }
    kept.push(Span::raw(mark));
    Line { spans: kept, ..Line::default().style(line.style) }
}

/// A text in rows of at most so many columns, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split(' ') {
        let row = rows.last().map_or(0, |row| row.width());
        if row > 0 && row + 1 + word.width() > width {
            rows.push(String::new());
        }
        if let Some(row) = rows.last_mut() {
            row.push_str(if row.is_empty() { "" } else { " " });
            row.push_str(word);
        }
    }
    rows
}

/// Figures in rows of at most so many columns, none of them broken.
fn flowed(figures: &[String], width: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for figure in figures {
        match rows.last_mut() {
            Some(row) if row.width() + 3 + figure.width() <= width => {
                row.push_str("   ");
                row.push_str(figure);
            }
            _ => rows.push(figure.clone()),
        }
    }
    rows
}

/// One page of rows that do not fit an area; the last row says which, and how it is turned.
fn page<'a>(rows: Vec<Line<'a>>, page: usize, area: Rect, turn: &str, app: &App) -> Vec<Line<'a>> {
    if rows.len() <= usize::from(area.height) {
        return rows;
    }
    let room = usize::from(area.height.saturating_sub(1)).max(1);
    let pages = rows.len().div_ceil(room);
    let page = page % pages;
    let shown = rows.into_iter().skip(page * room).take(room).collect();
    numbered(shown, (page, pages), room, turn, app)
}

/// A page, this one of so many, with its number in a row of its own below so much room.
fn numbered<'a>(
    mut shown: Vec<Line<'a>>,
    (page, pages): (usize, usize),
    room: usize,
    turn: &str,
    app: &App,
) -> Vec<Line<'a>> {
    shown.resize_with(room, Line::default);
    let which = format!(" page {} of {pages}: {turn}", page + 1);
    shown.push(Line::styled(which, app.theme.dim));
    shown
}

/// The first rows of an area, and the rest.
fn split_top(area: Rect, rows: u16) -> (Rect, Rect) {
    let [top, rest] =
        Layout::vertical([Constraint::Length(rows.min(area.height)), Constraint::Min(0)])
            .areas(area);
    (top, rest)
}

/// A text in a column of a table: cut with a mark, or padded.
fn fitted(text: &str, width: usize, app: &App) -> String {
    if text.width() <= width || width == 0 {
        return fixed(text, width);
    }
    fixed(text, width - 1) + app.glyphs.more()
}

/// A text cut or padded to a width, in columns.
fn fixed(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(width);
    let mut used = 0;
    for c in text.chars() {
        let columns = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used + columns > width {
            break;
        }
        used += columns;
        out.push(c);
    }
    out.extend(std::iter::repeat_n(' ', width - used));
    out
}
