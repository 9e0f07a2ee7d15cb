//! What a run is put together from: the engines of its phases, and what it asks of other rooms.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::companion::Companion;
use super::control::{Command, CommandId};
use super::event::Objective;
use super::phase::Phase;
use super::recorder::EventSink;
use super::state::RunState;
use crate::config::{Config, OnDetach, PhaseKind};

/// What the orchestrator hears.
#[derive(Debug)]
pub enum Inbound {
    /// An operator asks for something.
    Command {
        /// The client's number for it.
        id: CommandId,
        /// Who.
        client: String,
        /// What.
        command: Command,
    },
    /// A signal, or the end of the process that owns the run: heal and end. A second one: fast.
    Stop {
        /// Why, in words.
        reason: String,
    },
}

/// How a cooldown ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steady {
    /// Whether the platform was found steady.
    pub steady: bool,
    /// Why it ended, in words.
    pub reason: String,
}

/// Watches the platform between two phases.
#[async_trait]
pub trait SteadyWatch: Send + Sync {
    /// Returns when the platform is steady again, or after `max`.
    async fn until_steady(&self, max: Duration, events: &EventSink) -> Steady;
}

/// Undoes what a phase left that did not come to its own end.
#[async_trait]
pub trait Healer: Send + Sync {
    /// What could not be undone, in words; empty when nothing is left.
    async fn heal(&self) -> Vec<String>;
}

/// Writes reports on request and at the end.
pub trait ReportWriter: Send + Sync {
    /// Writes the report of what is known, and says where.
    ///
    /// # Errors
    /// In words, when it cannot be written.
    fn write(&self, state: &RunState) -> Result<PathBuf, String>;
}

/// Evaluates the objectives.
pub trait Judge: Send + Sync {
    /// One row an objective.
    fn objectives(&self, state: &RunState) -> Vec<Objective>;

    /// The objective that ends the load because its threshold is broken, and why.
    fn broken(&self, _state: &RunState) -> Option<(String, String)> {
        None
    }
}

/// The engine of a phase, or the reason why there is none.
pub type Engine = Result<Arc<dyn Phase>, String>;

/// What a run is put together from.
pub struct Assembly {
    /// An engine, or the reason why there is none, for every phase.
    pub phases: Vec<(PhaseKind, Engine)>,
    /// Watches the platform in cooldowns.
    pub steady: Arc<dyn SteadyWatch>,
    /// Writes reports.
    pub reports: Arc<dyn ReportWriter>,
    /// Evaluates the objectives while load runs.
    pub judge: Arc<dyn Judge>,
    /// Undoes what a phase left that crashed, or that did not stop when it was told to.
    pub healer: Arc<dyn Healer>,
    /// What goes beside the run.
    pub companions: Vec<Arc<dyn Companion>>,
}

/// Settings of one run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration.
    pub config: Arc<Config>,
    /// The run's id.
    pub run_id: String,
    /// Seed of its random choices.
    pub seed: u64,
    /// Whether it begins at once.
    pub autostart: bool,
    /// Whether it may work on a production target.
    pub armed: bool,
    /// What it does when nobody watches.
    pub on_detach: OnDetach,
}
