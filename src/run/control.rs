//! Commands: what operators may ask of a run.

use serde::{Deserialize, Serialize};

use crate::config::PhaseKind;

/// A client's own number for a command, given back in the acknowledgement.
pub type CommandId = u64;

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Starts the plan; with a phase, starts that phase now, ahead of those before it.
    Start {
        /// The phase to begin with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        phase: Option<PhaseKind>,
    },
    /// Heals, brings work in flight to an end, and holds.
    Pause {},
    /// Goes on after a pause or a hold.
    Resume {},
    /// Ends the running phase; the plan goes on. The phase counts as skipped by request.
    SkipPhase {},
    /// Ends the running phase; the plan goes on. The phase counts as aborted.
    AbortPhase {},
    /// Heals and ends the run.
    AbortRun {
        /// The signal that a client was sent, where no operator asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<String>,
    },
    /// Adds (or takes away) virtual users of the running load phase.
    Rescale {
        /// The scenario; all of them in proportion when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scenario: Option<String>,
        /// Users more or less.
        by: i32,
    },
    /// Changes the rate of arrivals of the running load phase.
    ChangeRate {
        /// The scenario; all with arrivals when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scenario: Option<String>,
        /// Percent of the planned rate more or less.
        by_percent: i32,
    },
    /// Undoes the fault that is there now; the plan goes on.
    Heal {},
    /// Puts a remark into the timeline.
    Annotate {
        /// The remark.
        text: String,
    },
    /// Moves a phase that has not run yet.
    MovePhase {
        /// Which.
        phase: PhaseKind,
        /// Places later (or earlier, when negative).
        by: i32,
    },
    /// Leaves a phase that has not run yet out, or takes it in again.
    PlanSkip {
        /// Which.
        phase: PhaseKind,
        /// Whether it is left out.
        skip: bool,
    },
    /// Arms a run against a production target.
    Arm {
        /// The target's name, typed by the operator.
        name: String,
    },
    /// Writes the report of what is known so far.
    WriteReport {},
}

impl Command {
    /// Heals and ends the run, as an operator wishes.
    pub const ABORT_RUN: Self = Self::AbortRun { signal: None };
}

/// What an operator typed, as one line of at most `max_chars` without control characters.
pub(super) fn one_line(text: &str, max_chars: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max_chars).collect()
}

/// One line from a client to the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "to_engine", rename_all = "snake_case")]
pub enum Request {
    /// First line of every client.
    Hello {
        /// Who it is, for acknowledgements and annotations.
        client: String,
        /// A client that only watches; its commands are refused.
        #[serde(default)]
        read_only: bool,
    },
    /// A command.
    Command {
        /// The client's number for it.
        id: CommandId,
        /// The command.
        command: Command,
    },
}

/// One line from the engine to a client. Its name stands around it, not in it: what serde has to hold back
/// until it has found the name, it cannot read numbers as keys from, which a state has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// First line: the state up to now.
    Snapshot {
        /// The state.
        state: Box<super::state::RunState>,
    },
    /// Every event after the snapshot, in order.
    Event {
        /// The event.
        event: super::event::Event,
    },
    /// A command of a read-only client was refused.
    ReadOnly {
        /// The client's number for it.
        id: CommandId,
    },
}
