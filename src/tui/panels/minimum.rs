//! What is left on a very small terminal: state, verdict, the keys or a question.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::attention::fault;
use super::header::standing;
use super::{footer, lines, split_top};
use crate::tui::app::App;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let (word, style) = standing(app);
    let state = app.shown();
    let mut text = vec![Line::styled(format!("shakedown: {word}"), style)];
    if let Some(fault) = fault(app) {
        text.push(Line::styled(format!("! {fault}"), app.theme.bad));
    }
    if let Some(verdict) = &state.verdict {
        text.push(Line::styled(verdict.to_string(), app.theme.verdict(verdict.verdict)));
    } else if let Some(phase) = state.running_phase() {
        let now = &app.load().all_now;
        let seen = match phase.load {
            Some(_) => format!(", last 10 s: n {} failed {}", now.n, now.failed),
            None => String::new(),
        };
        text.push(Line::raw(format!("{}{seen}", phase.kind)));
    }
    let (top, rest) = split_top(area, text.len() as u16);
    lines(frame, top, app, text);
    footer::render_minimum(frame, rest, app);
}
