//! The verdict of a run that is over, and what decided it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::lines;
use crate::tui::app::App;

/// Rows that the panel needs; none while there is no verdict.
pub fn height(app: &App) -> u16 {
    let verdict = app.shown().verdict.as_ref();
    verdict.map_or(0, |verdict| verdict.reasons.len().min(6) as u16 + 2)
}

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let Some(verdict) = &app.shown().verdict else { return };
    let style = app.theme.verdict(verdict.verdict);
    let mut text = vec![Line::from(vec![
        Span::styled(" verdict  ", app.theme.title),
        Span::styled(verdict.to_string(), style),
        Span::styled("   (q leaves)", app.theme.dim),
    ])];
    for reason in verdict.reasons.iter().take(6) {
        text.push(Line::styled(format!("   {}", app.glyphs.text(reason)), app.theme.text));
    }
    let report = app.glyphs.text(&app.report);
    text.push(Line::styled(format!("   report: {report}"), app.theme.dim));
    lines(frame, area, app, text);
}
