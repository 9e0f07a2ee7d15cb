//! Secrets are named in the configuration, never written in it.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a secret is to be found: in an environment variable or in a file. The value itself never
/// stands in a configuration file, an event or a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum SecretSource {
    /// The name of the environment variable that holds the secret.
    Env(String),
    /// The file that holds the secret; a trailing newline is dropped.
    File(PathBuf),
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is unset or not UTF-8.
    #[error("environment variable {0} is not set: export it, or name another with `env:`")]
    Env(String),
    /// The file could not be read.
    #[error("cannot read secret file {path}: {source}")]
    File {
        /// The configured path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Every secret that this process has read, so that none of them gets out by what others say.
static READ: RwLock<Vec<String>> = RwLock::new(Vec::new());
/// A shorter text stands in too much that is none of it.
const LEAST_CHARS: usize = 4;

/// A text without any secret that this process has read: a target may send back what it was sent.
pub fn without_secrets(text: &str) -> String {
    let read = READ.read().unwrap_or_else(PoisonError::into_inner);
    read.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
}

/// What must not be told of a secret: itself, and of an address the password and the path, which are what
/// is secret in it.
fn remember(secret: &str) {
    remember_text(secret);
    let Some((_, rest)) = secret.split_once("://") else { return };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
    remember_text(path);
    if let Some((_, password)) = password {
        remember_text(password);
        remember_text(&percent_decode_str(password).decode_utf8_lossy());
    }
    // What a webhook's address lets one in by is often a piece of it, and said again as such.
    if secret.starts_with("http") {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let values = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1));
        let pieces = path.split('/').chain(values);
        pieces.filter(|piece| is_key(piece)).for_each(remember_text);
    }
}

/// Whether a piece of an address is no word, such as `services` or `production`.
fn is_key(piece: &str) -> bool {
    piece.len() >= 10 && piece.contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase())
}

/// Longer ones come first, so that none is left in part because it contains another.
fn remember_text(secret: &str) {
    if secret.chars().count() < LEAST_CHARS {
        return;
    }
    let mut read = READ.write().unwrap_or_else(PoisonError::into_inner);
    if !read.iter().any(|known| known == secret) {
        read.push(secret.to_owned());
        read.sort_by_key(|known| std::cmp::Reverse(known.len()));
    }
}

/// A secret in memory. It has no `Display`, and its `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        remember(&value);
        Self(value)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl SecretSource {
    /// The variable that is named and holds nothing: CI systems set those of secrets that they do not
    /// have to an empty text. A file that is named has to be there.
    pub fn unset(&self) -> Option<&str> {
        match self {
            Self::Env(name) => {
                std::env::var_os(name).is_none_or(|value| value.is_empty()).then_some(name)
            }
            Self::File(_) => None,
        }
    }

    /// Reads the secret.
    ///
    /// # Errors
    /// When the variable is unset or the file cannot be read.
    pub fn read(&self) -> Result<Secret, SecretError> {
        self.read_name().map(Secret::from)
    }

    /// Reads what stands where secrets do and is none, a user's name: often a word that products and
    /// editions have too, which would be taken out of all that they say.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_name(&self) -> Result<String, SecretError> {
        match self {
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone())),
            Self::File(path) => std::fs::read_to_string(path)
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|source| SecretError::File { path: path.clone(), source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_itself() {
        assert_eq!(format!("{:?}", Secret("hunter2".into())), "Secret(***)");
    }

    #[test]
    fn a_file_secret_loses_its_newline() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "s3cret\n").expect("write");
        let secret = SecretSource::File(file.path().into()).read().expect("readable");
        assert_eq!(secret.expose(), "s3cret");
    }

    #[test]
    fn the_name_of_a_user_is_left_in_what_others_say() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "some-user\n").expect("write");
        let source = SecretSource::File(file.path().into());
        assert_eq!(source.read_name().expect("readable"), "some-user");
        assert_eq!(without_secrets("no role some-user"), "no role some-user");
        source.read().expect("readable");
        assert_eq!(without_secrets("no role some-user"), "no role ***");
    }

    #[test]
    fn what_was_read_is_taken_out_of_what_others_say() {
        let read = |text: &str| {
            let file = tempfile::NamedTempFile::new().expect("temporary file");
            std::fs::write(file.path(), text).expect("write");
            SecretSource::File(file.path().into()).read().expect("readable");
        };
        read("kept-in-a-file");
        read("kept-in-a-file-that-is-longer");
        read("abc");
        read("smtps://user:its%2Dpassword@mail.example.com:465");
        read("https://hooks.example.com/services/T0/B1");
        read("https://alerts.example.com/production/hook?format=json&key=Its-key-17");
        assert_eq!(
            without_secrets("no Its-key-17 in production, json"),
            "no *** in production, json"
        );
        let said = "no user kept-in-a-file-that-is-longer, nor kept-in-a-file; abc";
        assert_eq!(without_secrets(said), "no user ***, nor ***; abc");
        let said = "not its-password, and nothing at /services/T0/B1 of hooks.example.com";
        assert_eq!(without_secrets(said), "not ***, and nothing at /*** of hooks.example.com");
    }
}
