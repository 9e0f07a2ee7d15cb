//! `shakedown clean`: removes folders of runs that are over.

use std::fs;

use super::ConfigArgs;
use super::exit::{CliError, Exit, say, say_error};
use super::runs;
use crate::run::folder::RunFolder;
use crate::run::state_dir::StateDir;
use crate::run::undo::has_open;

/// Options of `clean`.
#[derive(clap::Args)]
pub struct CleanArgs {
    /// How many of the latest runs stay
    #[arg(long, value_name = "N", default_value_t = 10)]
    keep: usize,
    /// Removes them; without it only says what would be removed
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub fn run(config: &ConfigArgs, args: &CleanArgs) -> Result<Exit, CliError> {
    let mut over = RunFolder::list(&runs::folder(config)?);
    over.retain(|run| !run.has_live_engine());
    over.truncate(over.len().saturating_sub(args.keep));
    let state = StateDir::open().map_err(CliError::usage)?;
    if let Some(run) = over.iter().find(|run| has_open(&state, &run.id())) {
        let id = run.id();
        return Err(CliError::usage(format!(
            "run {id} left something broken: `shakedown recover` heals it first"
        )));
    }
    for run in &over {
        if !args.yes {
            say(format_args!("would remove {}", run.path().display()));
            continue;
        }
        match fs::remove_dir_all(run.path()) {
            Ok(()) => say(format_args!("removed {}", run.path().display())),
            Err(error) => say_error(&format_args!("{}: {error}", run.path().display())),
        }
    }
    match (over.is_empty(), args.yes) {
        (true, _) => say("nothing to remove"),
        (false, false) => say("nothing has been removed yet: add --yes"),
        (false, true) => {}
    }
    Ok(Exit::Pass)
}
