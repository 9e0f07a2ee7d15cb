//! How the audit looks for operations.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ServiceKind;

/// How the audit looks for operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Discovery {
    /// Where each service's OpenAPI 3 description is; `/openapi.json` when left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub openapi: BTreeMap<ServiceKind, OpenApi>,
    /// Most pages that are followed from `/` on each service; 0 follows none.
    pub crawl_pages: u32,
    /// Most links between `/` and a page.
    pub crawl_depth: u32,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { openapi: BTreeMap::new(), crawl_pages: 30, crawl_depth: 3 }
    }
}

/// Where an OpenAPI 3 description is, as JSON or YAML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum OpenApi {
    /// Path below the service's base URL.
    Path(String),
    /// A file on this machine.
    File(PathBuf),
    /// There is none.
    None,
}
