//! The keys: one table for dispatch, footer and help.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::run::state::{RunState, RunStatus};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Starts the plan, or the selected phase first.
    Start,
    /// Pauses, or goes on.
    TogglePause,
    /// Skips the running phase (or the cooldown).
    SkipPhase,
    /// Aborts the running phase.
    AbortPhase,
    /// Aborts the run.
    AbortRun,
    /// Undoes the fault that is there now.
    Heal,
    /// More users.
    MoreUsers,
    /// Fewer users.
    FewerUsers,
    /// A higher rate of arrivals.
    HigherRate,
    /// A lower rate of arrivals.
    LowerRate,
    /// The scenario that the keys for users and rates act on.
    NextScenario,
    /// Selects the phase above.
    SelectUp,
    /// Selects the phase below.
    SelectDown,
    /// Leaves the selected phase out, or takes it in again.
    ToggleSkip,
    /// Moves the selected phase up.
    MoveUp,
    /// Moves the selected phase down.
    MoveDown,
    /// Next panel.
    NextPanel,
    /// A panel by its number.
    Panel(u8),
    /// Next service in the load panel.
    NextService,
    /// The other load phase.
    OtherLoad,
    /// Response time or service time.
    SwitchClock,
    /// The selected finding in detail, page by page.
    Detail,
    /// Which findings are shown.
    Filter,
    /// Shorter time range.
    ZoomIn,
    /// Longer time range.
    ZoomOut,
    /// Stops the view, not the run.
    Freeze,
    /// Shows less or more of the log.
    LogLevel,
    /// A remark into the timeline.
    Annotate,
    /// Writes the report now.
    Export,
    /// Explains the numbers.
    Explain,
    /// Help.
    Help,
    /// Leaves the run to itself.
    Detach,
    /// Asks: detach or abort.
    Quit,
    /// Redraws everything.
    Redraw,
    /// Suspends the dashboard.
    Suspend,
}

/// When a key is worth showing and does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// Before the start, and while phases are still to come.
    Planning,
    /// While a run can be started or released.
    Startable,
    /// While the run is at work.
    Working,
    /// While a load phase is at work.
    Loading,
    /// While it has not ended.
    NotOver,
    /// While something is broken on purpose.
    Fault,
}

impl When {
    /// Whether it is that time.
    pub fn holds(self, state: &RunState) -> bool {
        match (self, &state.status) {
            (Self::Always, _) => true,
            (Self::Fault, _) => state.active_fault().is_some(),
            (Self::Loading, _) => state.running_phase().is_some_and(|phase| phase.kind.is_load()),
            (Self::Startable, RunStatus::Ready | RunStatus::Held(_)) => true,
            (Self::Startable, _) => false,
            (Self::Planning | Self::NotOver, RunStatus::Finished) => false,
            (Self::Planning | Self::NotOver, _) => true,
            (
                Self::Working,
                RunStatus::Running
                | RunStatus::Pausing
                | RunStatus::Paused
                | RunStatus::Resuming
                | RunStatus::Held(_),
            ) => true,
            (Self::Working, _) => false,
        }
    }
}

