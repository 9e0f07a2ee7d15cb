//! `shakedown runs`: what has been run, and what is running.

use std::path::PathBuf;

use super::ConfigArgs;
use super::exit::{CliError, Exit, say, say_error};
use super::retention;
use super::run::resolve_config;
use crate::config::runs_folder;
use crate::report::trend;
use crate::run::folder::RunFolder;
use crate::run::live_runs::live_runs;
use crate::run::state_dir::StateDir;
use crate::run::summary::RunSummary;

/// Options of `runs`.
#[derive(clap::Args)]
pub struct RunsArgs {
    /// Shows the figures of the runs over time, archived ones too
    #[arg(long)]
    trend: bool,
}

/// Runs the command.
pub fn run(config: &ConfigArgs, args: &RunsArgs) -> Result<Exit, CliError> {
    let runs = folder(config)?;
    if args.trend {
        say(trend::text(&retention::reports(&runs)).trim_end());
        return Ok(Exit::Pass);
    }
    let here = RunFolder::list(&runs);
    let mut elsewhere = live();
    elsewhere.retain(|run| !here.contains(run));
    if here.is_empty() && elsewhere.is_empty() {
        say(format_args!("no runs in {}", runs.display()));
        return Ok(Exit::Pass);
    }
    say(format_args!("{:<24} {:<16} {:<10} {:>9}  state", "run", "target", "plan", "length"));
    here.iter().for_each(|run| say(row(run)));
    for run in elsewhere {
        let folder = run.path().parent().unwrap_or(run.path());
        say(format_args!("{} in {}", row(&run), folder.display()));
    }
    Ok(Exit::Pass)
}

/// The folder that holds the runs. A run that goes on must be reached, and what one left be removed,
/// whatever has been done to the configuration since: what else is wrong with it is no reason to refuse.
pub fn folder(config: &ConfigArgs) -> Result<PathBuf, CliError> {
    let runs = match resolve_config(config, false) {
        Ok((config, ..)) => config.report.runs,
        Err(error) => {
            let runs = runs_folder(&config.load_options());
            say_error(&format_args!(
                "{error}\nlooking for runs in {} all the same",
                runs.display()
            ));
            runs
        }
    };
    std::path::absolute(runs).map_err(CliError::usage)
}

/// A run by name, of those here and those that go on anywhere; without a name, the latest one here.
pub fn find(config: &ConfigArgs, name: Option<&str>) -> Result<RunFolder, CliError> {
    RunFolder::find_also_among(&folder(config)?, &live(), name).map_err(CliError::usage)
}

/// The runs that go on, started from whatever working directory, oldest first.
pub fn live() -> Vec<RunFolder> {
    StateDir::open().map(|state| live_runs(&state)).unwrap_or_default()
}

fn row(run: &RunFolder) -> String {
    let summary = RunSummary::of(run);
    let (target, plan, seconds) =
        summary.as_ref().map_or(("?", "?", 0), |s| (s.target.as_str(), s.plan.as_str(), s.seconds));
    let length = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let standing = match (summary.as_ref().and_then(|s| s.verdict.as_ref()), run.has_live_engine())
    {
        (Some(verdict), _) => verdict.to_string(),
        (None, true) => "running".into(),
        (None, false) => {
            "aborted: its engine is gone (`shakedown report` builds the report)".into()
        }
    };
    format!("{:<24} {target:<16} {plan:<10} {length:>9}  {standing}", run.id())
}
