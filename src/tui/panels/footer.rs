//! The bottom line: the keys that do something now, or a question.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::folded;
use crate::config::PhaseKind;
use crate::run::state::RunStatus;
use crate::tui::app::{App, Prompt};
use crate::tui::fate::Fate;
use crate::tui::format::latency;
use crate::tui::keymap::{Action, BINDINGS, Binding};

/// Rows that it needs: a question is never cut.
pub fn height(app: &App, width: u16) -> u16 {
    let Some((prompt, _)) = &app.prompt else { return 1 };
    asked(prompt, width, app).len() as u16
}

/// A question, in as many rows as it needs.
fn asked<'a>(prompt: &Prompt, width: u16, app: &App) -> Vec<Line<'a>> {
    folded(question(prompt, app), usize::from(width), 1)
}

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    draw(frame, area, app, keys(app, usize::from(area.width), |_| true));
}

/// Draws what is left of it where nothing but the run's state is shown.
pub fn render_minimum(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let needed = |action: Action| {
        matches!(
            action,
            Action::Start | Action::TogglePause | Action::AbortRun | Action::Heal | Action::Quit
        )
    };
    if app.prompt.is_some() {
        return draw(frame, area, app, Line::default());
    }
    let width = usize::from(area.width);
    let mut rows = vec![Line::raw(" ")];
    // A key stays with its word.
    for pair in keys(app, width, needed).spans[1..].chunks(2) {
        let text: String = pair.iter().map(|span| span.content.as_ref()).collect();
        let row = rows.last().map_or(0, Line::width);
        if row > 1 && row + text.trim_end().len() > width {
            rows.push(Line::raw(" "));
        }
        if let Some(row) = rows.last_mut() {
            row.spans.extend_from_slice(pair);
        }
    }
    frame.render_widget(Paragraph::new(rows), area);
}

fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, keys: Line<'_>) {
    let rows = match &app.prompt {
        Some((prompt, _)) => asked(prompt, area.width, app),
        None => vec![keys],
    };
    frame.render_widget(Paragraph::new(rows), area);
}

/// The keys that do something now; where they do not all fit, those that can be found in help go
/// first.
fn keys<'a>(app: &App, width: usize, wanted: impl Fn(Action) -> bool) -> Line<'a> {
    let status = &app.state.status;
    let mut shown: Vec<(&str, &str, Action)> = Vec::new();
    let works = |b: &&Binding| !b.label.is_empty() && app.works(b) && wanted(b.action);
    for binding in BINDINGS.iter().filter(works) {
        let label = match (binding.action, status) {
            (Action::TogglePause, RunStatus::Paused | RunStatus::Pausing | RunStatus::Held(_)) => {
                "resume"
            }
            (Action::Start, RunStatus::Held(_)) => "go on",
            (Action::MoreUsers, _) => "users",
            _ => binding.label,
        };
        let keys = if binding.action == Action::MoreUsers { "+/-" } else { binding.shown };
        shown.push((keys, label, binding.action));
    }
    let columns = |shown: &[(&str, &str, Action)]| -> usize {
        shown.iter().map(|(keys, label, _)| keys.len() + label.len() + 3).sum()
    };
    for dispensable in [Action::Export, Action::Explain, Action::MoreUsers, Action::Detach] {
        if columns(&shown) > width {
            shown.retain(|(.., action)| *action != dispensable);
        }
    }
    let mut spans = vec![Span::raw(" ")];
    for (keys, label, _) in shown {
        spans.push(Span::styled(keys, app.theme.accent));
        spans.push(Span::styled(format!(" {label}  "), app.theme.dim));
    }
    Line::from(spans)
}

fn question<'a>(prompt: &Prompt, app: &App) -> Line<'a> {
    let text = match prompt {
        Prompt::Quit => {
            let abort = match app.state.status {
                RunStatus::Ready => "close it",
                _ => "abort: heal, clean, report",
            };
            format!(" leave?  d detach, {}   a {abort}   n stay", Fate::of(app))
        }
        Prompt::AbortRun => format!(" abort the run? y/n   {}", consequence(app)),
        Prompt::AbortPhase => {
            format!(" abort this phase? y/n   {}; the plan goes on", consequence(app))
        }
        Prompt::SkipPhase(phase) => skipping(*phase, app),
        Prompt::Annotate(text) => format!(" remark: {text}_   Enter records it, Esc drops it"),
        Prompt::Filter(text) => format!(" findings with: {text}_   Enter filters, Esc leaves it"),
        Prompt::Arm(text) => format!(" PRODUCTION: type the target's name to arm the run: {text}_"),
    };
    Line::styled(app.glyphs.text(&text), app.theme.warning)
}

/// What skipping this phase would do, and what comes after it.
fn skipping(phase: PhaseKind, app: &App) -> String {
    let then = match app.state.follows(phase) {
        Some(next) => format!("the plan goes on with {next}"),
        None => "it is the last of the plan: the run ends".into(),
    };
    match app.state.running_phase() {
        Some(_) => format!(" skip the rest of {phase}? y/n   {}; {then}", consequence(app)),
        None => format!(" leave out {phase}? y/n   {then}"),
    }
}

/// What aborting would do now, and how long it may take.
fn consequence(app: &App) -> String {
    let Some(phase) = app.state.running_phase() else {
        return "nothing runs; the report is written at once".into();
    };
    if let Some(fault) = app.state.active_fault() {
        let longest = phase.chaos.as_ref().and_then(|chaos| chaos.longest_heal_us);
        let time = longest.map_or("no fault of this run was healed before".into(), |took_us| {
            let took = latency(Some(Duration::from_micros(took_us)));
            format!("the longest so far took {took}")
        });
        return format!("heals first ({time}): {}", fault.undo);
    }
    let writes = phase.load.as_ref().is_some_and(|load| load.write_block.is_some());
    match (phase.kind, writes) {
        (PhaseKind::Mixed | PhaseKind::Ramping, true) => {
            "requests in flight end, written documents are removed (some seconds)".into()
        }
        (PhaseKind::Mixed | PhaseKind::Ramping, false) => {
            "requests in flight end (some seconds)".into()
        }
        _ => "what was done is undone first".into(),
    }
}
