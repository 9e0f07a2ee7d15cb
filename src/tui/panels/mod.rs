//! What is drawn: one file a panel, free functions over the app.
//!
//! ```text
//! header      what, how long, state
//! rule
//! phases      a bar per phase
//! attention   what needs the operator, never scrolled away
//! body        overview | load | chaos | security | SLO | log | help
//! footer      keys, or a question
//! ```

mod attention;
mod chaos;
mod explain;
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
mod slo;
mod verdict;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Clear, Paragraph};

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
        Constraint::Length(1),
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

/// Draws lines from the top; what does not fit is cut.
fn lines(frame: &mut Frame<'_>, area: Rect, app: &App, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(lines).style(app.theme.text), area);
}

/// The first rows of an area, and the rest.
fn split_top(area: Rect, rows: u16) -> (Rect, Rect) {
    let [top, rest] =
        Layout::vertical([Constraint::Length(rows.min(area.height)), Constraint::Min(0)])
            .areas(area);
    (top, rest)
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
