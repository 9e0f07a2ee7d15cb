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
    /// Path of the upload, a POST of multipart/form-data.
    pub path: String,
    /// Name of the part with the file.
    #[serde(default = "default_field")]
    pub field: String,
    /// Other fields of the form.
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
    /// File name endings that the upload is meant for; other ones should be refused.
    #[serde(default)]
    pub allowed: Vec<String>,
}

fn default_field() -> String {
    "file".into()
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
