//! Reading a configuration: the file, then the environment, then the command line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::overrides::{self, Applied, Override};
use super::position::Positions;
use super::problem::{ConfigError, Place, Problem, in_our_words, nearest_key, without_credentials};
use super::validate::{Contradiction, contradictions};
use super::{Config, ReportSettings, Workloads, k6_options};

/// The file that is used when none is named.
pub const DEFAULT_FILE: &str = "shakedown.yaml";
/// The built-in workloads, as data.
pub const SHIPPED: &str = include_str!("shipped.yaml");
/// A configuration is written by hand; more than this is something else.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The file; without one [`DEFAULT_FILE`], where it exists.
    pub file: Option<PathBuf>,
    /// `path=value`, in order.
    pub set: Vec<String>,
    /// Environment variables.
    pub variables: Vec<(String, String)>,
}

impl LoadOptions {
    /// With the variables of this process.
    pub fn from_process(file: Option<PathBuf>, set: Vec<String>) -> Self {
        let text = |os: std::ffi::OsString| os.into_string().ok();
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        Self { file, set, variables: variables.collect() }
    }

    fn overrides(&self) -> Result<Vec<Override>, Problem> {
        let variables = self.variables.iter();
        let from_environment =
            variables.filter_map(|(name, value)| Override::from_variable(name, value));
        let mut changes: Vec<Override> = from_environment.collect();
        changes.sort_by(|a, b| a.source.cmp(&b.source));
        for text in &self.set {
            changes.push(Override::from_set(text)?);
        }
        Ok(changes)
    }
}

/// A configuration that has been read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, complete and without contradictions.
    pub config: Config,
    /// Where it came from, in words.
    pub source: String,
    /// Where each value came from that is not a default, by path.
    pub origins: BTreeMap<String, String>,
    /// Environment variables that are named like ours and count for nothing, each in a line.
    pub unknown_variables: Vec<String>,
    /// The text that it was read from, with the places of its values; none for a built-in one.
    document: Option<(String, Positions)>,
}

impl Loaded {
    /// A value as one line, without what must not be shown of it; none where a path leads to nothing.
    pub fn value(&self, path: &str) -> Option<String> {
        // What is sent with every request may be a secret that somebody has written here all the same.
        if path.split('.').any(|part| part == "headers") {
            return Some("***".into());
        }
        let whole = serde_json::to_value(&self.config).ok()?;
        let value = match overrides::find(&whole, path)? {
            Value::String(text) => text.clone(),
            other => {
                let text = other.to_string();
                if text.contains(r#""headers":{""#) {
                    return Some("***".into());
                }
                text
            }
        };
        Some(without_credentials(&value))
    }

    /// What is wrong with a value, where it stands.
    pub fn problem(&self, path: &str, message: &str, hint: Option<String>) -> Problem {
        let source = self.document.as_ref();
        let source = source.map(|(text, positions)| Source { name: &self.source, text, positions });
        Problem { hint, ..locate(path, message, &self.origins, source.as_ref()) }
    }
}

/// Reads a configuration. None: there is no file, and none was named.
///
/// # Errors
/// Everything that is wrong with it, with file, line, column and hint.
pub fn load(options: &LoadOptions) -> Result<Option<Loaded>, ConfigError> {
    let file = match &options.file {
        Some(file) => file.clone(),
        None if PathBuf::from(DEFAULT_FILE).is_file() => DEFAULT_FILE.into(),
        None => return Ok(None),
    };
    let name = file.display().to_string();
    parse(&name, &read_text(&file)?, options).map(Some)
}

/// The folder of the runs, whatever else is wrong with a configuration: what has run is found all the same.
pub fn runs_folder(options: &LoadOptions) -> PathBuf {
    #[derive(Default, Deserialize)]
    struct OnlyReport {
        #[serde(default)]
        report: OnlyRuns,
    }
    #[derive(Default, Deserialize)]
    struct OnlyRuns {
        runs: Option<PathBuf>,
    }
    let overrides = options.overrides().unwrap_or_default();
    if let Some(last) = overrides.iter().rfind(|change| change.path == "report.runs") {
        return PathBuf::from(&last.value);
    }
    let file = options.file.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let text = read_text(&file).unwrap_or_default();
    let read: OnlyReport = serde_yaml::from_str(&text).unwrap_or_default();
    read.report.runs.unwrap_or_else(|| ReportSettings::default().runs)
}

/// Reads one of our documents, which are written by hand: what is larger is something else.
///
/// # Errors
/// When it cannot be read, is no text, or is too large.
pub fn read_text(file: &Path) -> Result<String, ConfigError> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        File::open(file)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::other(format!("expected at most {MAX_FILE_BYTES} bytes")));
        }
        Ok(text)
    };
    let fail = |error: io::Error| ConfigError::Read {
        file: file.display().to_string(),
        reason: error.to_string(),
    };
    read().map_err(fail)
}

/// Reads a configuration from a text; `name` stands in messages.
///
/// # Errors
/// As [`load`].
pub fn parse(name: &str, text: &str, options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let (config, positions): (Config, Positions) = read_yaml(name, text)?;
    let source = Source { name, text, positions: &positions };
    let mut origins: BTreeMap<String, String> = positions
        .leaves()
        .map(|(path, place)| (path.to_owned(), format!("{name}:{}", place.line)))
        .collect();
    let (config, unknown_variables) = finish(config, options, &mut origins, Some(&source))?;
    let document = Some((text.to_owned(), positions));
    Ok(Loaded { config, source: name.to_owned(), origins, unknown_variables, document })
}

