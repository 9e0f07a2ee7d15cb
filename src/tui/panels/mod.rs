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
    let needed = attention::rows(app, area.width);
    let [head, line, bars, needs, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(needed.len() as u16),
        Constraint::Min(0),
        Constraint::Length(footer::height(app, area.width)),
    ])
    .areas(area);
    header::render(frame, head, app);
    rule(frame, line, app);
    phases::render(frame, bars, app);
    lines(frame, needs, app, needed);
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

/// Whether a line fits; what pads a column is nothing that is missing.
fn fits(line: &Line<'_>, width: usize) -> bool {
    line.width() <= width || line.to_string().trim_end().width() <= width
}

fn cut<'a>(line: Line<'a>, width: usize, mark: &'static str) -> Line<'a> {
    if fits(&line, width) {
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

/// A line in rows of at most so many columns, broken between words; what goes on begins in column
/// `indent`.
fn folded(line: Line<'_>, width: usize, indent: usize) -> Vec<Line<'_>> {
    if line.width() <= width {
        return vec![line];
    }
    let mut rows = vec![Line::default().style(line.style)];
    let (mut used, mut gap, mut begun) = (0, 0, false);
    for span in line.spans {
        for piece in span.content.split_inclusive(' ') {
            let word = piece.trim_end_matches(' ');
            if !word.is_empty() {
                if begun && used + gap + word.width() > width {
                    rows.push(Line::default().style(line.style));
                    (used, gap) = (0, indent);
                }
                if let Some(row) = rows.last_mut() {
                    row.push_span(Span::raw(" ".repeat(gap)));
                    row.push_span(Span::styled(word.to_owned(), span.style));
                }
                used += gap + word.width();
                (gap, begun) = (0, true);
            }
            gap += piece.len() - word.len();
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

/// Rows of a page in an area; the last one says which page it is.
fn page_rows(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(1)).max(1)
}

/// Pages that so many rows take.
fn pages(rows: usize, area: Rect) -> usize {
    rows.div_ceil(page_rows(area))
}

/// One page of rows that do not fit an area; the last row says which, and how it is turned.
fn page<'a>(rows: Vec<Line<'a>>, page: usize, area: Rect, turn: &str, app: &App) -> Vec<Line<'a>> {
    if rows.len() <= usize::from(area.height) {
        return rows;
    }
    let (room, pages) = (page_rows(area), pages(rows.len(), area));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stands_for_words_and_not_for_blanks() {
        let row = Line::from(vec![Span::raw(" p95  "), Span::raw("pass      ")]);
        assert_eq!(cut(row.clone(), 12, "~"), row);
        assert_eq!(cut(row, 9, "~").to_string(), " p95  pa~");
    }

    #[test]
    fn a_line_goes_on_where_it_is_told_to_and_keeps_its_styles() {
        let bold = ratatui::style::Style::new().bold();
        let line =
            Line::from(vec![Span::raw("   Redis     it is "), Span::styled("a server", bold)]);
        let rows = folded(line.clone(), 20, 13);
        let texts: Vec<String> = rows.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["   Redis     it is a", "             server"]);
        assert_eq!(rows[1].spans.last().map(|span| span.style), Some(bold));
        assert_eq!(folded(line.clone(), 30, 13), [line]);
        // A word that is longer than a row stands alone, for a mark to cut it.
        let rows = folded(Line::raw("a wordthatislong b"), 6, 2);
        let texts: Vec<String> = rows.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["a", "  wordthatislong", "  b"]);
    }
}
