//! The engine's end of a helper: the fault lasts while this value does, and no longer.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::helper::Task;
use super::procfs::Process;
use super::runtime::RuntimeError;

/// How long a helper may take to set its fault up.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// How long a helper may take to put everything back.
const END_WITHIN: Duration = Duration::from_secs(5);
/// More than this of its complaints is not read.
const MAX_COMPLAINT_BYTES: u64 = 2000;

/// A helper at work.
pub struct Lease {
    child: Child,
}

impl Lease {
    /// Starts a helper and waits until its fault is there. Its command line carries the token.
    ///
    /// # Errors
    /// When the fault cannot be set up; nothing is left of it then.
    pub async fn start(executable: &Path, token: &str, task: &Task) -> Result<Self, RuntimeError> {
        let task = serde_json::to_string(task).map_err(|e| RuntimeError::new(e.to_string()))?;
        let mut child = Command::new(executable)
            .args(["chaos-helper", "--token", token, "--task", &task])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| RuntimeError::new(format!("cannot start a helper: {error}")))?;
        let stdout = child.stdout.take();
        let mut line = String::new();
        if let Some(stdout) = stdout {
            let mut reader = BufReader::new(stdout.take(64));
            let read = tokio::time::timeout(READY_WITHIN, reader.read_line(&mut line)).await;
            if read.is_err() {
                let _ = Self { child }.end().await;
                return Err(RuntimeError::new("the helper did not set its fault up in time"));
            }
        }
        if line.trim() == "ready" {
            return Ok(Self { child });
        }
        let mut complaint = String::new();
        if let Some(stderr) = child.stderr.take() {
            let mut stderr = stderr.take(MAX_COMPLAINT_BYTES);
            let read = stderr.read_to_string(&mut complaint);
            let _ = tokio::time::timeout(END_WITHIN, read).await;
        }
        let _ = Self { child }.end().await;
        Err(RuntimeError::new(format!("the helper could not act: {}", complaint.trim())))
    }

    /// The helper, while it lives.
    pub fn process(&self) -> Option<Process> {
        self.child.id().and_then(Process::now)
    }

    /// Ends the fault and waits until the helper has put everything back.
    ///
    /// # Errors
    /// When it did not within its time, and was killed, or says that something is left.
    pub async fn end(mut self) -> Result<(), RuntimeError> {
        drop(self.child.stdin.take());
        match tokio::time::timeout(END_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(RuntimeError::new(format!("the helper ended with {status}"))),
            Ok(Err(error)) => Err(RuntimeError::new(error.to_string())),
            Err(_) => {
                let _ = self.child.kill().await;
                Err(RuntimeError::new("the helper did not end and was killed"))
            }
        }
    }
}
