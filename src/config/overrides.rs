//! Single values from the command line and the environment, on top of a configuration.

use serde_json::Value;

use super::Config;
use super::problem::{Problem, in_our_words, nearest_key, without_credentials};

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

    /// Whether this is a variable for which the configuration has no place.
    fn is_nowhere(&self, wrong: &Wrong) -> bool {
        let unknown = match wrong {
            Wrong::NoPlace(_) => true,
            Wrong::Unread { message, .. } => {
                let key = message.strip_prefix("unknown field `").and_then(|m| m.split('`').next());
                key.is_some_and(|key| self.path.split('.').any(|part| part == key))
            }
        };
        unknown && self.source.starts_with(PREFIX)
    }

    /// That it counts for nothing, and what may have been meant.
    fn passed_over(&self, wrong: &Wrong) -> String {
        let hint = wrong.hint().map_or_else(String::new, |hint| format!(" ({hint})"));
        format!(
            "{}: the configuration has no `{}`, so it counts for nothing{hint}",
            self.source, self.path
        )
    }
}

/// What became of single values.
pub(super) struct Applied {
    /// The configuration with them.
    pub config: Config,
    /// Those that are in their places.
    pub changes: Vec<Override>,
    /// Variables for which there is no place, each with what may have been meant. They may be somebody
    /// else's: Kubernetes makes variables of the names of services.
    pub unknown: Vec<String>,
}

/// Puts values in their places, one after the other. Values that are wrong only until a later one is
/// in its place too, such as two that depend on each other, are no problem.
pub(super) fn apply(config: Config, changes: Vec<Override>) -> Result<Applied, Problem> {
    let mut applied = Applied { config, changes: Vec::new(), unknown: Vec::new() };
    if changes.is_empty() {
        return Ok(applied);
    }
    let mut whole = serde_json::to_value(&applied.config)
        .map_err(|error| problem("configuration", error.to_string(), None))?;
    let mut known = Ok(applied.config);
    for change in changes {
        let (value, read) = match put(&whole, &change) {
            Err(wrong) | Ok((_, Err(wrong))) if change.is_nowhere(&wrong) => {
                applied.unknown.push(change.passed_over(&wrong));
                continue;
            }
            done => done.map_err(|wrong| wrong.of(&change))?,
        };
        whole = value;
        known = match (known, read) {
            // What was wrong first says most about it.
            (Err(first), Err(_)) => Err(first),
            (_, read) => read.map_err(|wrong| wrong.of(&change)),
        };
        applied.changes.push(change);
    }
    applied.config = known?;
    Ok(applied)
}

/// Why a value cannot be used.
#[derive(Debug)]
enum Wrong {
    /// There is no such place; why, in words.
    NoPlace(String),
    /// What stands there then cannot be read.
    Unread { path: String, message: String },
}

impl Wrong {
    fn is_of_wrong_type(&self) -> bool {
        matches!(self, Self::Unread { message, .. } if message.contains("invalid type"))
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoPlace(_) => None,
            Self::Unread { message, .. } => nearest_key(message),
        }
    }

    fn of(self, change: &Override) -> Problem {
        let hint = self.hint();
        let message = match self {
            Self::NoPlace(reason) => reason,
            Self::Unread { path, message } => format!("{path}: {}", in_our_words(&message)),
        };
        problem(&change.source, message, hint)
    }
}

/// The configuration with one value put in its place, and how it reads.
fn put(whole: &Value, change: &Override) -> Result<(Value, Result<Config, Wrong>), Wrong> {
    let as_text = Value::String(change.value.clone());
    let parsed = value_of(&change.value).unwrap_or_else(|| as_text.clone());
    let with = |value: Value| {
        let mut whole = whole.clone();
        *locate(&mut whole, &change.path).map_err(Wrong::NoPlace)? = value;
        let read = read(whole.clone());
        Ok((whole, read))
    };
    let (value, first) = with(parsed.clone())?;
    match first {
        // `5` may be meant as a text; what is wrong with the text then says more than its type.
        Err(wrong) if parsed != as_text && wrong.is_of_wrong_type() => {
            let (text, second) = with(as_text)?;
            Ok(match second {
                Err(still) if still.is_of_wrong_type() => (value, Err(wrong)),
                second => (text, second),
            })
        }
        first => Ok((value, first)),
    }
}

fn read(whole: Value) -> Result<Config, Wrong> {
    serde_path_to_error::deserialize(whole).map_err(
        |error: serde_path_to_error::Error<serde_json::Error>| Wrong::Unread {
            path: error.path().to_string(),
            message: error.inner().to_string(),
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

/// The value at a path, if there is one.
pub(super) fn find<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(root, |at, part| match at {
        Value::Array(items) => items.get(position(items, part)?),
        value => value.get(part),
    })
}

/// The place of a list's element by its number or its name.
fn position(items: &[Value], part: &str) -> Option<usize> {
    let by_name = || items.iter().position(|item| item["name"].as_str() == Some(part));
    part.parse().ok().or_else(by_name)
}

fn locate<'a>(root: &'a mut Value, path: &str) -> Result<&'a mut Value, String> {
    let mut at = root;
    for part in path.split('.') {
        at = match at {
            Value::Array(items) => {
                let (index, count) = (position(items, part), items.len());
                let item = index.and_then(|index| items.get_mut(index));
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
