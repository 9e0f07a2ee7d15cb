//! The engine's end of a helper: the fault lasts while this value does, and no longer.

use std::pin::Pin;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
};
use tokio::process::Command;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::helper::{Measured, Said, Task};
use super::runtime::RuntimeError;
use crate::platform::tethered::OWN_PROGRAM;

/// How long a helper may take to set its fault up.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long a helper may take to put everything back, and to look who can be reached again.
const END_WITHIN: Duration = Duration::from_secs(10);
/// A line that is longer than this is no message.
const MAX_LINE_BYTES: usize = 4096;
/// More than this of its complaints is not read.
const MAX_COMPLAINT_BYTES: u64 = 2000;

/// Ends when the helper has, and says whether it ended well.
pub type Ending = BoxFuture<'static, Result<(), RuntimeError>>;

/// A helper at work.
pub struct Lease {
    held: Option<oneshot::Sender<()>>,
    heard: watch::Receiver<Heard>,
    ended: JoinHandle<Result<(), RuntimeError>>,
}

/// What the helper said so far.
#[derive(Clone, Debug, Default)]
struct Heard {
    ready: bool,
    failed: Option<String>,
    measured: Option<Measured>,
    reconnected: Option<Duration>,
    silent: bool,
}

impl Lease {
    /// Starts a helper on this machine and waits until its fault is there. Its command line carries
    /// the token.
    ///
    /// # Errors
    /// When the fault cannot be set up; nothing is left of it then.
    pub async fn start(token: &str, task: &Task) -> Result<Self, RuntimeError> {
        let mut child = Command::new(OWN_PROGRAM)
            .args(command_line(token, task)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| RuntimeError::new(format!("cannot start a helper: {error}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(RuntimeError::new("a helper without pipes"));
        };
        let ending = Box::pin(async move {
            let mut complaint = String::new();
            if let Some(stderr) = child.stderr.take() {
                let _ = stderr.take(MAX_COMPLAINT_BYTES).read_to_string(&mut complaint).await;
            }
            match child.wait().await {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(RuntimeError::new(format!(
                    "the helper ended with {status} {}",
                    complaint.trim()
                ))),
                Err(error) => Err(RuntimeError::new(error.to_string())),
            }
        });
        Self::over(Box::pin(input), BufReader::new(output), ending).await
    }

    /// A helper that was started elsewhere: what is written to it, what it says, and its end. Waits
    /// until its fault is there.
    ///
    /// # Errors
    /// When the fault cannot be set up.
    pub async fn over(
        input: Pin<Box<dyn AsyncWrite + Send>>,
        output: impl AsyncBufRead + Unpin + Send + 'static,
        ending: Ending,
    ) -> Result<Self, RuntimeError> {
        let (sender, mut heard) = watch::channel(Heard::default());
        tokio::spawn(listen(output, sender));
        let (held, given_up) = oneshot::channel();
        tokio::spawn(hold(input, given_up));
        let ended = tokio::spawn(ending);
        let settled = heard.wait_for(|heard| heard.ready || heard.failed.is_some() || heard.silent);
        let settled = timeout(READY_WITHIN, settled).await.map(|heard| heard.map(|h| h.clone()));
        let lease = Self { held: Some(held), heard, ended };
        let why = match settled {
            Ok(Ok(Heard { ready: true, .. })) => return Ok(lease),
            Ok(Ok(Heard { failed: Some(why), .. })) => why,
            Ok(_) => {
                let ended = lease.end().await;
                return Err(ended.err().unwrap_or_else(|| RuntimeError::new("the helper ended")));
            }
            Err(_) => "it did not set its fault up in time".into(),
        };
        let _ = lease.end().await;
        Err(RuntimeError::new(format!("the helper could not act: {why}")))
    }

    /// What it measured last.
    pub fn measured(&self) -> Option<Measured> {
        self.heard.borrow().measured.clone()
    }

    /// Ends the fault and waits until the helper has put everything back. Returns how long after
    /// that everybody could be connected to again, if the fault was a cut.
    ///
    /// # Errors
    /// When it did not within its time, or says that something is left.
    pub async fn end(mut self) -> Result<Option<Duration>, RuntimeError> {
        drop(self.held.take());
        match timeout(END_WITHIN, &mut self.ended).await {
            Ok(Ok(ended)) => ended?,
            Ok(Err(error)) => return Err(RuntimeError::new(error.to_string())),
            Err(_) => {
                self.ended.abort();
                return Err(RuntimeError::new("the helper did not end in time"));
            }
        }
        let heard = timeout(END_WITHIN, self.heard.wait_for(|heard| heard.silent)).await;
        Ok(heard.ok().and_then(Result::ok).and_then(|heard| heard.reconnected))
    }
}

/// The arguments by which a helper is started.
///
/// # Errors
/// When the task cannot be written.
pub fn command_line(token: &str, task: &Task) -> Result<Vec<String>, RuntimeError> {
    let task = serde_json::to_string(task).map_err(|e| RuntimeError::new(e.to_string()))?;
    Ok(["chaos-helper", "--token", token, "--task", &task].map(str::to_owned).to_vec())
}

/// Keeps the helper's standard input open until the lease is given up.
async fn hold(mut input: Pin<Box<dyn AsyncWrite + Send>>, given_up: oneshot::Receiver<()>) {
    let _ = given_up.await;
    // Whoever is killed says nothing.
    let _ = input.write_all(b"over").await;
    let _ = input.shutdown().await;
}

async fn listen(mut output: impl AsyncBufRead + Unpin, to: watch::Sender<Heard>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut output).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(n) if n > 0) {
            break;
        }
        let Ok(said) = serde_json::from_slice::<Said>(&line) else { continue };
        to.send_modify(|heard| match said {
            Said::Ready {} => heard.ready = true,
            Said::Failed { why } => heard.failed = Some(crate::platform::text::excerpt(&why)),
            Said::Measured(measured) => heard.measured = Some(measured),
            Said::Over { reconnected_us } => {
                heard.reconnected = reconnected_us.map(Duration::from_micros);
            }
        });
    }
    to.send_modify(|heard| heard.silent = true);
}