/// Puts the values of environment and command line on top of a configuration that came from elsewhere.
///
/// # Errors
/// As [`load`].
pub fn apply_overrides(config: Config, options: &LoadOptions) -> Result<Loaded, ConfigError> {
    let mut origins = BTreeMap::new();
    let (config, unknown_variables) = finish(config, options, &mut origins, None)?;
    let source = "built-in".into();
    Ok(Loaded { config, source, origins, unknown_variables, document: None })
}

/// Reads any of our YAML documents, with the places of its values; `name` stands in messages.
///
/// # Errors
/// With file, line, column and hint.
pub fn read_yaml<T: serde::de::DeserializeOwned>(
    name: &str,
    text: &str,
) -> Result<(T, Positions), ConfigError> {
    let document = serde_yaml::from_str(text)
        .map_err(|error| ConfigError::Problems(vec![yaml_problem(name, text, &error)]))?;
    Ok((document, Positions::read(text)))
}

struct Source<'a> {
    name: &'a str,
    text: &'a str,
    positions: &'a Positions,
}

fn finish(
    mut config: Config,
    options: &LoadOptions,
    origins: &mut BTreeMap<String, String>,
    file: Option<&Source<'_>>,
) -> Result<(Config, Vec<String>), ConfigError> {
    add_shipped_workloads(&mut config)?;
    lay_k6_options_over(&mut config).map_err(|wrong| located(wrong, origins, file))?;
    let one = |problem| ConfigError::Problems(vec![problem]);
    let changes = options.overrides().map_err(one)?;
    let Applied { config, changes, unknown } = overrides::apply(config, changes).map_err(one)?;
    origins.extend(changes.into_iter().map(|change| (change.path, change.source)));
    let wrong = contradictions(&config);
    if wrong.is_empty() { Ok((config, unknown)) } else { Err(located(wrong, origins, file)) }
}

fn located(
    wrong: Vec<Contradiction>,
    origins: &BTreeMap<String, String>,
    file: Option<&Source<'_>>,
) -> ConfigError {
    let problems = wrong.into_iter().map(|Contradiction { path, message, hint }| Problem {
        hint,
        ..locate(&path, &message, origins, file)
    });
    ConfigError::Problems(problems.collect())
}

fn add_shipped_workloads(config: &mut Config) -> Result<(), ConfigError> {
    #[derive(Deserialize)]
    struct Shipped {
        workloads: Workloads,
    }
    let shipped: Shipped = serde_yaml::from_str(SHIPPED).map_err(|error| {
        ConfigError::Problems(vec![yaml_problem("built-in workloads", SHIPPED, &error)])
    })?;
    let Workloads { mixed, ramping } = shipped.workloads;
    config.workloads.mixed = config.workloads.mixed.take().or(mixed);
    config.workloads.ramping = config.workloads.ramping.take().or(ramping);
    Ok(())
}

fn lay_k6_options_over(config: &mut Config) -> Result<(), Vec<Contradiction>> {
    let Workloads { mixed, ramping } = &mut config.workloads;
    let mut wrong = Vec::new();
    for (name, workload) in [("mixed", mixed), ("ramping", ramping)] {
        let Some(workload) = workload else { continue };
        if let Err(more) = k6_options::lay_over(workload) {
            wrong.extend(more.into_iter().map(|one| Contradiction {
                path: format!("workloads.{name}.{}", one.path),
                ..one
            }));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// A contradiction where it stands: in the file, or where the value was overridden.
fn locate(
    path: &str,
    message: &str,
    origins: &BTreeMap<String, String>,
    file: Option<&Source<'_>>,
) -> Problem {
    let message = format!("{path}: {message}");
    // What was set may be a map, in which the path goes on.
    let around = std::iter::successors(Some(path), |path| Some(path.rsplit_once('.')?.0));
    let overridden = around
        .filter_map(|path| origins.get(path))
        .next()
        .filter(|o| o.starts_with("--set") || o.starts_with("SHAKEDOWN_"));
    match (overridden, file) {
        (Some(source), _) => {
            Problem { source: source.clone(), place: None, line: None, message, hint: None }
        }
        (None, Some(file)) => {
            let place = file.positions.of(path);
            let line = place.and_then(|place| line_of(file.text, place));
            Problem { source: file.name.to_owned(), place, line, message, hint: None }
        }
        (None, None) => {
            Problem { source: "configuration".into(), place: None, line: None, message, hint: None }
        }
    }
}

fn yaml_problem(name: &str, text: &str, error: &serde_yaml::Error) -> Problem {
    let plain = error.without_snippet().to_string();
    let message =
        plain.split(" at line ").next().unwrap_or_default().lines().next().unwrap_or_default();
    let place =
        error.location().map(|at| Place { line: at.line() as usize, column: at.column() as usize });
    let mut words = in_our_words(message);
    // A value that is of the wrong kind is named; an unknown key is named by the message.
    if words != message
        && let Some(place) = place
        && let Some(path) = Positions::read(text).at(place)
    {
        words = format!("{path}: {words}");
    }
    Problem {
        source: name.to_owned(),
        place,
        line: place.and_then(|place| line_of(text, place)),
        message: words,
        hint: nearest_key(message),
    }
}

fn line_of(text: &str, place: Place) -> Option<String> {
    let line = text.lines().nth(place.line.checked_sub(1)?)?;
    let line: String =
        line.chars().take(160).map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
    Some(without_credentials(&line))
}
