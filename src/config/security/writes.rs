//! What the audit may write, and whose requests are whose.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Operation, SecretSource, ServiceKind};

/// A request that only the first user may make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrivateOperation {
    /// To which service.
    pub service: ServiceKind,
    /// The request; it must not change anything.
    pub request: Operation,
    /// Why the second user may not make it.
    pub because: PrivateReason,
}

/// Why a request is private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrivateReason {
    /// It shows an object of the first user.
    OwnObject,
    /// It is a function that the second user has no right to.
    PrivilegedFunction,
}

/// A file upload that may be tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// To which service.
    pub service: ServiceKind,
    /// Path of the upload, a POST of multipart/form-data. `{name}` stands for the file's name, where the
    /// platform takes it from the path or the query.
    pub path: String,
    /// Whether the file is the whole body, rather than a part of a form.
    #[serde(default)]
    pub raw: bool,
    /// Name of the part with the file.
    #[serde(default = "default_field")]
    pub field: String,
    /// Other fields of the form; `{name}` stands for the file's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub form: BTreeMap<String, String>,
    /// Where the answer says how the file is to be found, as a JSON pointer such as `/url` or `/id`; what
    /// stands there is `{stored}` below.
    pub stored: String,
    /// Path of a stored file. Placeholders: `{stored}`, `{name}`.
    pub fetch: String,
    /// Removes a stored file. Placeholders: `{stored}`, `{name}`.
    pub delete: Operation,
    /// The largest upload that should be accepted, bytes; twice as much is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// What the upload is meant for, as file name endings (`.png`, `png`) or media types (`image/png`);
    /// anything else should be refused.
    #[serde(default)]
    pub allowed: Vec<String>,
}

fn default_field() -> String {
    "file".into()
}

/// Media types that uploads are meant for, and the endings of their files.
const ENDINGS: [(&str, &[&str]); 17] = [
    ("image/png", &[".png"]),
    ("image/jpeg", &[".jpg", ".jpeg"]),
    ("image/gif", &[".gif"]),
    ("image/webp", &[".webp"]),
    ("image/svg+xml", &[".svg"]),
    ("image/*", &[".png", ".jpg", ".jpeg", ".gif"]),
    ("application/pdf", &[".pdf"]),
    ("application/zip", &[".zip"]),
    ("application/x-zip-compressed", &[".zip"]),
    ("application/json", &[".json"]),
    ("application/xml", &[".xml"]),
    ("text/xml", &[".xml"]),
    ("text/plain", &[".txt"]),
    ("text/csv", &[".csv"]),
    ("text/markdown", &[".md"]),
    ("text/html", &[".html", ".htm"]),
    ("text/*", &[".txt"]),
];

/// The file name endings that an entry of `allowed` means: `.png`, `png`, `*.png` or `image/png`; none
/// where it is neither an ending nor a media type that is known.
pub(in crate::config) fn endings_of(entry: &str) -> Option<Vec<String>> {
    let entry = entry.split(';').next().unwrap_or_default().trim().to_lowercase();
    if entry.contains('/') {
        let (_, endings) = ENDINGS.iter().find(|(kind, _)| *kind == entry)?;
        return Some(endings.iter().map(|&ending| ending.to_owned()).collect());
    }
    let ending = entry.trim_start_matches('*').trim_start_matches('.');
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    (!ending.is_empty() && ending.chars().all(good)).then(|| vec![format!(".{ending}")])
}

impl Upload {
    /// File name endings that the upload is meant for, in lower case with their dot.
    pub fn endings(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for ending in self.allowed.iter().filter_map(|entry| endings_of(entry)).flatten() {
            if !all.contains(&ending) {
                all.push(ending);
            }
        }
        all
    }
}

/// A login.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// To which service.
    pub service: ServiceKind,
    /// The request. Placeholders in its body: `{user}`, `{password}`.
    pub request: Operation,
    /// The throw-away user, who may be locked out by the test.
    pub user: SecretSource,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_may_be_written_in_any_of_the_usual_ways() {
        for entry in [".png", "png", "PNG", "*.png", "image/png", "image/png; q=1", " png "] {
            assert_eq!(endings_of(entry), Some(vec![".png".to_owned()]), "{entry}");
        }
        assert_eq!(endings_of("tar.gz"), Some(vec![".tar.gz".to_owned()]));
        assert_eq!(endings_of("image/jpeg"), Some(vec![".jpg".to_owned(), ".jpeg".to_owned()]));
        for entry in ["", ".", "image/unheard-of", "png,gif", "a b"] {
            assert_eq!(endings_of(entry), None, "{entry}");
        }
    }
}
