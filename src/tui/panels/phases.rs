//! One line: every phase with its glyph and how far it is.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::run::event::Verdict;
use crate::run::state::{PhaseState, PhaseStatus};
use crate::tui::app::App;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let phases = &app.shown().phases;
    if phases.is_empty() {
        return;
    }
    let share = (usize::from(area.width) / phases.len()).max(4);
    let mut spans = vec![Span::raw(" ")];
    for phase in phases {
        spans.extend(cell(phase, share, app));
    }
    frame.render_widget(Line::from(spans), area);
}

fn cell<'a>(phase: &PhaseState, width: usize, app: &App) -> Vec<Span<'a>> {
    let verdict = phase.outcome.as_ref().map(|outcome| outcome.verdict);
    let left_out = phase.status == PhaseStatus::Pending && phase.skip_requested;
    let glyph = if left_out {
        app.glyphs.phase(PhaseStatus::Finished, Some(Verdict::Skipped))
    } else {
        app.glyphs.phase(phase.status, verdict)
    };
    let style = match (phase.status, verdict) {
        (_, Some(verdict)) => app.theme.verdict(verdict),
        (PhaseStatus::Running, None) => app.theme.accent,
        (_, None) => app.theme.dim,
    };
    let name = phase.kind.name();
    let room = width.saturating_sub(name.len() + 5);
    let mut spans = vec![Span::styled(format!("{glyph} {name} "), style)];
    if phase.status == PhaseStatus::Running {
        let done = phase.elapsed_us(app.now_us()) as f64 / phase.planned_us.max(1) as f64;
        let filled = ((done.min(1.0) * room as f64) as usize).min(room);
        spans.push(Span::styled(app.glyphs.done().repeat(filled), app.theme.bar));
        spans.push(Span::styled(app.glyphs.to_do().repeat(room - filled), app.theme.dim));
        spans.push(Span::raw("  "));
    } else {
        spans.push(Span::raw("  "));
    }
    spans
}
