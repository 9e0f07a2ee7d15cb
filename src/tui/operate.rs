//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Ended;
use super::app::{App, Link, Panel, Prompt};
use super::fate::Fate;
use super::keymap::{Action, binding_for};
use super::terminal::has_shell;
use crate::config::{Environment, PhaseKind};
use crate::run::control::Command;
use crate::run::state::RunStatus;

/// Users that one key press adds or takes away.
const USERS_STEP: i32 = 10;
/// What one key press adds to or takes from a rate, in percent of the planned one.
const RATE_STEP_PERCENT: i32 = 10;
/// Time ranges of the history, in seconds; beyond the last one all of it is shown.
const ZOOMS: [u64; 4] = [60, 300, 900, 3600];
/// Longest remark or name.
const MAX_TEXT_CHARS: usize = 120;

/// What follows a key.
#[derive(Clone, Debug, PartialEq)]
pub enum After {
    /// The dashboard goes on.
    Stay,
    /// It ends.
    Leave(Ended),
    /// Everything is drawn anew.
    Redraw,
    /// The process is suspended.
    Suspend,
}

/// Does what a key asks for.
pub fn press(app: &mut App, key: KeyEvent) -> After {
    if let Some((prompt, _)) = app.prompt.take() {
        return answer(app, prompt, key);
    }
    if app.explain && key.code == KeyCode::Esc {
        app.explain = false;
        return After::Stay;
    }
    if app.panel == Panel::Help && key.code == KeyCode::Esc {
        app.panel = Panel::Overview;
        return After::Stay;
    }
    if app.panel == Panel::Security && key.code == KeyCode::Esc {
        // Out of the detail first, then out of the filter.
        if app.finding_detail.take().is_none() {
            app.finding_filter.clear();
        }
        return After::Stay;
    }
    let Some(binding) = binding_for(key, &app.state) else { return After::Stay };
    // What cannot be seen is not changed.
    let covered = "that key changes what this covers: Esc closes it first";
    let refusal = is_covered(app, binding.action).then_some(covered);
    match refusal.or_else(|| app.refusal(binding)) {
        Some(refusal) => {
            app.notify(refusal);
            After::Stay
        }
        None => act(app, binding.action),
    }
}

/// Whether a key would change what help or the explanation of the numbers covers. What the header, the bars
/// of the phases or a question show is not covered: a run can be paused, healed and aborted at any time.
fn is_covered(app: &App, action: Action) -> bool {
    let help = app.panel == Panel::Help;
    match action {
        Action::SelectUp | Action::SelectDown => app.explain && app.panel != Panel::Slo && !help,
        Action::Start
        | Action::ToggleSkip
        | Action::MoveUp
        | Action::MoveDown
        | Action::MoreUsers
        | Action::FewerUsers
        | Action::HigherRate
        | Action::LowerRate
        | Action::NextScenario
        | Action::SwitchClock
        | Action::ZoomIn
        | Action::ZoomOut
        | Action::LogLevel => help || app.explain,
        // What is explained is of that service and that phase.
        Action::NextService | Action::OtherLoad => help,
        _ => false,
    }
}

fn act(app: &mut App, action: Action) -> After {
    match action {
        Action::Start => start(app),
        Action::TogglePause => match app.state.status {
            RunStatus::Paused | RunStatus::Pausing | RunStatus::Held(_) => {
                app.send(Command::Resume {})
            }
            _ => app.send(Command::Pause {}),
        },
        Action::SkipPhase => skip(app),
        Action::AbortPhase => app.ask(Prompt::AbortPhase),
        Action::AbortRun => app.ask(Prompt::AbortRun),
        Action::MoreUsers => rescale(app, USERS_STEP),
        Action::FewerUsers => rescale(app, -USERS_STEP),
        Action::HigherRate => change_rate(app, RATE_STEP_PERCENT),
        Action::LowerRate => change_rate(app, -RATE_STEP_PERCENT),
        Action::NextScenario => {
            app.scenario = app.scenario.wrapping_add(1);
            let whose = app.scenario_name().unwrap_or_else(|| "all scenarios".into());
            app.notify(&format!("+ - < > act on {whose}"));
        }
        Action::Annotate => app.ask(Prompt::Annotate(String::new())),
        Action::Heal => app.send(Command::Heal {}),
        Action::Export => app.send(Command::WriteReport {}),
        // To leave is to abort there, which is never done unasked.
        Action::Detach if Fate::of(app) == Fate::Aborts => return quit(app),
        Action::Detach => return leave(app),
        Action::Quit => return quit(app),
        Action::Redraw => return After::Redraw,
        Action::Suspend if has_shell() => return After::Suspend,
        Action::Suspend => app.notify("no shell to go back to: d detaches"),
        Action::SelectUp if app.panel == Panel::Help => {
            app.help_page = app.help_page.saturating_sub(1);
        }
        Action::SelectDown if app.panel == Panel::Help => app.help_page += 1,
        Action::SelectUp | Action::SelectDown if app.panel == Panel::Slo => {
            app.objective = moved(app.objective, app.shown().objectives.len(), action);
        }
        Action::SelectUp | Action::SelectDown if app.panel == Panel::Security => {
            app.finding = moved(app.finding, app.findings().len(), action);
            app.finding_detail = app.finding_detail.map(|_| 0);
        }
        plan @ (Action::SelectUp
        | Action::SelectDown
        | Action::ToggleSkip
        | Action::MoveUp
        | Action::MoveDown) => change_plan(app, plan),
        look => change_view(app, look),
    }
    After::Stay
}

