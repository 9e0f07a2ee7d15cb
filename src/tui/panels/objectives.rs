//! The objectives: what is asked, what was measured, and whether it holds.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{fixed, lines};
use crate::run::event::{Objective, Verdict};
use crate::tui::app::App;
use crate::tui::format::count;

/// Columns of a row before its reason.
const FIGURES: usize = 66;

/// Rows that the panel needs.
pub fn height(app: &App) -> u16 {
    1 + shown(app).count().max(1) as u16
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
        format!(" {:<14}{:>12}{:>14}{:>9}   verdict", "objective", "asked", "measured", "n");
    let mut text = vec![Line::styled(title, app.theme.title)];
    if app.shown().objectives.is_empty() {
        text.push(Line::styled("   nothing measured yet: load fills this", app.theme.dim));
    }
    for objective in shown(app) {
        let reason = app.glyphs.text(&objective.reason);
        let fits = FIGURES + reason.width() <= usize::from(area.width);
        let figures = format!(
            " {}{:>12}{:>14}{:>9}   ",
            fixed(&objective.id, 14),
            app.glyphs.text(&objective.objective),
            objective.measured,
            count(objective.n)
        );
        text.push(Line::from(vec![
            Span::styled(figures, app.theme.text),
            Span::styled(
                format!("{:<13}", objective.verdict),
                app.theme.verdict(objective.verdict),
            ),
            Span::styled(if fits { reason } else { "e explains".into() }, app.theme.dim),
        ]));
    }
    lines(frame, area, app, text);
}
