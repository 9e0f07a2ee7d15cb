//! The verdict of a run that is over, and what decided it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{lines, wrapped};
use crate::tui::app::App;

/// Rows for the reasons on the smallest screen; a larger one has more.
const REASON_ROWS: usize = 6;

/// Rows that the panel needs in an area; none while there is no verdict.
pub fn height(app: &App, area: Rect) -> u16 {
    if app.shown().verdict.is_none() {
        return 0;
    }
    reasons(app, area.width, rows_in(area)).0.len() as u16 + 2
}

/// Rows for the reasons: the rest of the overview needs its own.
fn rows_in(area: Rect) -> usize {
    REASON_ROWS.max(usize::from(area.height) * 2 / 5)
}

/// Draws it in the height that it has asked for.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let Some(verdict) = &app.shown().verdict else { return };
    let style = app.theme.verdict(verdict.verdict);
    let (reasons, left_out) = reasons(app, area.width, usize::from(area.height.saturating_sub(2)));
    let more = match left_out {
        0 => String::new(),
        n => format!("; more reasons in the report: {n}"),
    };
    let mut text = vec![Line::from(vec![
        Span::styled(" verdict  ", app.theme.title),
        Span::styled(verdict.to_string(), style),
        Span::styled(format!("   (q leaves{more})"), app.theme.dim),
    ])];
    text.extend(reasons.into_iter().map(|row| Line::styled(row, app.theme.text)));
    let report = app.glyphs.text(&app.report);
    text.push(Line::styled(format!("   report: {report}"), app.theme.dim));
    lines(frame, area, app, text);
}

/// Every reason in a row, and in as many as it needs where there are rows left; and how many reasons are
/// left to the report.
fn reasons(app: &App, width: u16, room: usize) -> (Vec<String>, usize) {
    let Some(verdict) = &app.shown().verdict else { return Default::default() };
    let told = verdict.reasons.len().min(room);
    let mut spare = room - told;
    let mut rows = Vec::new();
    for reason in &verdict.reasons[..told] {
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
    (rows, verdict.reasons.len() - told)
}
