//! What an engine is asked to do, and the start of its process.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use super::exit::CliError;
use super::session;
use crate::config::{Config, OnDetach, SloDefinitions};
use crate::run::engine::engine_log;
use crate::run::folder::RunFolder;
use crate::run::plan::Plan;
use crate::sandbox::StoreSource;

/// What an engine is asked to do. It holds no secrets: the configuration only names where they are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EngineOrder {
    /// The configuration; for the sandbox, its addresses are filled in by the engine.
    pub config: Config,
    /// Where it came from, in words.
    pub config_source: String,
    /// What the platform promises.
    pub promises: SloDefinitions,
    /// What is to be done.
    pub plan: Plan,
    /// Seed of every random choice.
    pub seed: u64,
    /// Whether the run begins at once.
    pub autostart: bool,
    /// Whether it may work on a production target.
    pub armed: bool,
    /// Whether the backup service may restore into the platform's own stores.
    #[serde(default)]
    pub in_place: bool,
    /// What it does when nobody watches.
    pub on_detach: OnDetach,
    /// Whether the end of the engine's standard input aborts the run.
    pub owned: bool,
    /// What an operator has to know before anything begins.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Whether the engine starts the embedded sandbox as its target.
    pub sandbox: bool,
    /// Where its stores come from.
    #[serde(default)]
    pub stores: StoreSource,
}

impl EngineOrder {
    /// What the run does when nobody watches it. An owned engine ends with its client: while it lives
    /// somebody watches, also before that client has found the engine's socket.
    pub const fn unwatched(&self) -> OnDetach {
        if self.owned { OnDetach::Continue } else { self.on_detach }
    }
}

/// Starts the engine process of a run. Its standard input is a pipe whose other end is in the
/// returned child; dropping it matters only to an owned engine.
///
/// # Errors
/// When the process cannot be started.
pub fn start_engine(
    folder: &RunFolder,
    order: &EngineOrder,
    own_scope: bool,
) -> Result<Child, CliError> {
    folder.write_order(order).map_err(CliError::usage)?;
    let started = || -> io::Result<Child> {
        let log =
            OpenOptions::new().append(true).create(true).mode(0o600).open(engine_log(folder))?;
        let executable = std::env::current_exe()?;
        let mut command = if own_scope {
            let mut scope = session::scope();
            scope.arg(executable);
            scope
        } else {
            Command::new(executable)
        };
        let stdin = if order.owned { Stdio::piped() } else { Stdio::null() };
        command.arg("engine").arg(folder.path());
        command.stdin(stdin).stdout(Stdio::null()).stderr(log).spawn()
    };
    started().map_err(|error| CliError::usage(format!("cannot start the engine: {error}")))
}
