//! What is wrong with a configuration, where, and what to do.

use std::fmt;

/// A place in a configuration file, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the value came from: a file name, `--set ...` or a variable's name.
    pub source: String,
    /// Where in the file.
    pub place: Option<Place>,
    /// The line of the file, for the caret.
    pub line: Option<String>,
    /// What was expected and what came.
    pub message: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        if let (Some(line), Some(place)) = (&self.line, self.place) {
            let before: String = line
                .chars()
                .take(place.column.saturating_sub(1))
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            write!(f, "\n  | {line}\n  | {before}^")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {file}: {reason}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// It was read, and something in it is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Problem>),
}

/// The YAML reader's message in words that say what was expected.
pub(super) fn in_our_words(message: &str) -> String {
    if message.contains("unexpected end of input") {
        return "the file is empty: expected at least `target` (`shakedown init` writes one)"
            .into();
    }
    if let Some((before, _)) = message.split_once(", set DuplicateKeyPolicy") {
        return format!("{before}: the key stands here twice");
    }
    if message.contains("multiple YAML documents") {
        return "a second document begins here: expected one in a file".into();
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        return format!("expected the key {key}, which is missing");
    }
    if let Some((came, kind)) = message.rsplit_once(", expected ")
        && let Some(wanted) = kind_words(kind)
    {
        let came = came.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
        return format!("expected {wanted}, not {came}");
    }
    match message.strip_prefix("invalid ") {
        Some("u8" | "u16" | "u32" | "u64" | "usize") => "expected a whole number".into(),
        Some("f64" | "floating point") => "expected a number".into(),
        Some("bool" | "boolean") => "expected true or false".into(),
        _ => node_words(message).map_or_else(|| message.to_owned(), str::to_owned),
    }
}

/// What the YAML reader says where one kind of node stands for another, or a value is no address.
fn node_words(message: &str) -> Option<&'static str> {
    Some(match message {
        "expected string scalar"
        | "expected scalar"
        | "externally tagged enum expected scalar or mapping" => {
            "expected a single value, not a list or a group of keys"
        }
        "invalid socket address syntax" => "expected an address and a port, such as 127.0.0.1:9464",
        "expected sequence start" => "expected a list, such as [a, b]",
        "expected mapping start" => "expected a group of keys below this one",
        _ => return None,
    })
}

/// What serde expects, in words; none where its own are good enough.
fn kind_words(kind: &str) -> Option<String> {
    Some(match kind {
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list, such as [a, b]".into(),
        "a map" => "a group of keys".into(),
        _ if kind.starts_with("struct ") => "a group of keys".into(),
        _ => return None,
    })
}

/// The known key nearest to one that was written, from serde's own message.
pub(super) fn nearest_key(message: &str) -> Option<String> {
    if !message.contains("unknown field") && !message.contains("unknown variant") {
        return None;
    }
    // serde quotes the keys that it knows; the YAML reader lists them bare.
    let (unknown, known) = message.split_once("expected")?;
    let written = unknown.split('`').nth(1)?;
    let words = known.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '/');
    let words = words.filter(|word| !matches!(*word, "" | "one" | "of" | "or"));
    nearest(written, words)
}

/// The known name nearest to one that was written, as a question; none where none is near.
pub(super) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let best = known
        .into_iter()
        // The beginning of a name is as good as a slip of the pen.
        .map(|known| match known.starts_with(written) {
            true => (0, known),
            false => (strsim::damerau_levenshtein(written, known), known),
        })
        .filter(|(distance, known)| *distance <= known.chars().count().div_ceil(2))
        .min();
    best.map(|(_, known)| format!("did you mean `{known}`?"))
}

/// A line that is quoted to say what is wrong with it must not repeat a password that stands in an
/// address: where it does not belong, which may be what is wrong.
pub(super) fn without_credentials(line: &str) -> String {
    let Some((before, address)) = line.split_once("://") else { return line.to_owned() };
    match address.rsplit_once('@') {
        Some((credentials, after)) => {
            format!("{before}://{}@{after}", "*".repeat(credentials.chars().count()))
        }
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named_and_a_stranger_is_not_guessed() {
        let message =
            |word| format!("unknown field `{word}`, expected one of `users`, `think_time`");
        assert_eq!(nearest_key(&message("usres")).as_deref(), Some("did you mean `users`?"));
        assert_eq!(nearest_key(&message("zzzzzzzzzzz")), None);
        assert_eq!(nearest_key(&message("think")).as_deref(), Some("did you mean `think_time`?"));
        assert_eq!(nearest_key("invalid type: integer `5`"), None);
    }
}
