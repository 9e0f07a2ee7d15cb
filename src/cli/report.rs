//! `shakedown report` and `shakedown results`.

use std::path::PathBuf;

use super::ConfigArgs;
use super::dashboard::as_seen_from_here;
use super::exit::{CliError, Exit, say, say_error, say_folded};
use super::recover::left_anything;
use super::runs;
use crate::config::InconclusiveExit;
use crate::report::{csv, ctrf, hlog, html, json, junit, markdown, security, text};
use crate::run::folder::RunFolder;
use crate::run::recovery::{self, RecordedRun};
use crate::run::state::RunState;
use crate::slo::SloJudge;

/// Column in which lines of a summary go on that do not fit the terminal.
const HANGING: usize = 10;

/// Options of `report`.
#[derive(clap::Args)]
pub struct ReportArgs {
    /// Id of the run (or its beginning or end), or its folder; without one the latest
    id: Option<String>,
    /// Prints the report in this format instead of a summary: json, html, junit, ctrf, markdown, csv,
    /// hlog, sarif
    #[arg(long, value_parser = parse_format)]
    format: Option<Format>,
}

/// The formats that are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Html,
    Junit,
    Ctrf,
    Markdown,
    Csv,
    Hlog,
    Sarif,
}

fn parse_format(word: &str) -> Result<Format, String> {
    match word {
        "json" => Ok(Format::Json),
        "html" => Ok(Format::Html),
        "junit" => Ok(Format::Junit),
        "ctrf" => Ok(Format::Ctrf),
        "markdown" | "md" => Ok(Format::Markdown),
        "csv" => Ok(Format::Csv),
        "hlog" => Ok(Format::Hlog),
        "sarif" => Ok(Format::Sarif),
        _ => Err("expected json, html, junit, ctrf, markdown, csv, hlog or sarif".into()),
    }
}

fn written(format: Format, folder: &RunFolder, state: &RunState) -> Result<String, CliError> {
    let report = json::report(state);
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(&report).map_err(CliError::usage)?,
        Format::Html => html::document(state),
        Format::Junit => junit::document(&report),
        Format::Ctrf => {
            serde_json::to_string_pretty(&ctrf::document(&report)).map_err(CliError::usage)?
        }
        Format::Markdown => markdown::document(&report),
        Format::Csv => csv::document(&report),
        Format::Hlog => {
            let log = hlog::document(folder.path()).map_err(CliError::usage)?;
            String::from_utf8_lossy(&log).into_owned()
        }
        Format::Sarif => {
            let audit = report.phases.iter().find_map(|phase| phase.security.as_ref());
            let audit = audit.ok_or_else(|| {
                CliError::usage(format!("run {} has no security audit", folder.id()))
            })?;
            serde_json::to_string_pretty(&security::sarif(audit)).map_err(CliError::usage)?
        }
    })
}

/// Writes the report of a run anew from its journal, and prints it.
pub fn run(config: &ConfigArgs, args: &ReportArgs) -> Result<Exit, CliError> {
    let folder = runs::find(config, args.id.as_deref())?;
    if !folder.has_journal() {
        let id = folder.id();
        return Err(CliError::usage(format!(
            "run {id} is starting: there is nothing to report yet"
        )));
    }
    let recorded = recovery::open(&folder, &SloJudge).map_err(CliError::usage)?;
    if recorded.alive {
        say_error(&"the run goes on: this is a partial report");
    } else if recorded.interrupted {
        say_error(&"the engine ended without finishing the run: its journal tells what happened");
    }
    if recorded.garbage_bytes > 0 {
        say_error(&format_args!(
            "{} bytes at the end of its journal were torn or are no events, and count for nothing",
            recorded.garbage_bytes
        ));
    }
    if !recorded.alive && left_anything(&folder, &recorded.state) {
        let id = folder.id();
        say_error(&format_args!(
            "it may have left something in the platform: `shakedown recover {id}` removes it"
        ));
    }
    say_unwritten(&recorded);
    match args.format {
        Some(format) => {
            if let Err(error) = rebuild(&folder, &recorded.state) {
                say_error(&error);
            }
            say(written(format, &folder, &recorded.state)?.trim_end());
        }
        None => rebuild_and_print(&folder, &recorded.state),
    }
    Ok(exit_of(&recorded.state))
}

/// Tells how a run ended whose engine went away under a client's eyes.
pub fn after_engine(folder: &RunFolder) -> Result<Exit, CliError> {
    // Refused before it began, or still alive: there is nothing to add to what was said.
    let Ok(recorded) = recovery::open(folder, &SloJudge) else { return Ok(Exit::Usage) };
    if recorded.alive || recorded.state.identity.is_none() {
        return Ok(Exit::Usage);
    }
    say_unwritten(&recorded);
    rebuild_and_print(folder, &recorded.state);
    Ok(exit_of(&recorded.state))
}

/// Says where what is told about a run's end is not in its journal.
pub fn say_unwritten(recorded: &RecordedRun) {
    if let Some(error) = &recorded.unwritten {
        say_error(&format_args!("{error}: the run's end is told, and not on record"));
    }
}

/// Writes a run's report into its folder and prints its summary, which needs no room on a disk.
fn rebuild_and_print(folder: &RunFolder, state: &RunState) {
    match rebuild(folder, state) {
        Ok(_) => print_results(folder),
        Err(error) => {
            say_error(&error);
            say_folded(text::summary(&json::report(state)).trim_end(), HANGING);
        }
    }
}

/// Prints the last run's results.
pub fn results(config: &ConfigArgs) -> Result<Exit, CliError> {
    run(config, &ReportArgs { id: None, format: None })
}

/// Writes a run's report into its folder.
pub fn rebuild(folder: &RunFolder, state: &RunState) -> Result<PathBuf, CliError> {
    let written = json::write(folder.path(), state);
    written.map_err(|error| CliError::usage(format!("cannot write the report: {error}")))
}

/// Prints the summary of a report that is there.
pub fn print_results(folder: &RunFolder) {
    let path = folder.path().join(json::REPORT_FILE);
    let report = std::fs::read(&path).map_err(|error| error.to_string());
    match report.and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string())) {
        Ok(report) => {
            say_folded(text::summary(&report).trim_end(), HANGING);
            say(format_args!("report    {}", as_seen_from_here(&path).display()));
            let page = folder.path().join(html::HTML_FILE);
            say(format_args!("          {}", as_seen_from_here(&page).display()));
        }
        Err(error) => say_error(&format_args!(
            "no report at {}: {error}; `shakedown report {}` builds it from the journal",
            path.display(),
            folder.id()
        )),
    }
}

fn exit_of(state: &RunState) -> Exit {
    let inconclusive =
        state.criteria.map_or(InconclusiveExit::Own, |criteria| criteria.inconclusive);
    state.verdict.as_ref().map_or(Exit::Pass, |verdict| Exit::of(verdict.verdict, inconclusive))
}
