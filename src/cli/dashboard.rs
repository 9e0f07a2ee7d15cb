//! The dashboard as a client of a run, and what is said when it closes.

use super::DisplayArgs;
use super::exit::{CliError, Exit, say, say_error};
use crate::config::InconclusiveExit;
use crate::run::client::EngineClient;
use crate::run::connection;
use crate::run::folder::RunFolder;
use crate::tui::{self, Ended};

/// Attaches the dashboard to a run whose engine is alive or about to be.
pub async fn watch(
    folder: &RunFolder,
    display: &DisplayArgs,
    read_only: bool,
    inconclusive: InconclusiveExit,
) -> Result<Exit, CliError> {
    let client = connection::connect(folder, client_name(), read_only);
    show(client, folder, display, inconclusive).await
}

/// Shows what a client hears until the operator leaves.
pub async fn show(
    client: EngineClient,
    folder: &RunFolder,
    display: &DisplayArgs,
    inconclusive: InconclusiveExit,
) -> Result<Exit, CliError> {
    let options = tui::Options {
        fps: display.fps,
        ascii: display.ascii,
        no_color: display.no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()),
        theme: display.theme.clone(),
    };
    let id = folder.id();
    match tui::run(client, options).await.map_err(CliError::usage)? {
        Ended::Detached => {
            say(format_args!("run {id} goes on: `shakedown attach {id}` watches it again"));
            Ok(Exit::Pass)
        }
        Ended::Finished(Some(verdict)) => {
            super::report::print_results(folder);
            Ok(Exit::of(verdict.verdict, inconclusive))
        }
        Ended::Finished(None) => {
            say("closed: nothing was started");
            Ok(Exit::Aborted)
        }
        // The terminal is gone: nobody is there to be told anything.
        Ended::Hangup => Ok(Exit::Pass),
        Ended::Disconnected(reason) => {
            say_error(&reason);
            super::report::after_engine(folder)
        }
    }
}

/// How this operator is called in acknowledgements: user and terminal.
pub fn client_name() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "operator".into());
    let from = std::env::var("SSH_CONNECTION").ok();
    match from.as_deref().and_then(|connection| connection.split(' ').next()) {
        Some(address) => format!("{user} from {address}"),
        None => user,
    }
}
