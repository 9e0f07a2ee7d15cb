//! A sandbox as a process of its own, held by whoever needs it.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::settings::{Endpoints, Options};

/// How long a sandbox may take besides until it says that what it started listens.
const GRACE: Duration = Duration::from_secs(10);
/// How long it may take to end before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// Longest line that a sandbox says when it is ready.
const MAX_LINE_BYTES: u64 = 16 << 10;

/// Why a sandbox did not come up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The process could not be started.
    #[error("cannot start the sandbox: {0}")]
    Start(#[from] io::Error),
    /// It ended, or said something else than where it is.
    #[error("the sandbox did not come up: expected its addresses, got `{0}`")]
    NotReady(String),
    /// It took too long.
    #[error("the sandbox did not come up within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// A running sandbox. It ends with this value, and with this process, whatever kills it.
#[derive(Debug)]
pub struct Sandbox {
    process: Child,
    endpoints: Endpoints,
}

impl Sandbox {
    /// Starts a sandbox and waits until its services listen.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn launch(executable: &Path, options: &Options) -> Result<Self, SandboxError> {
        let mut process = Command::new(executable)
            .args(["sandbox", "--lifeline", "--ready-json"])
            .args(["--seed", &options.seed.to_string()])
            .args(["--latency-scale", &options.latency_scale.to_string()])
            .args(["--stores", options.stores.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take();
        let stdout = stdout.ok_or_else(|| SandboxError::NotReady("no standard output".into()))?;
        let mut line = String::new();
        let mut reader = BufReader::new(stdout.take(MAX_LINE_BYTES));
        let within = options.stores.ready_within() + GRACE;
        let read = tokio::time::timeout(within, reader.read_line(&mut line));
        read.await.map_err(|_| SandboxError::Timeout(within))??;
        let endpoints = serde_json::from_str(&line)
            .map_err(|_| SandboxError::NotReady(line.trim().to_owned()))?;
        Ok(Self { process, endpoints })
    }

    /// Where its services are.
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Ends it in good order.
    pub async fn stop(mut self) {
        drop(self.process.stdin.take());
        if tokio::time::timeout(STOP_WITHIN, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }
}
