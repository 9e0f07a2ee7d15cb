//! The thresholds, as they stand now.

use ratatui::text::{Line, Span};

use crate::run::event::ThresholdRow;
use crate::tui::app::App;
use crate::tui::format::count;

/// Most rows; those that are broken come first.
const ROWS: usize = 6;

pub fn block<'a>(app: &App) -> Vec<Line<'a>> {
    let Some(load) = app.load_phase().and_then(|phase| phase.load.as_ref()) else {
        return Vec::new();
    };
    if load.thresholds.is_empty() {
        return Vec::new();
    }
    let mut rows: Vec<&ThresholdRow> = load.thresholds.iter().collect();
    rows.sort_by_key(|row| row.holds != Some(false));
    let broken = rows.iter().filter(|row| row.holds == Some(false)).count();
    let title = format!(" thresholds: {} of {} broken", broken, rows.len());
    let mut text = vec![Line::styled(title, app.theme.title)];
    text.extend(rows.iter().take(ROWS).map(|row| line(row, app)));
    if rows.len() > ROWS {
        let more = format!("   {} more: all of them stand in the report", rows.len() - ROWS);
        text.push(Line::styled(more, app.theme.dim));
    }
    text
}

fn line<'a>(row: &ThresholdRow, app: &App) -> Line<'a> {
    let (word, style) = match (row.holds, row.skipped) {
        (Some(true), _) => ("holds ", app.theme.ok),
        (Some(false), _) => ("BROKEN", app.theme.bad),
        (None, true) => ("skipped", app.theme.dim),
        (None, false) => ("open  ", app.theme.dim),
    };
    let mut rest =
        format!(" {}: {}   now {} (n {})", row.metric, row.expression, row.value, count(row.n));
    if row.broken_us > 0 {
        rest += &format!(
            ", broken for {} s, worst {}",
            row.broken_us / 1_000_000,
            row.worst.as_deref().unwrap_or("-")
        );
    }
    if row.aborts {
        rest += ", stops the load";
    }
    if !row.why_open.is_empty() {
        rest += &format!(": {}", row.why_open);
    }
    Line::from(vec![
        Span::styled(format!(" {word}"), style),
        Span::styled(app.glyphs.text(&rest), app.theme.text),
    ])
}
