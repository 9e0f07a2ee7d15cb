//! The objectives: what is asked, what was measured, and whether it holds.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{fits, fitted, lines};
use crate::run::event::{Objective, Verdict};
use crate::tui::app::App;
use crate::tui::format::count;

/// Rows that the panel needs, in a room of so many columns and rows. A reason that does not fit beside
/// its verdict stands below it, where there is room for all of them.
pub fn height(app: &App, room: Rect) -> u16 {
    1 + text(app, room).len().max(1) as u16
}

/// What decides: the gates that were asked for, and whatever fails. The panel of its own has the rest.
fn shown(app: &App) -> impl Iterator<Item = &Objective> {
    let decides =
        |o: &&Objective| o.verdict == Verdict::Fail || (o.gate && o.verdict != Verdict::Skipped);
    app.shown().objectives.iter().filter(decides).take(6)
}

/// Draws them.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let title =
        format!(" {:<18}{:>10}{:>12}{:>9}   verdict", "objective", "asked", "measured", "n");
    let mut rows = vec![Line::styled(title, app.theme.title)];
    if app.shown().objectives.is_empty() {
        rows.push(Line::styled("   nothing measured yet: load fills this", app.theme.dim));
    }
    rows.extend(text(app, area));
    lines(frame, area, app, rows);
}

fn text<'a>(app: &'a App, room: Rect) -> Vec<Line<'a>> {
    let width = usize::from(room.width);
    let whole: Vec<Line<'a>> = shown(app).map(|objective| row(objective, app)).collect();
    let below = whole.iter().filter(|row| !fits(row, width)).count();
    let room_below = 1 + whole.len() + below <= usize::from(room.height);
    let split = |mut row: Line<'a>| {
        if fits(&row, width) {
            return [Some(row), None];
        }
        let reason = row.spans.pop().unwrap_or_default();
        if room_below {
            return [Some(row), Some(Line::from(vec![Span::raw("   "), reason]))];
        }
        row.push_span(Span::styled("e explains", reason.style));
        [Some(row), None]
    };
    whole.into_iter().flat_map(split).flatten().collect()
}

/// Figures, verdict and, last, the reason of an objective.
fn row<'a>(objective: &'a Objective, app: &'a App) -> Line<'a> {
    let figures = format!(
        " {}{:>10}{:>12}{:>9}   ",
        fitted(&objective.id, 18, app),
        app.glyphs.text(&objective.objective),
        objective.measured,
        count(objective.n)
    );
    let verdict = format!("{:<13}", objective.verdict);
    Line::from(vec![
        Span::styled(figures, app.theme.text),
        Span::styled(verdict, app.theme.verdict(objective.verdict)),
        Span::styled(app.glyphs.text(&objective.reason), app.theme.dim),
    ])
}
