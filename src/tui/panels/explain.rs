//! What the numbers mean: formula, n, method.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use crate::run::state::RECENT_INTERVALS;
use crate::tui::app::App;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let mut text = vec![Line::styled(" what the numbers mean (e or Esc closes)", app.theme.title)];
    for objective in &app.shown().objectives {
        text.push(Line::styled(
            format!(
                " {}: {} of {}, {}",
                objective.id, objective.measured, objective.objective, objective.verdict
            ),
            app.theme.accent,
        ));
        text.push(Line::raw(format!("   {} (n {})", objective.method, objective.n)));
        for more in [&objective.bound, &objective.reason] {
            if !more.is_empty() {
                text.push(Line::raw(format!("   {more}")));
            }
        }
    }
    let n = app.load().all_now.n;
    let notes = [
        format!("now: the last {RECENT_INTERVALS} intervals of one second, here {n} requests"),
        "P50, P95, P99: HdrHistogram quantiles, three significant digits, over all finished requests, failed ones too".into(),
        "response time: from the intended start (end of the last request plus think time, pauses left out) to the end".into(),
        "service time: from the moment at which work on the request began (connecting included) to the end".into(),
        "late: from the intended start to the actual one; it is the generator's fault, never the target's".into(),
        "failed: connect, TLS, timeout, status 4xx or 5xx, wrong content (check), broken protocol".into(),
    ];
    text.extend(notes.into_iter().map(|note| Line::raw(format!(" {note}"))));
    let text: Vec<Line<'_>> = text
        .into_iter()
        .map(|line| {
            let style = line.style;
            Line::styled(app.glyphs.text(&line.to_string()), style)
        })
        .collect();
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), area);
}
