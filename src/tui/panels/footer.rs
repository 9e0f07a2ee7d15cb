//! The bottom line: the keys that do something now, or a question.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::config::PhaseKind;
use crate::run::state::RunStatus;
use crate::tui::app::{App, Prompt};
use crate::tui::keymap::{Action, BINDINGS};

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let line = match &app.prompt {
        Some((prompt, _)) => question(prompt, app),
        None => keys(app, usize::from(area.width)),
    };
    frame.render_widget(line, area);
}

fn keys<'a>(app: &App, width: usize) -> Line<'a> {
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    let status = &app.state.status;
    for binding in BINDINGS.iter().filter(|b| !b.label.is_empty() && b.when.holds(status)) {
        let label = match (binding.action, status) {
            (Action::TogglePause, RunStatus::Paused | RunStatus::Pausing | RunStatus::Held(_)) => {
                "resume"
            }
            (Action::MoreUsers, _) => "users",
            _ => binding.label,
        };
        let shown = if binding.action == Action::MoreUsers { "+/-" } else { binding.shown };
        used += shown.len() + label.len() + 3;
        if used > width {
            break;
        }
        spans.push(Span::styled(shown, app.theme.accent));
        spans.push(Span::styled(format!(" {label}  "), app.theme.dim));
    }
    Line::from(spans)
}

fn question<'a>(prompt: &Prompt, app: &App) -> Line<'a> {
    let text = match prompt {
        Prompt::Quit => {
            " leave?  d detach, the run goes on   a abort: heal, clean, report   n stay".into()
        }
        Prompt::AbortRun => format!(" abort the run? {} y/n", consequence(app)),
        Prompt::AbortPhase => {
            format!(" abort this phase? {} the plan goes on. y/n", consequence(app))
        }
        Prompt::Annotate(text) => format!(" remark: {text}_   Enter records it, Esc drops it"),
        Prompt::Arm(text) => format!(" PRODUCTION: type the target's name to arm the run: {text}_"),
    };
    Line::styled(text, app.theme.warning)
}

/// What aborting would do now, and how long it may take.
fn consequence(app: &App) -> String {
    let Some(phase) = app.state.running_phase() else {
        return "nothing runs; the report is written at once.".into();
    };
    let writes = phase.load.as_ref().is_some_and(|load| load.write_block.is_some());
    match (phase.kind, writes) {
        (PhaseKind::Mixed | PhaseKind::Ramping, true) => {
            "requests in flight end, written documents are removed (some seconds);".into()
        }
        (PhaseKind::Mixed | PhaseKind::Ramping, false) => {
            "requests in flight end (some seconds);".into()
        }
        _ => "what was done is undone first;".into(),
    }
}
