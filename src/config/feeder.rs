//! Feeders: rows of values that flows are filled with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows of values. A flow that names a column as `{feeder.column}` gets a row of it each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feeder {
    /// The rows themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<BTreeMap<String, String>>,
    /// A CSV file (RFC 4180) whose first line names the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<PathBuf>,
    /// A file with one JSON object a line; its fields are the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jsonl: Option<PathBuf>,
    /// Which row comes next.
    #[serde(default)]
    pub order: FeederOrder,
}

/// Which row comes next; all users of a phase draw from the same rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FeederOrder {
    /// One after the other, and from the first again after the last.
    #[default]
    Circular,
    /// Any, drawn anew each time.
    Random,
    /// Each row once; users that find none left are done.
    Once,
}
