//! Who may watch a run from outside.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretSource;

/// Who may watch a run from outside. Nothing is served or sent that is not named here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Monitoring {
    /// Address on which `/metrics` is served while a run goes on, such as `127.0.0.1:9464`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
    /// File for node_exporter's textfile collector, written when a run ends. Its name ends in `.prom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub textfile: Option<PathBuf>,
    /// A Grafana server on whose dashboards a run is marked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grafana: Option<Grafana>,
}

impl Monitoring {
    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A Grafana server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grafana {
    /// Its base URL, without credentials.
    pub url: String,
    /// Token of a service account that may write annotations.
    pub token: SecretSource,
    /// Tags besides `shakedown` and the phase's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}
