//! The objectives: what is asked, what was measured, and whether it holds.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::lines;
use crate::tui::app::App;
use crate::tui::format::count;

/// Rows that the panel needs.
pub fn height(app: &App) -> u16 {
    1 + app.shown().objectives.len().max(1) as u16
}

/// Draws them.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let title =
        format!(" {:<14}{:>12}{:>14}{:>9}   verdict", "objective", "asked", "measured", "n");
    let mut text = vec![Line::styled(title, app.theme.title)];
    let objectives = &app.shown().objectives;
    if objectives.is_empty() {
        text.push(Line::styled("   nothing measured yet: load fills this", app.theme.dim));
    }
    for objective in objectives {
        let figures = format!(
            " {:<14}{:>12}{:>14}{:>9}   ",
            objective.id,
            app.glyphs.text(&objective.objective),
            objective.measured,
            count(objective.n)
        );
        text.push(Line::from(vec![
            Span::styled(figures, app.theme.text),
            Span::styled(objective.verdict.word(), app.theme.verdict(objective.verdict)),
        ]));
    }
    lines(frame, area, app, text);
}
