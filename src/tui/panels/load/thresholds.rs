//! The thresholds, as they stand now.

use ratatui::text::{Line, Span};

use crate::run::event::ThresholdRow;
use crate::run::state::{Judged, LoadState, Standing};
use crate::tui::app::App;
use crate::tui::format::count;

/// Most rows; those that are broken come first.
const ROWS: usize = 6;

pub fn block<'a>(load: &LoadState, standing: &Standing, app: &App) -> Vec<Line<'a>> {
    if load.thresholds.is_empty() {
        return Vec::new();
    }
    let mut rows = load.judged(standing);
    rows.sort_by_key(|(_, judged)| !is_broken(judged));
    let broken = rows.iter().filter(|(_, judged)| is_broken(judged)).count();
    let title = format!(" thresholds: {} of {} broken", broken, rows.len());
    let mut text = vec![Line::styled(title, app.theme.title)];
    // Why all of them are invalid stands above them already.
    let said = match standing {
        Standing::Invalid(why) => why,
        _ => "",
    };
    text.extend(rows.iter().take(ROWS).map(|(row, judged)| line(row, judged, said, app)));
    if rows.len() > ROWS {
        let more = format!("   {} more: all of them stand in the report", rows.len() - ROWS);
        text.push(Line::styled(more, app.theme.dim));
    }
    text
}

const fn is_broken(judged: &Judged) -> bool {
    matches!(judged, Judged::Broken | Judged::OfStep { holds: false })
}

fn line<'a>(row: &ThresholdRow, judged: &Judged, said: &str, app: &App) -> Line<'a> {
    let (word, style) = match judged {
        Judged::Holds | Judged::OfStep { holds: true } => ("holds ", app.theme.ok),
        Judged::Broken | Judged::OfStep { holds: false } => ("BROKEN", app.theme.bad),
        Judged::Open(_) => ("open  ", app.theme.dim),
        Judged::Skipped(_) => ("skipped", app.theme.dim),
        Judged::Invalid(_) => ("invalid", app.theme.warning),
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
    let why = judged.reason();
    if !matches!(judged, Judged::OfStep { .. }) && !why.is_empty() && why != said {
        rest += &format!(": {why}");
    }
    Line::from(vec![
        Span::styled(format!(" {word}"), style),
        Span::styled(app.glyphs.text(&rest), app.theme.text),
    ])
}
