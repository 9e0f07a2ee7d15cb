//! The verdict of a run that is over, and what decided it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{lines, wrapped};
use crate::tui::app::App;

/// Rows for the reasons at most.
const REASON_ROWS: usize = 6;

/// Rows that the panel needs in so many columns; none while there is no verdict.
pub fn height(app: &App, width: u16) -> u16 {
    if app.shown().verdict.is_none() {
        return 0;
    }
    reasons(app, width).len() as u16 + 2
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
    text.extend(reasons(app, area.width).into_iter().map(|row| Line::styled(row, app.theme.text)));
    let report = app.glyphs.text(&app.report);
    text.push(Line::styled(format!("   report: {report}"), app.theme.dim));
    lines(frame, area, app, text);
}

/// Every reason in a row, and in as many as it needs where there are rows left; the report has the rest.
fn reasons(app: &App, width: u16) -> Vec<String> {
    let Some(verdict) = &app.shown().verdict else { return Vec::new() };
    let reasons = verdict.reasons.iter().take(REASON_ROWS);
    let mut spare = REASON_ROWS - reasons.len();
    let mut rows = Vec::new();
    for reason in reasons {
        let whole = app.glyphs.text(reason);
        let parts = wrapped(&whole, usize::from(width).saturating_sub(5));
        if parts.len() > spare + 1 {
            rows.push(format!("   {whole}"));
            continue;
        }
        spare -= parts.len() - 1;
        let indent = |at: usize| if at == 0 { "   " } else { "     " };
        rows.extend(parts.iter().enumerate().map(|(at, part)| format!("{}{part}", indent(at))));
    }
    rows
}