/// A selection in a list of so many rows, one up or down.
fn moved(at: usize, rows: usize, action: Action) -> usize {
    let last = rows.saturating_sub(1);
    let at = at.min(last);
    if action == Action::SelectDown { (at + 1).min(last) } else { at.saturating_sub(1) }
}

fn start(app: &mut App) {
    if matches!(app.link, Link::Connecting(_)) {
        return app.notify("the engine is not there yet: Enter starts once the plan is shown");
    }
    if let Some(phase) = left_out(app) {
        return app.notify(&format!("{phase} is left out: o takes it in, then Enter starts it"));
    }
    let identity = app.state.identity.as_ref();
    let production = identity.is_some_and(|i| i.environment == Environment::Production);
    if production && !app.state.armed {
        app.ask(Prompt::Arm(String::new()));
    } else {
        begin(app);
    }
}

/// The phase that is selected to come first, if the plan leaves it out.
fn left_out(app: &App) -> Option<PhaseKind> {
    let selected = app.selected().filter(|_| app.state.status == RunStatus::Ready)?;
    let chosen = app.selected_phase > 0;
    app.state.phase(selected).filter(|phase| chosen && phase.skip_requested).map(|phase| phase.kind)
}

/// Starts the plan, with a phase that was selected further down first; goes on where it is held.
fn begin(app: &mut App) {
    if app.state.status != RunStatus::Ready {
        return app.send(Command::Resume {});
    }
    let phase = if app.selected_phase == 0 { None } else { app.selected() };
    app.send(Command::Start { phase });
}

/// Skips the rest of a phase; asks where that undoes a deed, or ends the run.
fn skip(app: &mut App) {
    let state = &app.state;
    let asks = state.phase_to_skip().filter(|phase| {
        let runs = state.running_phase().is_some();
        // A drill that has begun has destroyed what it is about to bring back; after the last phase that
        // does something only its figures are judged.
        state.active_fault().is_some()
            || (*phase == PhaseKind::Backup && runs)
            || state.follows(*phase).is_none_or(|next| runs && next == PhaseKind::Slo)
    });
    match asks {
        Some(phase) => app.ask(Prompt::SkipPhase(phase)),
        None => app.send(Command::SkipPhase {}),
    }
}

fn rescale(app: &mut App, by: i32) {
    let scenario = app.scenario_name();
    app.send(Command::Rescale { scenario, by });
}

fn change_rate(app: &mut App, by_percent: i32) {
    let scenario = app.scenario_name();
    app.send(Command::ChangeRate { scenario, by_percent });
}

fn change_plan(app: &mut App, action: Action) {
    let last = app.state.phases.len().saturating_sub(1);
    let selected = app.selected_phase.min(last);
    let Some(phase) = app.selected() else { return };
    match action {
        Action::SelectUp | Action::SelectDown => {
            app.selected_phase = moved(selected, app.state.phases.len(), action);
            tell_selected(app);
        }
        Action::ToggleSkip => {
            let skip = !app.state.phases[selected].skip_requested;
            app.send(Command::PlanSkip { phase, skip });
            let what = if skip { "left out" } else { "taken in again" };
            app.notify(&format!("{phase} is {what}"));
        }
        Action::MoveUp => {
            app.send(Command::MovePhase { phase, by: -1 });
            app.selected_phase = selected.saturating_sub(1);
        }
        _ => {
            app.send(Command::MovePhase { phase, by: 1 });
            app.selected_phase = (selected + 1).min(last);
        }
    }
}

/// While a run is at work, a small screen has no room for the plan in which the selection is seen.
fn tell_selected(app: &mut App) {
    let waits = app.state.status == RunStatus::Ready;
    let is_seen = waits && app.panel == Panel::Overview;
    if is_seen || app.state.status == RunStatus::Finished {
        return;
    }
    if let Some(phase) = app.selected() {
        app.notify(&format!("{phase} is selected"));
    }
}

