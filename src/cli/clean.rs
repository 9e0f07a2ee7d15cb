//! `shakedown clean`: puts runs away that are over, and keeps their reports.

use super::ConfigArgs;
use super::exit::{CliError, Exit, say};
use super::retention::{due_runs, put_away};
use super::run::resolve_config;
use super::runs;
use crate::config::Keep;

/// Options of `clean`.
#[derive(clap::Args)]
pub struct CleanArgs {
    /// How many of the latest runs stay
    #[arg(long, value_name = "N", default_value_t = 10)]
    keep: u32,
    /// Does it; without it only says what would be done
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub fn run(config: &ConfigArgs, args: &CleanArgs) -> Result<Exit, CliError> {
    let runs = if config.config.is_some() {
        // What a named file says goes nowhere else: nothing is removed by a guess.
        let (config, ..) = resolve_config(config, false)?;
        std::path::absolute(config.report.runs).map_err(CliError::usage)?
    } else {
        runs::folder(config)?
    };
    let due = due_runs(&runs, &Keep { count: Some(args.keep), ..Keep::default() })?;
    let (kept, gone): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, why)| why.is_some());
    for (run, reason) in kept {
        let (id, reason) = (run.id(), reason.unwrap_or_default());
        say(format_args!("kept {id}: {reason}: `shakedown recover {id}` comes first"));
    }
    for (run, _) in &gone {
        let path = run.path().display();
        if args.yes {
            put_away(run)?;
            say(format_args!("removed {path}, its reports are in the archive beside it"));
        } else {
            say(format_args!("would remove {path} and keep its reports"));
        }
    }
    match (gone.is_empty(), args.yes) {
        (true, _) => say("nothing to remove"),
        (false, false) => say("nothing has been removed yet: add --yes"),
        (false, true) => {}
    }
    Ok(Exit::Pass)
}
