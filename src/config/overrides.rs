//! Single values from the command line and the environment, on top of a configuration.

use serde_json::Value;

use super::Config;
use super::problem::{Problem, nearest_key, without_credentials};

/// Environment variables that begin like overrides and are none.
const RESERVED: [&str; 1] = ["SHAKEDOWN_LOG"];
const PREFIX: &str = "SHAKEDOWN_";

/// One value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// `--set` or the name of an environment variable.
    pub source: String,
    /// Path of the value, such as `phases.cooldown`.
    pub path: String,
    /// The value as it was written.
    pub value: String,
}

impl Override {
    /// From `path=value`.
    pub(super) fn from_set(text: &str) -> Result<Self, Problem> {
        match text.split_once('=') {
            Some((path, value)) if !path.trim().is_empty() => Ok(Self {
                source: format!("--set {}", without_credentials(text)),
                path: path.trim().to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(problem(&format!("--set {text}"), "expected path=value".into(), None)),
        }
    }

    /// From an environment variable such as `SHAKEDOWN_PHASES__COOLDOWN`; none when it is no override.
    pub(super) fn from_variable(name: &str, value: &str) -> Option<Self> {
        let path = name.strip_prefix(PREFIX).filter(|_| !RESERVED.contains(&name))?;
        Some(Self {
            source: name.to_owned(),
            path: path.to_lowercase().replace("__", "."),
            value: value.to_owned(),
        })
    }
}

/// Puts values in their places, one after the other. Values that are wrong only until a later one is
/// in its place too, such as two that depend on each other, are no problem.
pub(super) fn apply(config: Config, changes: &[Override]) -> Result<Config, Problem> {
    if changes.is_empty() {
        return Ok(config);
    }
    let mut whole = serde_json::to_value(&config)
        .map_err(|error| problem("configuration", error.to_string(), None))?;
    let mut known = Ok(config);
    for change in changes {
        let (value, read) = put(&whole, change)?;
        whole = value;
        known = match (known, read) {
            // What was wrong first says most about it.
            (Err(first), Err(_)) => Err(first),
            (_, read) => read,
        };
    }
    known
}

/// The configuration with one value put in its place, and how it reads.
fn put(whole: &Value, change: &Override) -> Result<(Value, Result<Config, Problem>), Problem> {
    let as_text = Value::String(change.value.clone());
    let parsed = value_of(&change.value).unwrap_or_else(|| as_text.clone());
    let with = |value: Value| {
        let mut whole = whole.clone();
        let place = locate(&mut whole, &change.path)
            .map_err(|reason| problem(&change.source, reason, None))?;
        *place = value;
        let read = read(whole.clone(), &change.source);
        Ok((whole, read))
    };
    let (value, first) = with(parsed.clone())?;
    match first {
        // `5` may be meant as a text; what is wrong with the text then says more than its type.
        Err(problem) if parsed != as_text && is_of_wrong_type(&problem) => {
            let (text, second) = with(as_text)?;
            Ok(match second {
                Err(still) if is_of_wrong_type(&still) => (value, Err(problem)),
                second => (text, second),
            })
        }
        first => Ok((value, first)),
    }
}

fn is_of_wrong_type(problem: &Problem) -> bool {
    problem.message.contains("invalid type")
}

fn read(whole: Value, source: &str) -> Result<Config, Problem> {
    serde_path_to_error::deserialize(whole).map_err(
        |error: serde_path_to_error::Error<serde_json::Error>| {
            let message = error.inner().to_string();
            let hint = nearest_key(&message);
            problem(source, format!("{}: {message}", error.path()), hint)
        },
    )
}

/// A number, a truth value, or a list or map as YAML writes them in one line; none for a text.
fn value_of(text: &str) -> Option<Value> {
    if text.starts_with(['[', '{']) {
        return serde_yaml::from_str(text).ok();
    }
    serde_json::from_str(text).ok()
}

fn problem(source: &str, message: String, hint: Option<String>) -> Problem {
    Problem { source: source.to_owned(), place: None, line: None, message, hint }
}

fn locate<'a>(root: &'a mut Value, path: &str) -> Result<&'a mut Value, String> {
    let mut at = root;
    for part in path.split('.') {
        at = match at {
            Value::Array(items) => {
                let by_name = || items.iter().position(|item| item["name"].as_str() == Some(part));
                let index = part.parse().ok().or_else(by_name);
                let count = items.len();
                let item = index.and_then(|index: usize| items.get_mut(index));
                item.ok_or_else(|| format!("{path}: no element `{part}` among {count}"))?
            }
            Value::Null => {
                *at = Value::Object(serde_json::Map::new());
                &mut at[part]
            }
            Value::Object(_) => &mut at[part],
            _ => return Err(format!("{path}: there is nothing inside a single value")),
        };
    }
    Ok(at)
}
