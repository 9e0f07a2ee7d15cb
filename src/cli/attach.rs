//! `shakedown attach`: watches a run that goes on, or looks at one that is over.

use super::exit::{CliError, Exit, say, say_error};
use super::{ConfigArgs, DisplayArgs, dashboard, has_terminal, headless, report, runs, runtime};
use crate::config::InconclusiveExit;
use crate::run::client::{ClientUpdate, EngineClient};
use crate::run::folder::RunFolder;
use crate::run::recovery::{self, RecordedRun};
use crate::slo::SloJudge;

/// Options of `attach`.
#[derive(clap::Args)]
pub struct AttachArgs {
    /// Id of the run (or its beginning or end), or its folder; without one the run that goes on
    id: Option<String>,
    /// Only watches: commands are refused
    #[arg(long)]
    read_only: bool,
}

/// Runs the command.
pub fn run(
    config: &ConfigArgs,
    display: &DisplayArgs,
    args: &AttachArgs,
) -> Result<Exit, CliError> {
    let folder = find(config, args.id.as_deref())?;
    match over(&folder)? {
        None if has_terminal() => runtime(1)?.block_on(dashboard::watch(
            &folder,
            display,
            args.read_only,
            InconclusiveExit::Own,
        )),
        None => headless::look_on(&folder),
        Some(recorded) if has_terminal() => {
            let client = explain_end(&folder, &recorded);
            let shown = dashboard::show(client, &folder, display, InconclusiveExit::Own);
            runtime(1)?.block_on(shown)
        }
        Some(_) => report::after_engine(&folder),
    }
}

/// A run that is over; none while it goes on, or is starting and has no journal yet.
fn over(folder: &RunFolder) -> Result<Option<RecordedRun>, CliError> {
    if !folder.has_journal() && folder.has_live_engine() {
        return Ok(None);
    }
    let recorded = recovery::open(folder, &SloJudge).map_err(CliError::usage)?;
    Ok(Some(recorded).filter(|recorded| !recorded.alive))
}

/// A run by name, else the latest that goes on here, else the latest that goes on anywhere, else the
/// last one here.
fn find(config: &ConfigArgs, id: Option<&str>) -> Result<RunFolder, CliError> {
    if id.is_some() {
        return runs::find(config, id);
    }
    let runs = runs::folder(config)?;
    let mut live = runs::live();
    live.extend(RunFolder::list(&runs).into_iter().filter(RunFolder::has_live_engine));
    match live.into_iter().max_by_key(|run| (run.path().starts_with(&runs), run.id())) {
        Some(run) => Ok(run),
        None => runs::latest(&runs),
    }
}

/// A client that hears the recorded end of a run.
fn explain_end(folder: &RunFolder, recorded: &RecordedRun) -> EngineClient {
    let report = report::rebuild(folder, &recorded.state);
    if recorded.interrupted {
        say_error(&format_args!(
            "the engine of run {} ended without finishing it; the report is built from its journal",
            folder.id()
        ));
    }
    report::say_unwritten(recorded);
    match report {
        Ok(report) => say(format_args!("report    {}", report.display())),
        Err(error) => say_error(&error),
    }
    let (client, peer) = EngineClient::pair(true);
    // The channel is empty, so there is room for the one update.
    let _ = peer.updates.try_send(ClientUpdate::Snapshot(Box::new(recorded.state.clone())));
    client
}
