//! `shakedown compare` and `--baseline`: what became worse since another run.

use std::path::{Path, PathBuf};

use super::ConfigArgs;
use super::exit::{CliError, Exit, HANGING, say, say_folded};
use super::runs;
use crate::report::compare::{Comparison, compare};
use crate::report::json::{self, REPORT_FILE, Report};
use crate::run::folder::RunFolder;
use crate::run::recovery;
use crate::run::retention::archived;
use crate::slo::SloJudge;

/// Options of `compare`.
#[derive(clap::Args)]
pub struct CompareArgs {
    /// The earlier run: its id (or the beginning or end of it), its folder, or a JSON report
    before: String,
    /// The later run; without one the latest
    after: Option<String>,
    /// Changes of latencies within this share of the earlier figure do not count, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = DEFAULT_TOLERANCE,
          value_parser = parse_percent)]
    tolerance: f64,
    /// Prints the comparison as JSON
    #[arg(long)]
    json: bool,
}

/// Percent.
const DEFAULT_TOLERANCE: f64 = 5.0;

fn parse_percent(word: &str) -> Result<f64, String> {
    let percent = word.trim_end_matches('%').trim().parse::<f64>().ok();
    let percent = percent.filter(|percent| (0.0..=1000.0).contains(percent));
    percent.ok_or_else(|| "expected a percentage from 0 to 1000, such as 5".into())
}

/// Runs the command; figures that became worse are a failure.
pub fn run(config: &ConfigArgs, args: &CompareArgs) -> Result<Exit, CliError> {
    let runs = runs::folder(config)?;
    let before = load(&runs, Some(&args.before))?;
    let after = load(&runs, args.after.as_deref())?;
    let comparison = compare(&before, &after, args.tolerance / 100.0);
    if args.json {
        say(serde_json::to_string_pretty(&comparison).map_err(CliError::usage)?);
    } else {
        say_folded(comparison.text().trim_end(), HANGING);
    }
    Ok(exit_of(&comparison))
}

/// Compares a run that has just ended with its baseline, and prints what became of it.
pub fn with_baseline(baseline: &Report, run: &RunFolder) -> Result<Exit, CliError> {
    let after = of_run(run)?;
    let comparison = compare(baseline, &after, DEFAULT_TOLERANCE / 100.0);
    say_folded(comparison.text().trim_end(), HANGING);
    Ok(exit_of(&comparison))
}

/// The report of a run, of an archived one too, or one in a file.
pub fn load(runs: &Path, name: Option<&str>) -> Result<Report, CliError> {
    if let Some(file) = name.map(Path::new).and_then(written) {
        return read(&file);
    }
    let found = match name {
        Some(name) => RunFolder::named(runs, &archived(runs), name).map_err(CliError::usage)?,
        None => runs::latest(runs)?,
    };
    written(found.path()).map_or_else(|| of_run(&found), |file| read(&file))
}

/// The report that a path stands for: that file itself, or the one in a folder from which the journal
/// is gone.
fn written(path: &Path) -> Option<PathBuf> {
    let within = path.join(REPORT_FILE);
    let alone = || within.is_file() && !RunFolder::at(path.to_owned()).has_journal();
    if path.is_file() { Some(path.to_owned()) } else { alone().then_some(within) }
}

fn read(file: &Path) -> Result<Report, CliError> {
    let text = std::fs::read(file).map_err(|error| error.to_string());
    text.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()))
        .map_err(|error| CliError::usage(format!("{}: not a report: {error}", file.display())))
}

fn of_run(folder: &RunFolder) -> Result<Report, CliError> {
    let recorded = recovery::open(folder, &SloJudge).map_err(CliError::usage)?;
    Ok(json::report(&recorded.state))
}

fn exit_of(comparison: &Comparison) -> Exit {
    match comparison.regressions().next() {
        Some(_) => Exit::Fail,
        None => Exit::Pass,
    }
}