/// One row of the table.
pub struct Binding {
    /// The keys as they are shown.
    pub shown: &'static str,
    keys: &'static [(KeyCode, KeyModifiers)],
    /// What they do.
    pub action: Action,
    /// One word for the footer; empty for keys that only help shows.
    pub label: &'static str,
    /// A line for help.
    pub help: &'static str,
    /// When they do it.
    pub when: When,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CTRL: KeyModifiers = KeyModifiers::CONTROL;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

const fn c(character: char) -> (KeyCode, KeyModifiers) {
    (KeyCode::Char(character), NONE)
}

macro_rules! bindings {
    ($($shown:literal $keys:expr => $action:expr, $label:literal, $help:literal, $when:ident;)*) => {
        /// The keys, in the order in which footer and help show them.
        pub const BINDINGS: &[Binding] = &[$(Binding {
            shown: $shown, keys: $keys, action: $action, label: $label, help: $help, when: When::$when,
        }),*];
    };
}

bindings! {
    "Enter" &[(KeyCode::Enter, NONE), c('s')] => Action::Start, "start", "start the plan (also s); a phase selected further down comes first", Startable;
    "p" &[c('p'), c(' ')] => Action::TogglePause, "pause", "pause (heals first, finishes what is in flight) and resume", Working;
    "S" &[c('S')] => Action::SkipPhase, "skip", "skip the rest of the running phase, or of the cooldown", Working;
    "A" &[c('A')] => Action::AbortRun, "abort", "abort the run: heal, clean, write the report", NotOver;
    "X" &[c('X')] => Action::AbortPhase, "", "abort the running phase; the plan goes on", Working;
    "H" &[c('H')] => Action::Heal, "heal", "chaos: undo the fault that is there now; the plan goes on", Fault;
    "+" &[c('+'), c('=')] => Action::MoreUsers, "users", "ten users more", Loading;
    "-" &[c('-')] => Action::FewerUsers, "", "ten users fewer", Loading;
    ">" &[c('>')] => Action::HigherRate, "", "open models: a tenth of the planned rate more", Loading;
    "<" &[c('<')] => Action::LowerRate, "", "open models: a tenth of the planned rate less", Loading;
    "u" &[c('u')] => Action::NextScenario, "", "which scenario + - < > act on: all, or one after the other", Loading;
    "up" &[(KeyCode::Up, NONE), c('k')] => Action::SelectUp, "", "select the phase above, in other panels the objective or finding (also k)", Always;
    "down" &[(KeyCode::Down, NONE), c('j')] => Action::SelectDown, "", "select the phase below, in other panels the objective or finding (also j)", Always;
    "o" &[c('o')] => Action::ToggleSkip, "", "leave the selected phase out, or take it in again", Planning;
    "K" &[c('K'), (KeyCode::Up, SHIFT)] => Action::MoveUp, "", "move the selected phase up (also shift-up)", Planning;
    "J" &[c('J'), (KeyCode::Down, SHIFT)] => Action::MoveDown, "", "move the selected phase down (also shift-down)", Planning;
    "1-7" &[c('1')] => Action::Panel(0), "panels", "overview, load, chaos, security, backup, SLO, log (also Tab); the same digit again turns its pages", Always;
    "2" &[c('2')] => Action::Panel(1), "", "load", Always;
    "3" &[c('3')] => Action::Panel(2), "", "chaos", Always;
    "4" &[c('4')] => Action::Panel(3), "", "security", Always;
    "5" &[c('5')] => Action::Panel(4), "", "backup drill", Always;
    "6" &[c('6')] => Action::Panel(5), "", "SLO", Always;
    "7" &[c('7')] => Action::Panel(6), "", "log", Always;
    "Tab" &[(KeyCode::Tab, NONE)] => Action::NextPanel, "", "next panel", Always;
    "v" &[c('v')] => Action::NextService, "", "load panel: next service", Always;
    "b" &[c('b')] => Action::OtherLoad, "", "load panel: the load phase before, and back", Always;
    "c" &[c('c')] => Action::SwitchClock, "", "load panel: response time or service time", Always;
    "i" &[c('i')] => Action::Detail, "", "security panel: the selected finding in detail; again for the next page, Esc goes back", Always;
    "/" &[c('/')] => Action::Filter, "", "security panel: show findings with these words only (severity, rule, place, new, accepted)", Always;
    "[" &[c('[')] => Action::ZoomIn, "", "shorter time range", Always;
    "]" &[c(']')] => Action::ZoomOut, "", "longer time range", Always;
    "f" &[c('f')] => Action::Freeze, "", "freeze the view; the run goes on", Always;
    "l" &[c('l')] => Action::LogLevel, "", "log panel: everything, or warnings and errors only", Always;
    "n" &[c('n')] => Action::Annotate, "", "write a remark into the timeline", NotOver;
    "x" &[c('x')] => Action::Export, "export", "write the report of what is known now", NotOver;
    "e" &[c('e')] => Action::Explain, "explain", "explain the numbers: formula, n, method; again for the next page", Always;
    "?" &[c('?')] => Action::Help, "help", "help", Always;
    "d" &[c('d')] => Action::Detach, "detach", "leave; the run goes on, unless --on-detach says otherwise", NotOver;
    "q" &[c('q'), (KeyCode::Char('c'), CTRL)] => Action::Quit, "quit", "leave (asks: detach or abort)", Always;
    "ctrl-l" &[(KeyCode::Char('l'), CTRL)] => Action::Redraw, "", "draw everything anew", Always;
    "ctrl-z" &[(KeyCode::Char('z'), CTRL)] => Action::Suspend, "", "suspend the dashboard; `fg` brings it back", Always;
}

/// The row of a key that does something now.
pub fn binding_for(key: KeyEvent, state: &RunState) -> Option<&'static Binding> {
    // A capital letter comes with or without its shift, depending on the terminal.
    let modifiers = match key.code {
        KeyCode::Char(_) => key.modifiers.difference(SHIFT),
        _ => key.modifiers,
    };
    let pressed = (key.code, modifiers);
    BINDINGS.iter().find(|b| b.keys.contains(&pressed) && b.when.holds(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_bound_twice() {
        let mut seen = std::collections::HashSet::new();
        for binding in BINDINGS {
            for key in binding.keys {
                assert!(seen.insert(key), "{key:?} is bound twice");
            }
        }
    }

    #[test]
    fn keys_do_nothing_when_it_is_not_their_time() {
        let key = |code| KeyEvent::new(code, NONE);
        let at = |status| RunState { status, ..RunState::default() };
        let action_for = |key, state| binding_for(key, &state).map(|binding| binding.action);
        assert_eq!(action_for(key(KeyCode::Enter), at(RunStatus::Ready)), Some(Action::Start));
        assert_eq!(action_for(key(KeyCode::Enter), at(RunStatus::Running)), None);
        assert_eq!(action_for(key(KeyCode::Char('A')), at(RunStatus::Finished)), None);
        let shifted = KeyEvent::new(KeyCode::Char('A'), SHIFT);
        assert_eq!(action_for(shifted, at(RunStatus::Running)), Some(Action::AbortRun));
    }
}