fn change_view(app: &mut App, action: Action) {
    if matches!(
        action,
        Action::Panel(_) | Action::NextPanel | Action::Help | Action::Detail | Action::Filter
    ) {
        // Who asks for a panel wants to see it.
        app.explain = false;
    }
    match action {
        Action::Panel(at) => {
            let panel = Panel::ALL[usize::from(at) % Panel::ALL.len()];
            app.panel_page = if app.panel == panel { app.panel_page + 1 } else { 0 };
            app.panel = panel;
        }
        Action::NextPanel => {
            let at = Panel::ALL.iter().position(|panel| *panel == app.panel).unwrap_or(0);
            app.panel = Panel::ALL[(at + 1) % Panel::ALL.len()];
            app.panel_page = 0;
        }
        Action::Help => {
            app.help_page = if app.panel == Panel::Help { app.help_page + 1 } else { 0 };
            app.panel = Panel::Help;
        }
        Action::NextService => app.service = app.service.wrapping_add(1),
        Action::OtherLoad => app.switch_load(),
        Action::SwitchClock => app.service_time = !app.service_time,
        Action::Freeze => app.toggle_freeze(),
        Action::LogLevel => app.warnings_only = !app.warnings_only,
        Action::Detail => {
            app.panel = Panel::Security;
            app.finding_detail = Some(app.finding_detail.map_or(0, |page| page + 1));
        }
        Action::Filter => {
            app.panel = Panel::Security;
            app.finding_detail = None;
            app.ask(Prompt::Filter(app.finding_filter.clone()));
        }
        Action::Explain => {
            app.explain_page = if app.explain { app.explain_page + 1 } else { 0 };
            app.explain = true;
        }
        Action::ZoomIn => {
            let shorter = ZOOMS.iter().rev().find(|zoom| app.zoom.is_none_or(|now| **zoom < now));
            app.zoom = shorter.copied().or(app.zoom);
        }
        Action::ZoomOut => {
            app.zoom = app.zoom.and_then(|now| ZOOMS.iter().find(|zoom| **zoom > now)).copied();
        }
        _ => {}
    }
}

fn quit(app: &mut App) -> After {
    match (&app.link, &app.state.status) {
        (Link::Live, status) if *status != RunStatus::Finished && !app.client.read_only => {
            app.ask(Prompt::Quit);
            After::Stay
        }
        _ => leave(app),
    }
}

fn leave(app: &App) -> After {
    After::Leave(left(app))
}

/// How a dashboard ends that is left now, by its operator or by its terminal.
pub fn left(app: &App) -> Ended {
    match (&app.state.verdict, &app.link) {
        (Some(verdict), _) => Ended::Finished(Some(verdict.clone())),
        (None, Link::Lost(reason)) => Ended::Disconnected(reason.clone()),
        (None, _) if app.closing => Ended::Finished(None),
        (None, _) => Ended::Detached(Fate::of(app)),
    }
}

fn answer(app: &mut App, prompt: Prompt, key: KeyEvent) -> After {
    match prompt {
        Prompt::Annotate(text) => {
            edit(app, text, key, Prompt::Annotate, |app, text| {
                app.send(Command::Annotate { text })
            });
        }
        Prompt::Filter(text) => edit(app, text, key, Prompt::Filter, |app, text| {
            app.finding_filter = text;
            app.finding = 0;
        }),
        Prompt::Arm(text) => edit(app, text, key, Prompt::Arm, |app, name| {
            let right = app.state.identity.as_ref().is_some_and(|i| i.target == name);
            app.send(Command::Arm { name });
            // What a wrong name is answered with is not to be talked over.
            if right {
                begin(app);
            }
        }),
        Prompt::Quit => match key.code {
            KeyCode::Char('a') if app.state.status == RunStatus::Ready => {
                // Not before the engine has heard it.
                app.send(Command::ABORT_RUN);
                app.closing = true;
            }
            KeyCode::Char('d') => return leave(app),
            KeyCode::Char('a') => app.send(Command::ABORT_RUN),
            _ => {}
        },
        Prompt::AbortRun if key.code == KeyCode::Char('y') => app.send(Command::ABORT_RUN),
        Prompt::AbortPhase if key.code == KeyCode::Char('y') => app.send(Command::AbortPhase {}),
        // What was asked about may be over by now.
        Prompt::SkipPhase(phase) if key.code == KeyCode::Char('y') => {
            if app.state.phase_to_skip() == Some(phase) {
                app.send(Command::SkipPhase {});
            } else {
                app.notify(&format!("{phase} is over already: nothing was skipped"));
            }
        }
        Prompt::AbortRun | Prompt::AbortPhase | Prompt::SkipPhase(_) => {}
    }
    After::Stay
}

fn edit(
    app: &mut App,
    mut text: String,
    key: KeyEvent,
    again: impl Fn(String) -> Prompt,
    done: impl Fn(&mut App, String),
) {
    match key.code {
        KeyCode::Enter => return done(app, text),
        KeyCode::Esc => return,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return,
        KeyCode::Backspace => {
            text.pop();
        }
        KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => text.clear(),
        KeyCode::Char(_) if key.modifiers.contains(KeyModifiers::CONTROL) => {}
        KeyCode::Char(c) if text.chars().count() < MAX_TEXT_CHARS => text.push(c),
        _ => {}
    }
    app.ask(again(text));
}
