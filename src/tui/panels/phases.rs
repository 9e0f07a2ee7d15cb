//! One line: every phase with its glyph and how far it is.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::run::state::{PhaseState, PhaseStatus};
use crate::tui::app::App;

/// Longest bar: the eye measures a longer one no better.
const LONGEST_BAR: usize = 40;

/// Draws it: the names first, and what they leave of the line is the bar of the phase at work.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let phases = &app.shown().phases;
    let width = usize::from(area.width);
    // Glyph, space, name, space.
    let names: usize = phases.iter().map(|phase| phase.kind.name().len() + 3).sum::<usize>() + 1;
    let gap = if names + 2 * phases.len() <= width { 2 } else { 0 };
    let bar = width.saturating_sub(names + gap * phases.len()).min(LONGEST_BAR);
    let mut spans = vec![Span::raw(" ")];
    for phase in phases {
        spans.extend(cell(phase, bar, app));
        spans.push(Span::raw(" ".repeat(gap)));
    }
    frame.render_widget(Line::from(spans), area);
}

fn cell<'a>(phase: &PhaseState, bar: usize, app: &App) -> Vec<Span<'a>> {
    let verdict = phase.outcome.as_ref().map(|outcome| outcome.verdict);
    let glyph = app.glyphs.of(phase);
    let style = match (phase.status, verdict) {
        (_, Some(verdict)) => app.theme.verdict(verdict),
        (PhaseStatus::Running, None) => app.theme.accent,
        (_, None) => app.theme.dim,
    };
    let mut spans = vec![Span::styled(format!("{glyph} {} ", phase.kind), style)];
    if phase.status == PhaseStatus::Running {
        let done = phase.elapsed_us(app.now_us()) as f64 / phase.planned_us.max(1) as f64;
        let filled = ((done.min(1.0) * bar as f64) as usize).min(bar);
        spans.push(Span::styled(app.glyphs.done().repeat(filled), app.theme.bar));
        spans.push(Span::styled(app.glyphs.to_do().repeat(bar - filled), app.theme.dim));
    }
    spans
}
