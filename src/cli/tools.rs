//! Optional tools on the PATH: whether they are there, and how to get them.

use std::process::{Command, Stdio};

/// A tool that a run can use where it is installed.
pub struct Tool {
    /// Its executable.
    pub name: &'static str,
    /// How it is asked for its version.
    version_argument: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// How to get it.
    pub how_to_get: &'static str,
}

/// The optional tools.
pub const TOOLS: [Tool; 4] = [
    Tool {
        name: "docker",
        version_argument: "--version",
        purpose: "chaos in containers",
        how_to_get: "https://docs.docker.com/engine/install/, or your distribution's docker.io",
    },
    Tool {
        name: "trivy",
        version_argument: "--version",
        purpose: "image scans",
        how_to_get: "https://trivy.dev/latest/getting-started/installation/",
    },
    Tool {
        name: "k6",
        version_argument: "version",
        purpose: "the real k6 beside the built-in ramping load",
        how_to_get: "go install go.k6.io/k6@latest",
    },
    Tool {
        name: "locust",
        version_argument: "--version",
        purpose: "the real Locust beside the built-in mixed load",
        how_to_get: "pip install locust (in a virtual environment)",
    },
];

impl Tool {
    /// The first line that the tool says of its version; none when it is not installed.
    pub fn version(&self) -> Option<String> {
        let mut command = Command::new(self.name);
        command.arg(self.version_argument).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        Some(crate::platform::text::clean(text.lines().next().unwrap_or("installed"), 60))
    }
}
