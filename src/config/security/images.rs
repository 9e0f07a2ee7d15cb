//! The images that Trivy scans, and how it is run.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::TimeSpan;

/// Container images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// Whether the target has none at all, so that there is nothing to scan.
    pub none: bool,
    /// Names as Docker knows them.
    pub names: Vec<String>,
    /// Docker engine, such as `unix:///var/run/docker.sock`, whose running containers name more images,
    /// and whose environment and image history are searched for keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker: Option<String>,
    /// Only containers of this compose project; all of the engine when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The Trivy program; the one on the PATH when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trivy: Option<PathBuf>,
    /// Runs Trivy in a container instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<TrivyContainer>,
    /// Trivy's cache folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// Trivy's ignore file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_file: Option<PathBuf>,
    /// VEX documents that are handed to Trivy.
    pub vex: Vec<PathBuf>,
    /// Address of a Trivy server, which then holds the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Registries of the vulnerability database, tried in order.
    pub db_repositories: Vec<String>,
    /// Nothing is downloaded: the vulnerability database is there already.
    pub offline: bool,
    /// How long one image, or the download of the database, may take.
    pub patience: TimeSpan,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            none: false,
            names: Vec::new(),
            docker: None,
            project: None,
            trivy: None,
            container: None,
            cache: None,
            ignore_file: None,
            vex: Vec::new(),
            server: None,
            db_repositories: Vec::new(),
            offline: false,
            patience: TimeSpan::secs(15 * 60),
        }
    }
}

/// Trivy in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrivyContainer {
    /// The image that has Trivy, such as `aquasec/trivy:0.66.0`.
    pub image: String,
    /// The program that runs containers.
    #[serde(default = "default_runner")]
    pub runner: PathBuf,
    /// The engine's socket, which the container is given to read images.
    #[serde(default = "default_socket")]
    pub socket: PathBuf,
}

fn default_runner() -> PathBuf {
    "docker".into()
}

fn default_socket() -> PathBuf {
    "/var/run/docker.sock".into()
}
