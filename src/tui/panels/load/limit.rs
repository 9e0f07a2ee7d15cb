//! The search for the largest sustained rate: what is known, and the last steps.

use std::time::Duration;

use ratatui::text::Line;

use crate::tui::app::App;
use crate::tui::format::{count, latency};

/// Steps that are shown.
const ROWS: usize = 6;

pub fn block<'a>(app: &App) -> Vec<Line<'a>> {
    let load = app.load_phase().and_then(|phase| phase.load.as_ref());
    let Some(limit) = load.and_then(|load| load.limit.as_ref()) else { return Vec::new() };
    let now =
        if limit.complete { String::new() } else { format!("; trying {:.1} flows/s", limit.rate) };
    let title = format!(" limit: {}{now}", limit.words());
    let mut text = vec![Line::styled(title, app.theme.title)];
    let skipped = limit.steps.len().saturating_sub(ROWS);
    for step in &limit.steps[skipped..] {
        let (word, style) = match &step.why_not {
            None => ("borne", app.theme.ok),
            Some(_) => ("not borne", app.theme.bad),
        };
        let row = format!(
            " {:>8.1}/s {:<5} {:>7.1} req/s  n {:>6}  P99 {:<8} failed {:<5} {word} {}",
            step.rate,
            step.aim.word(),
            step.requests_per_second,
            count(step.n),
            latency((step.n > 0).then(|| Duration::from_micros(step.p99_us))),
            count(step.failed),
            step.why_not.as_deref().unwrap_or("")
        );
        text.push(Line::styled(app.glyphs.text(&row), style));
    }
    text
}
