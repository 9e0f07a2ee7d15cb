//! The dashboard as a client of a run, and what is said when it closes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::DisplayArgs;
use super::exit::{CliError, Exit, say, say_error};
use super::order::EngineOrder;
use crate::config::{InconclusiveExit, OnDetach};
use crate::report::json::REPORT_FILE;
use crate::run::client::EngineClient;
use crate::run::connection;
use crate::run::folder::RunFolder;
use crate::tui::{self, Ended, Fate};

/// How long an engine whose run is over may take to write its report and end.
const REPORT_WITHIN: Duration = Duration::from_secs(5);

/// How far the dashboard lowers its own priority (nice): where cores are short, a frame that is drawn must
/// not make the generator late.
const GIVES_WAY: i32 = 10;

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
    // A dashboard that may not is one that delays more, no reason to show nothing.
    let _ = rustix::process::nice(GIVES_WAY);
    let options = tui::Options {
        fps: display.fps,
        ascii: display.ascii || !shows_unicode(|name| std::env::var(name).ok()),
        no_color: display.no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()),
        theme: display.theme.clone(),
        report: as_seen_from_here(&folder.path().join(REPORT_FILE)),
        on_detach: on_detach(folder),
    };
    match tui::run(client, options).await.map_err(CliError::usage)? {
        // Left before it had heard that the run is over.
        Ended::Detached(_) if folder.has_journal() && !folder.has_live_engine() => {
            super::report::after_engine(folder)
        }
        Ended::Detached(fate) => {
            say(format_args!("{fate}: `shakedown attach {}` watches it", folder.id()));
            Ok(if fate == Fate::Aborts { Exit::Aborted } else { Exit::Pass })
        }
        Ended::Finished(Some(verdict)) => {
            wait_for_report(folder).await;
            super::report::print_results(folder);
            Ok(Exit::of(verdict.verdict, inconclusive))
        }
        Ended::Finished(None) => {
            say("closed: nothing was started");
            Ok(Exit::Aborted)
        }
        Ended::Disconnected(reason) => {
            say_error(&reason);
            super::report::after_engine(folder)
        }
    }
}

/// Whether the locale, as the first of these variables that is set names it, is one of UTF-8; where none
/// is, nobody has said that it is not.
fn shows_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|locale| !locale.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    let locale = locale.map(|locale| locale.to_ascii_lowercase().replace('-', ""));
    locale.is_none_or(|locale| locale.contains("utf8"))
}

/// What a run does when nobody watches it.
fn on_detach(folder: &RunFolder) -> OnDetach {
    let order = folder.read_order::<EngineOrder>().ok();
    order.map_or(OnDetach::Continue, |order| order.unwatched())
}

/// The report is written after the last event, and its reader may be quicker.
async fn wait_for_report(folder: &RunFolder) {
    let written = async {
        while folder.has_live_engine() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(REPORT_WITHIN, written).await;
}

/// A path below the working directory without it: it fits a line.
pub fn as_seen_from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_that_is_none_of_utf_8_is_one_of_ascii_and_none_at_all_is_not() {
        let shown = |set: &[(&str, &str)]| {
            let value = |name: &str| set.iter().find(|(known, _)| *known == name);
            shows_unicode(|name| value(name).map(|(_, locale)| (*locale).to_owned()))
        };
        for unicode in [
            &[("LANG", "de_DE.UTF-8")][..],
            &[],
            &[("LANG", "")],
            &[("LANG", "C.utf8")],
            &[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C")],
            &[("LC_ALL", "en_US.UTF-8"), ("LC_CTYPE", "POSIX")],
        ] {
            assert!(shown(unicode), "{unicode:?}");
        }
        for ascii in [
            &[("LANG", "C")][..],
            &[("LC_CTYPE", "POSIX"), ("LANG", "C.UTF-8")],
            &[("LC_ALL", "C"), ("LC_CTYPE", "C.UTF-8")],
            &[("LC_ALL", "de_DE.ISO-8859-1")],
        ] {
            assert!(!shown(ascii), "{ascii:?}");
        }
    }
}
