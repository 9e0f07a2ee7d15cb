//! A run without a dashboard: plain lines on standard output. Its engine is ours: when this process
//! is told to end, or dies, the run is aborted and healed.

use tokio::signal::unix::{SignalKind, signal};

use super::exit::{CliError, Exit, say, say_error};
use super::{dashboard, github, runtime};
use crate::config::InconclusiveExit;
use crate::report::json;
use crate::run::client::{ClientUpdate, EngineClient};
use crate::run::connection;
use crate::run::control::Command;
use crate::run::folder::RunFolder;
use crate::run::state::RunState;
use crate::tui::lines;

/// Watches a run to its end; signals abort it.
pub fn watch(folder: &RunFolder, inconclusive: InconclusiveExit) -> Result<Exit, CliError> {
    runtime(1)?.block_on(async {
        let client = connection::connect(folder, "headless".into(), false);
        let state = match Follower::new(client)?.abort_on_signals().await {
            Ok(state) => state,
            Err(error) => {
                // Its journal tells how far the run came.
                say_error(&error);
                return super::report::after_engine(folder);
            }
        };
        super::report::print_results(folder);
        github::tell(&json::report(&state), folder.path());
        match &state.verdict {
            Some(verdict) => Ok(Exit::of(verdict.verdict, inconclusive)),
            None => Ok(Exit::Aborted),
        }
    })
}

/// Prints what happens in a run that is not ours, until it is over or a signal ends this process.
pub fn look_on(folder: &RunFolder) -> Result<Exit, CliError> {
    runtime(1)?.block_on(async {
        let client = connection::connect(folder, dashboard::client_name(), true);
        let Some(state) = Follower::new(client)?.until(|_| false).await? else {
            say_error(&format_args!("run {} goes on by itself", folder.id()));
            return Ok(Exit::Pass);
        };
        super::report::print_results(folder);
        let verdict = state.verdict.as_ref();
        Ok(verdict.map_or(Exit::Aborted, |v| Exit::of(v.verdict, InconclusiveExit::Own)))
    })
}

/// Returns as soon as the run has begun, and says how to watch it.
pub fn start_and_leave(folder: &RunFolder) -> Result<Exit, CliError> {
    runtime(1)?.block_on(async {
        let client = connection::connect(folder, dashboard::client_name(), true);
        let id = folder.id();
        let begun = Follower::new(client)?.until(|state| state.identity.is_some()).await?;
        if begun.is_none() {
            say_error(&format_args!(
                "interrupted before run {id} had begun: `shakedown runs` tells whether it goes on"
            ));
            return Ok(Exit::Aborted);
        }
        say(format_args!("run {id} goes on by itself: `shakedown attach {id}` watches it"));
        Ok(Exit::Pass)
    })
}

/// Prints what happens in a run.
struct Follower {
    client: EngineClient,
    state: RunState,
    signals: EndSignals,
}

impl Follower {
    fn new(client: EngineClient) -> Result<Self, CliError> {
        Ok(Self { client, state: RunState::default(), signals: EndSignals::catch()? })
    }

    /// To the end of the run; signals abort it.
    async fn abort_on_signals(mut self) -> Result<RunState, CliError> {
        loop {
            tokio::select! {
                update = self.client.updates.recv() => match update {
                    Some(update) => self.hear(update)?,
                    None => return Ok(self.state),
                },
                name = self.signals.next() => {
                    say_error(&format_args!(
                        "{name}: aborting the run, healing first; again to hurry"
                    ));
                    let signal = Some(name.to_owned());
                    self.client.send(Command::AbortRun { signal });
                }
            }
        }
    }

    /// Until something holds, or to the end of the run; none when a signal came before.
    async fn until(
        mut self,
        enough: impl Fn(&RunState) -> bool,
    ) -> Result<Option<RunState>, CliError> {
        while !enough(&self.state) {
            tokio::select! {
                update = self.client.updates.recv() => match update {
                    Some(update) => self.hear(update)?,
                    None => break,
                },
                _ = self.signals.next() => return Ok(None),
            }
        }
        Ok(Some(self.state))
    }

    fn hear(&mut self, update: ClientUpdate) -> Result<(), CliError> {
        match update {
            ClientUpdate::Snapshot(snapshot) => {
                if let (None, Some(identity)) = (&self.state.identity, &snapshot.identity) {
                    say(format_args!("run {} on {}", identity.id, identity.target));
                }
                // What happened before this client was there, or while it was not connected.
                let seen = self.state.identity.is_some().then_some(self.state.now_us);
                let missed = snapshot.log.iter().filter(|line| seen.is_none_or(|s| line.at_us > s));
                missed.for_each(|line| say(lines::log_line(line)));
                self.state = *snapshot;
            }
            ClientUpdate::Event(event) => {
                self.state.apply(&event);
                if let Some(line) = lines::line_for(&event, &self.state) {
                    say(line);
                }
            }
            ClientUpdate::Disconnected(reason) => return Err(CliError::usage(reason)),
            ClientUpdate::Connecting(_) | ClientUpdate::ReadOnly { .. } => {}
        }
        Ok(())
    }
}

struct EndSignals([(tokio::signal::unix::Signal, &'static str); 3]);

impl EndSignals {
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
