//! What only the files of feeders tell: whether they are there, and have the columns that steps name.

use std::collections::BTreeMap;

use super::placeholder::placeholders;
use super::{ConfigError, Loaded, PhaseKind, Problem, Workload};

/// Columns of the feeders of a workload, by their names; none of one that cannot be read.
type Columns<'a> = BTreeMap<&'a str, Option<Vec<String>>>;

/// Reads the feeders of the load phases among these.
///
/// # Errors
/// Feeders that cannot be read, and placeholders that name none of their columns.
pub fn check_feeders(loaded: &Loaded, phases: &[PhaseKind]) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    for kind in phases {
        let Some(workload) = loaded.config.workloads.of(*kind) else { continue };
        let path = format!("workloads.{kind}");
        let columns = read(&path, workload, loaded, &mut problems);
        for (at, text) in texts(&path, workload) {
            let wrong = placeholders(text).find_map(|name| unknown(name, &columns));
            problems.extend(wrong.map(|(why, hint)| loaded.problem(&at, &why, Some(hint))));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(ConfigError::Problems(problems)) }
}

fn read<'a>(
    path: &str,
    workload: &'a Workload,
    loaded: &Loaded,
    problems: &mut Vec<Problem>,
) -> Columns<'a> {
    let mut columns = Columns::new();
    for (name, feeder) in &workload.feeders {
        let read = feeder.read().map_err(|why| {
            let kind = match (&feeder.csv, &feeder.jsonl) {
                (Some(_), _) => ".csv",
                (_, Some(_)) => ".jsonl",
                _ => "",
            };
            let hint = std::env::current_dir().map_or_else(
                |_| "paths begin in the working directory".into(),
                |folder| format!("paths begin in the working directory, {}", folder.display()),
            );
            let hint = Some(hint).filter(|_| !kind.is_empty());
            problems.push(loaded.problem(&format!("{path}.feeders.{name}{kind}"), &why, hint));
        });
        columns.insert(name, read.ok().map(|rows| rows.columns));
    }
    columns
}

/// Every text of a workload in which placeholders are filled, with its path.
fn texts<'a>(path: &str, workload: &'a Workload) -> impl Iterator<Item = (String, &'a str)> {
    let scenarios = workload.scenarios.iter().enumerate();
    let flows = scenarios.flat_map(|(at, scenario)| {
        scenario.flows.iter().enumerate().map(move |(flow, of)| (at, flow, of))
    });
    let steps = flows.flat_map(|(scenario, flow, of)| {
        let steps = of.steps.iter().enumerate();
        steps.map(move |(at, step)| (format!("scenarios.{scenario}.flows.{flow}.steps.{at}"), step))
    });
    steps.flat_map(move |(at, step)| {
        let texts = step.filled_texts().into_iter();
        texts.map(move |(below, text)| (format!("{path}.{at}.{below}"), text))
    })
}

/// What is wrong with a placeholder, and what to do. A name with a dot is one of a feeder's columns.
fn unknown(name: &str, columns: &Columns<'_>) -> Option<(String, String)> {
    let (feeder, column) = name.split_once('.')?;
    match columns.get(feeder) {
        Some(None) => None,
        Some(Some(known)) if known.iter().any(|known| known == column) => None,
        Some(Some(known)) => {
            let why = format!("`{{{name}}}`: the feeder `{feeder}` has no column `{column}`");
            Some((why, format!("its columns are {}", known.join(", "))))
        }
        None if is_word(feeder) && is_word(column) => {
            let why = format!("`{{{name}}}`: the workload has no feeder `{feeder}`");
            let known = columns.keys().copied().collect::<Vec<_>>().join(", ");
            let hint = match known.as_str() {
                "" => "rows of values stand in the workload's `feeders`".into(),
                known => format!("its feeders are {known}"),
            };
            Some((why, hint))
        }
        None => None,
    }
}

/// Whether this can be a part of a name; braces around anything else are no placeholder.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}
