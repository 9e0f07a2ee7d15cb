//! What is never scrolled away: what needs the operator now, in a line where it fits. While something is
//! broken on purpose nothing takes its place: a notice stands below it.

use ratatui::style::Style;
use ratatui::text::Line;

use super::folded;
use crate::run::state::{PhaseStatus, RunState, RunStatus};
use crate::tui::app::{App, Link};

/// Most rows of words that do not fit one.
const MOST_ROWS: usize = 3;

/// Its rows.
pub fn rows<'a>(app: &App, width: u16) -> Vec<Line<'a>> {
    let line = |(text, style)| Line::styled(app.glyphs.text(&format!(" {text}")), style);
    let notice = app.notice().map(|notice| (format!("! {notice}"), app.theme.warning));
    // One row: it comes and goes with every experiment, and the panel of chaos has all of its words.
    let fault = fault(app).map(|words| line((format!("! {words}"), app.theme.bad)));
    let told = notice.or_else(|| fault.is_none().then(|| what(app)));
    let mut rows = told.map_or_else(Vec::new, |told| folded(line(told), usize::from(width), 3));
    if rows.len() > MOST_ROWS {
        rows.truncate(MOST_ROWS);
        rows[MOST_ROWS - 1].push_span(app.glyphs.more());
    }
    fault.into_iter().chain(rows).collect()
}

/// What is broken on purpose now, as far as the engine can be heard.
pub(super) fn fault(app: &App) -> Option<String> {
    let heard = matches!(app.link, Link::Live | Link::Over);
    let fault = app.shown().active_fault().filter(|_| heard)?;
    let words = super::chaos::in_words(fault, app);
    let can_heal = !app.client.read_only && fault.healing.is_none();
    let heals = if can_heal { " (H heals now)" } else { "" };
    Some(format!("FAULT{heals} {words}"))
}

fn what(app: &App) -> (String, Style) {
    let (theme, state) = (&app.theme, app.shown());
    match &app.link {
        Link::Connecting(what) => return (format!("{what} ..."), theme.dim),
        Link::Lost(reason) => return (format!("! {reason}"), theme.bad),
        Link::Live | Link::Over => {}
    }
    match &state.status {
        RunStatus::Held(reason) => {
            return (format!("! held: {reason}; Enter goes on, S skips it"), theme.warning);
        }
        RunStatus::Aborting(reason) => return (format!("! aborting: {reason}"), theme.bad),
        RunStatus::Paused => {
            return ("paused: nothing is in flight; p goes on".into(), theme.warning);
        }
        RunStatus::Pausing => {
            return ("pausing: waiting for what is in flight".into(), theme.warning);
        }
        _ => {}
    }
    if let Some(problem) = invalid(app).or_else(|| problem(state)) {
        return (format!("! {problem}"), theme.warning);
    }
    if let Some(cooldown) = &state.cooldown {
        let passed = cooldown.passed_us(app.now_us()) / 1_000_000;
        let most = cooldown.max_us / 1_000_000;
        return (
            format!("cooling down, {passed} s of at most {most} s; S cuts it short"),
            theme.dim,
        );
    }
    let note = state.plan.as_ref().and_then(|plan| plan.note.clone()).unwrap_or_default();
    (note, theme.dim)
}

/// Verdicts beside figures that say nothing about the target mislead; afterwards the phase says so.
fn invalid(app: &App) -> Option<String> {
    let phase = app.load_phase().filter(|phase| phase.status == PhaseStatus::Running)?;
    let words = format!("{} is INVALID so far, whatever stands below: 2 says why", phase.kind);
    app.load().invalid.then_some(words)
}

/// Something that is wrong with the run or the platform, if anything is.
fn problem(state: &RunState) -> Option<String> {
    for phase in state.phases.iter().filter(|phase| phase.kind.is_load()) {
        let (kind, Some(load)) = (phase.kind, &phase.load) else { continue };
        if let Some(guard) = &load.guard {
            return Some(format!("{kind} stopped: {guard}"));
        }
        if let Some(cleanup) = load.cleanup.as_ref().filter(|cleanup| cleanup.remaining_count > 0) {
            return Some(format!(
                "{kind}: {} documents could not be removed",
                cleanup.remaining_count
            ));
        }
    }
    if let Some((service, health)) = state.health.iter().find(|(_, health)| !health.healthy) {
        return Some(format!("{service} is not well: {}", health.detail));
    }
    (state.journal_cut_bytes > 0)
        .then(|| format!("{} bytes of the journal were torn and cut", state.journal_cut_bytes))
}
