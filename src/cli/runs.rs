//! `shakedown runs`: what has been run, and what is running.

use std::path::{Path, PathBuf};

use unicode_width::UnicodeWidthStr;

use super::ConfigArgs;
use super::dashboard::as_seen_from_here;
use super::exit::{CliError, Exit, HANGING, say, say_error, say_folded};
use super::order::EngineOrder;
use super::retention;
use super::run::resolve_config;
use crate::config::runs_folder;
use crate::report::text::widest;
use crate::report::trend;
use crate::run::folder::{FolderError, RunFolder};
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
        say_folded(trend::text(&retention::reports(&runs)).trim_end(), HANGING);
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
    rows.extend(elsewhere.iter().map(|run| match run.path().parent() {
        // One that is starting has no journal yet, wherever it is.
        Some(folder) if folder != runs => {
            let row = row(run);
            Row { standing: format!("{} in {}", row.standing, folder.display()), ..row }
        }
        _ => row(run),
    }));
    tell(&rows);
    Ok(Exit::Pass)
}

fn tell(rows: &[Row]) {
    let target = widest(6, rows.iter().map(|row| &row.target));
    let plan = widest(4, rows.iter().map(|row| &row.plan));
    let line = |id: &str, of: &str, by: &str, length: &str, state: &str| {
        let before = format!("{id:<22} {of:<target$} {by:<plan$} {length:>8}  ");
        say_folded(&format!("{before}{state}"), before.width());
    };
    line("run", "target", "plan", "length", "state");
    for Row { id, target, plan, length, standing } in rows {
        line(id, target, plan, length, standing);
    }
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
    let runs = std::path::absolute(runs).map_err(CliError::usage)?;
    match runs.read_dir() {
        // One that cannot be read is not one without runs.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CliError::usage(format!("cannot read {}: {error}", runs.display())))
        }
        _ => Ok(runs),
    }
}

/// The latest run in a folder: one in which something was started, where there is one.
pub fn latest(runs: &Path) -> Result<RunFolder, CliError> {
    let mut all = RunFolder::list(runs);
    let begun = |run: &RunFolder| RunSummary::of(run).is_none_or(|summary| summary.started);
    let at = all.iter().rposition(begun).or(all.len().checked_sub(1));
    at.map(|at| all.swap_remove(at))
        .ok_or_else(|| CliError::usage(FolderError::NoRuns(runs.into())))
}

/// A run by name, of those here and those that go on anywhere; without a name, the latest one here.
pub fn find(config: &ConfigArgs, name: Option<&str>) -> Result<RunFolder, CliError> {
    let runs = folder(config)?;
    let Some(name) = name else { return latest(&runs) };
    RunFolder::named(&runs, &live(), name).map_err(|error| {
        let id = Path::new(name).file_name().and_then(|name| name.to_str());
        match id.map(|id| RunFolder::named(&runs, &archived(&runs), id)) {
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
    let alive = run.has_live_engine();
    let summary = RunSummary::of(run).or_else(|| starting(run).filter(|_| alive));
    let seconds = summary.as_ref().map_or(0, |summary| summary.seconds);
    let standing = match summary.as_ref().and_then(|summary| summary.verdict.as_ref()) {
        Some(_) if summary.as_ref().is_some_and(|summary| !summary.started) => {
            "never started".into()
        }
        Some(verdict) => verdict.to_string(),
        None if alive && !run.has_journal() => "starting".into(),
        None if alive => RunSummary::standing(run).to_string(),
        None => "aborted: its engine is gone (`shakedown report` builds the report)".into(),
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

/// What there is to say of a run whose engine has not begun its journal yet: what it was asked for.
fn starting(run: &RunFolder) -> Option<RunSummary> {
    let order: EngineOrder = run.read_order().ok()?;
    let (target, plan) = (order.config.target.name, order.plan.name);
    Some(RunSummary { target, plan, seconds: 0, verdict: None, started: false })
}
