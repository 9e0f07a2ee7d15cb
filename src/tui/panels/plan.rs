//! The plan: every phase with its length, what became of it, and which one is selected.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::lines;
use crate::run::state::{PhaseState, PhaseStatus, RunStatus};
use crate::tui::app::App;
use crate::tui::format::clock;

/// What can be done with a plan that waits.
const KEYS: &str = "   (up/down select, o leaves out, J/K move, Enter starts)";

/// Rows that the panel needs.
pub fn height(app: &App) -> u16 {
    1 + app.shown().phases.len() as u16
}

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let phases = &app.shown().phases;
    // Before the plan is there nothing can be done with it.
    let waits = app.shown().status == RunStatus::Ready && !phases.is_empty();
    let keys = if waits { KEYS } else { "" };
    let mut text = vec![Line::styled(format!(" plan        length  {keys}"), app.theme.title)];
    let selected = app.selected_phase.min(phases.len().saturating_sub(1));
    text.extend(phases.iter().enumerate().map(|(at, phase)| row(phase, at == selected, app)));
    lines(frame, area, app, text);
}

fn row<'a>(phase: &PhaseState, selected: bool, app: &App) -> Line<'a> {
    let (what, style) = match (&phase.outcome, phase.status, phase.skip_requested) {
        (Some(outcome), ..) => {
            (format!("{}: {}", outcome.verdict, outcome.reason), app.theme.verdict(outcome.verdict))
        }
        (None, PhaseStatus::Running, _) => ("running".into(), app.theme.accent),
        (None, _, true) => ("left out".into(), app.theme.dim),
        (None, _, false) => (String::new(), app.theme.dim),
    };
    let glyph = app.glyphs.of(phase);
    let name =
        format!(" {glyph} {:<9} {}   ", phase.kind, clock(Duration::from_micros(phase.planned_us)));
    let name_style = if selected { app.theme.selected } else { app.theme.text };
    Line::from(vec![
        Span::styled(name, name_style),
        Span::raw(" "),
        Span::styled(app.glyphs.text(&what), style),
    ])
}
