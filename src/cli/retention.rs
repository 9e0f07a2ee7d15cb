//! Keeps the folder of runs within what `runs.keep` allows, and reads the reports of all that there are.

use std::path::Path;

use super::exit::{CliError, say_error};
use super::recover::left_anything;
use super::report::rebuild;
use crate::config::Keep;
use crate::report::json::{REPORT_FILE, Report};
use crate::run::folder::RunFolder;
use crate::run::journal;
use crate::run::recovery;
use crate::run::retention::{OldRun, archive, archived, due};
use crate::run::state_dir::StateDir;
use crate::run::undo::has_open;
use crate::slo::SloJudge;

/// The runs that are over and go by these rules, each with the reason why it stays all the same.
///
/// # Errors
/// When the state directory cannot be opened.
pub fn due_runs(
    runs: &Path,
    keep: &Keep,
) -> Result<Vec<(RunFolder, Option<&'static str>)>, CliError> {
    let state = StateDir::open().map_err(CliError::usage)?;
    let over = RunFolder::list(runs).into_iter().filter(|run| !run.has_live_engine());
    let due = due(over.map(OldRun::of).collect(), keep).into_iter().map(|run| run.folder);
    Ok(due.map(|run| (run.clone(), reason_to_keep(&run, &state))).collect())
}

/// The folder of a run is the only record of what it may have left behind.
fn reason_to_keep(run: &RunFolder, state: &StateDir) -> Option<&'static str> {
    if has_open(state, &run.id()) {
        return Some("it left something broken");
    }
    let recorded = journal::read(run.path());
    let left = recorded.is_ok_and(|recorded| left_anything(run, &recorded.state));
    left.then_some("it may have left something in the platform")
}

/// Archives a run; its report is written first where it has none.
///
/// # Errors
/// When its journal cannot be read, or a file not be written or moved.
pub fn put_away(run: &RunFolder) -> Result<(), CliError> {
    if !run.path().join(REPORT_FILE).is_file() {
        let recorded = recovery::open(run, &SloJudge).map_err(CliError::usage)?;
        rebuild(run, &recorded.on_record().map_err(CliError::usage)?)?;
    }
    let failed = |error| CliError::usage(format!("{}: {error}", run.path().display()));
    archive(run).map(|_| ()).map_err(failed)
}

/// Archives what `runs.keep` does not allow any more. A failure is said, and is no reason not to run.
pub fn apply(runs: &Path, keep: &Keep) {
    if *keep == Keep::default() {
        return;
    }
    let ended = due_runs(runs, keep).and_then(|due| {
        due.iter().filter(|(_, why)| why.is_none()).try_for_each(|(run, _)| put_away(run))
    });
    if let Err(error) = ended {
        say_error(&format_args!("runs.keep: {error}"));
    }
}

/// The reports of all runs in a folder, archived ones too, the oldest first.
pub fn reports(runs: &Path) -> Vec<Report> {
    let mut all: Vec<_> = RunFolder::list(runs).into_iter().chain(archived(runs)).collect();
    all.sort_by_key(RunFolder::id);
    let read = |run: &RunFolder| std::fs::read(run.path().join(REPORT_FILE)).ok();
    all.iter().filter_map(read).filter_map(|text| serde_json::from_slice(&text).ok()).collect()
}
