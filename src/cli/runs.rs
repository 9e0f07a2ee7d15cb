//! `shakedown runs`: what has been run, and what is running.

use std::path::{Path, PathBuf};

use super::ConfigArgs;
use super::dashboard::as_seen_from_here;
use super::exit::{CliError, Exit, say, say_error};
use super::retention;
use super::run::resolve_config;
use crate::config::runs_folder;
use crate::report::text::widest;
use crate::report::trend;
use crate::run::folder::RunFolder;
use crate::run::live_runs::live_runs;
use crate::run::retention::archived;
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
    let mut rows: Vec<Row> = here.iter().map(row).collect();
    rows.extend(elsewhere.iter().map(|run| {
        let folder = run.path().parent().unwrap_or(run.path());
        let row = row(run);
        Row { standing: format!("{} in {}", row.standing, folder.display()), ..row }
    }));
    let target = widest(16, rows.iter().map(|row| &row.target));
    let plan = widest(10, rows.iter().map(|row| &row.plan));
    say(format_args!(
        "{:<24} {:<target$} {:<plan$} {:>9}  state",
        "run", "target", "plan", "length"
    ));
    for row in rows {
        say(format_args!(
            "{:<24} {:<target$} {:<plan$} {:>9}  {}",
            row.id, row.target, row.plan, row.length, row.standing
        ));
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
    let runs = folder(config)?;
    RunFolder::find_also_among(&runs, &live(), name).map_err(|error| {
        let id = name.and_then(|name| Path::new(name).file_name()?.to_str());
        match id.map(|id| RunFolder::find_also_among(&runs, &archived(&runs), Some(id))) {
            Some(Ok(run)) => CliError::usage(format!(
                "run {} is archived: its journal is gone, its reports are in {}",
                run.id(),
                as_seen_from_here(run.path()).display()
            )),
            _ => CliError::usage(error),
        }
    })
}

/// The runs that go on, started from whatever working directory, oldest first.
pub fn live() -> Vec<RunFolder> {
    StateDir::open().map(|state| live_runs(&state)).unwrap_or_default()
}

/// What the list says of a run.
struct Row {
    id: String,
    target: String,
    plan: String,
    length: String,
    standing: String,
}

fn row(run: &RunFolder) -> Row {
    let summary = RunSummary::of(run);
    let seconds = summary.as_ref().map_or(0, |summary| summary.seconds);
    let standing = match (summary.as_ref().and_then(|s| s.verdict.as_ref()), run.has_live_engine())
    {
        (Some(verdict), _) => verdict.to_string(),
        (None, true) => RunSummary::standing(run).to_string(),
        (None, false) => {
            "aborted: its engine is gone (`shakedown report` builds the report)".into()
        }
    };
    let (target, plan) =
        summary.map_or_else(|| ("?".into(), "?".into()), |summary| (summary.target, summary.plan));
    Row {
        id: run.id(),
        target,
        plan,
        length: format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        standing,
    }
}
