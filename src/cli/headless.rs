//! A run without a dashboard: plain lines on standard output. Its engine is ours: when this process
//! is told to end, or dies, the run is aborted and healed.

use tokio::signal::unix::{SignalKind, signal};

use super::exit::{CliError, Exit, say, say_error};
use super::{dashboard, runtime};
use crate::config::InconclusiveExit;
use crate::run::client::{ClientUpdate, EngineClient};
use crate::run::connection;
use crate::run::control::Command;
use crate::run::folder::RunFolder;
use crate::run::state::RunState;
use crate::tui::lines;

/// Watches a run to its end.
pub fn watch(folder: &RunFolder, inconclusive: InconclusiveExit) -> Result<Exit, CliError> {
    runtime(1)?.block_on(async {
        let mut client = connection::connect(folder, "headless".into(), false);
        let state = follow(&mut client, |_| false).await?;
        super::report::print_results(folder);
        match &state.verdict {
            Some(verdict) => Ok(Exit::of(verdict.verdict, inconclusive)),
            None => Ok(Exit::Aborted),
        }
    })
}

/// Prints what happens in a run that is not ours, until it is over.
pub fn look_on(folder: &RunFolder) -> Result<Exit, CliError> {
    runtime(1)?.block_on(async {
        let mut client = connection::connect(folder, dashboard::client_name(), true);
        let state = follow(&mut client, |_| false).await?;
        super::report::print_results(folder);
        let verdict = state.verdict.as_ref();
        Ok(verdict.map_or(Exit::Aborted, |v| Exit::of(v.verdict, InconclusiveExit::Own)))
    })
}

/// Returns as soon as the run has begun, and says how to watch it.
pub fn start_and_leave(folder: &RunFolder) -> Result<Exit, CliError> {
    runtime(1)?.block_on(async {
        let mut client = connection::connect(folder, dashboard::client_name(), true);
        follow(&mut client, |state| state.identity.is_some()).await?;
        let id = folder.id();
        say(format_args!("run {id} goes on by itself: `shakedown attach {id}` watches it"));
        Ok(Exit::Pass)
    })
}

/// Prints what happens until the run is over or `enough` says so; signals abort the run.
async fn follow(
    client: &mut EngineClient,
    enough: impl Fn(&RunState) -> bool,
) -> Result<RunState, CliError> {
    let mut state = RunState::default();
    let mut signals = AbortSignals::catch()?;
    loop {
        let update = tokio::select! {
            update = client.updates.recv() => update,
            name = signals.next() => {
                say_error(&format_args!("{name}: aborting the run, healing first; again to hurry"));
                client.send(Command::AbortRun {});
                continue;
            }
        };
        match update {
            Some(ClientUpdate::Snapshot(snapshot)) => {
                state = *snapshot;
                if let Some(identity) = &state.identity {
                    say(format_args!("run {} on {}", identity.id, identity.target));
                }
                // What happened before this client was there.
                state.log.iter().for_each(|line| say(lines::log_line(line)));
            }
            Some(ClientUpdate::Event(event)) => {
                state.apply(&event);
                if let Some(line) = lines::line_for(&event, &state) {
                    say(line);
                }
            }
            Some(ClientUpdate::Disconnected(reason)) => return Err(CliError::usage(reason)),
            Some(ClientUpdate::Connecting(_) | ClientUpdate::ReadOnly { .. }) => {}
            None => return Ok(state),
        }
        if enough(&state) {
            return Ok(state);
        }
    }
}

struct AbortSignals([(tokio::signal::unix::Signal, &'static str); 3]);

impl AbortSignals {
    fn catch() -> Result<Self, CliError> {
        let catch = |kind| signal(kind).map_err(CliError::usage);
        Ok(Self([
            (catch(SignalKind::interrupt())?, "SIGINT"),
            (catch(SignalKind::terminate())?, "SIGTERM"),
            (catch(SignalKind::hangup())?, "SIGHUP"),
        ]))
    }

    async fn next(&mut self) -> &'static str {
        let [(interrupt, a), (terminate, b), (hangup, c)] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => a,
            _ = terminate.recv() => b,
            _ = hangup.recv() => c,
        }
    }
}
