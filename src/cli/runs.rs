//! `shakedown runs`: what has been run, and what is running.

use std::path::PathBuf;

use super::ConfigArgs;
use super::exit::{CliError, Exit, say, say_error};
use super::retention;
use super::run::resolve_config;
use crate::config::ReportSettings;
use crate::report::trend;
use crate::run::folder::RunFolder;
use crate::run::state_dir::StateDir;
use crate::run::summary::RunSummary;
use crate::run::target_lock::live_holders;

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
    let elsewhere = live_elsewhere().filter(|run| !here.contains(run));
    if here.is_empty() && elsewhere.is_none() {
        say(format_args!("no runs in {}", runs.display()));
        return Ok(Exit::Pass);
    }
    say(format_args!("{:<24} {:<16} {:<10} {:>9}  state", "run", "target", "plan", "length"));
    for run in here.iter().chain(elsewhere.iter()) {
        say(row(run));
    }
    Ok(Exit::Pass)
}

/// The folder that holds the runs.
pub fn folder(config: &ConfigArgs) -> Result<PathBuf, CliError> {
    let settings = match resolve_config(config, false) {
        Ok((config, ..)) => config.report,
        // A run that goes on must be reached, and what one left be removed, whatever has been done to
        // the configuration since.
        Err(error) if config.config.is_none() => {
            let settings = ReportSettings::default();
            let runs = settings.runs.display();
            say_error(&format_args!(
                "{error}\nlooking for runs in {runs}, as without configuration"
            ));
            settings
        }
        Err(error) => return Err(error),
    };
    std::path::absolute(settings.runs).map_err(CliError::usage)
}

/// A run that goes on, started from whatever working directory.
pub fn live_elsewhere() -> Option<RunFolder> {
    let holders = live_holders(&StateDir::open().ok()?);
    holders.into_iter().map(|holder| RunFolder::at(holder.run_dir)).find(RunFolder::has_live_engine)
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
