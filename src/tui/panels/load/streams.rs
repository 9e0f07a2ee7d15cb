//! Streamed answers over the whole phase.

use std::time::Duration;

use ratatui::text::Line;

use crate::run::event::Measurements;
use crate::run::histogram::Histogram;
use crate::tui::app::App;
use crate::tui::format::{count, latency};
use crate::tui::panels::flowed;

pub fn block<'a>(app: &App, width: u16) -> Vec<Line<'a>> {
    let Some(load) = app.load_phase().and_then(|phase| phase.load.as_ref()) else {
        return Vec::new();
    };
    let mut text = Vec::new();
    for service in load.services() {
        let totals = load.totals(Some(service));
        if !totals.measured.streams.is_empty() {
            let seconds = Duration::from_micros(totals.length_us);
            text.extend(rows(service.name(), &totals.measured, seconds, width, app));
        }
    }
    text
}

fn rows<'a>(
    name: &str,
    of: &Measurements,
    length: Duration,
    width: u16,
    app: &App,
) -> Vec<Line<'a>> {
    let quantiles = |histogram: &Option<Histogram>| {
        let at = |q| latency(histogram.as_ref().and_then(|histogram| histogram.quantile(q)));
        format!("P50 {} P95 {} P99 {}", at(0.5), at(0.95), at(0.99))
    };
    let per_second = of.tokens as f64 / length.as_secs_f64().max(1e-3);
    let median = of.time_per_token.as_ref().and_then(|time| time.quantile(0.5));
    let estimated = if of.streams.without_usage > 0 { " (events; no usage sent)" } else { "" };
    let pieces = [
        format!("streams {}", count(of.streams.streams)),
        format!("first token {}", quantiles(&of.first_token)),
        format!("per token P50 {}", latency(median)),
        format!("gaps {}", quantiles(&of.token_gap)),
        format!("{per_second:.1} tokens/s{estimated}"),
        format!("{} events, {} together", count(of.streams.chunks), count(of.streams.coalesced)),
    ];
    let rows = flowed(&pieces, usize::from(width).saturating_sub(6)).into_iter().enumerate();
    rows.map(|(at, row)| {
        let name = if at == 0 { name } else { "" };
        Line::styled(format!(" {name:<5}{row}"), app.theme.text)
    })
    .collect()
}
