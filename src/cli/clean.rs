//! `shakedown clean`: removes folders of runs that are over.

use std::fs;

use super::ConfigArgs;
use super::exit::{CliError, Exit, say, say_error};
use super::recover::left_documents;
use super::runs;
use crate::run::folder::RunFolder;
use crate::run::journal;
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
    let (kept, removable): (Vec<_>, Vec<_>) = over
        .into_iter()
        .map(|run| (reason_to_keep(&run, &state), run))
        .partition(|(r, _)| r.is_some());
    for (reason, run) in kept {
        let (id, reason) = (run.id(), reason.unwrap_or_default());
        say(format_args!("kept {id}: {reason}: `shakedown recover {id}` comes first"));
    }
    for (_, run) in &removable {
        let path = run.path().display();
        if !args.yes {
            say(format_args!("would remove {path}"));
            continue;
        }
        match fs::remove_dir_all(run.path()) {
            Ok(()) => say(format_args!("removed {path}")),
            Err(error) => say_error(&format_args!("{path}: {error}")),
        }
    }
    match (removable.is_empty(), args.yes) {
        (true, _) => say("nothing to remove"),
        (false, false) => say("nothing has been removed yet: add --yes"),
        (false, true) => {}
    }
    Ok(Exit::Pass)
}

/// The folder of a run is the only record of what it may have left behind.
fn reason_to_keep(run: &RunFolder, state: &StateDir) -> Option<&'static str> {
    if has_open(state, &run.id()) {
        return Some("it left something broken");
    }
    let recorded = journal::read(run.path());
    let documents = recorded.is_ok_and(|recorded| left_documents(run, &recorded.state));
    documents.then_some("it may have left documents")
}
