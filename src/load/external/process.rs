//! The process of an external tool: its files, its lines, its end.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::plan::ExternalPlan;
use crate::config::LoadEngine;
use crate::platform::tethered::tethered;

/// Longest message of a tool that is kept.
const MAX_ERROR_BYTES: u64 = 64 * 1024;
/// How long a tool may take to end after its length is over.
const GRACE: Duration = Duration::from_secs(60);

/// A tool at work.
pub struct Tool {
    name: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    errors: tokio::task::JoinHandle<String>,
    folder: PathBuf,
    stopped: bool,
}

/// How a tool ended.
pub enum ToolEnded {
    /// In good order, or because it was told to.
    Well,
    /// By itself, with what it said.
    Failed(String),
}

impl Tool {
    /// Writes its files to a folder of this user alone, and starts it.
    ///
    /// # Errors
    /// In words, when it cannot be started.
    pub fn start(
        engine: LoadEngine,
        plan: &ExternalPlan,
        run_id: &str,
        length: Duration,
    ) -> Result<Self, String> {
        let name = engine.name();
        let fail = |what: &str, error: &dyn std::fmt::Display| format!("{name}: {what}: {error}");
        let folder = std::env::temp_dir().join(format!("shakedown-{run_id}-{name}"));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|error| fail("cannot make a folder for its script", &error))?;
        let written = write_files(engine, plan, &folder);
        written.map_err(|error| fail("cannot write its script", &error))?;
        let command = match engine {
            LoadEngine::K6 => k6(&folder),
            _ => locust(&folder, plan.users, length),
        };
        let mut command = command.map_err(|error| fail("cannot be started", &error))?;
        command
            .current_dir(&folder)
            .envs(plan.secrets.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| fail("cannot be started", &error))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(format!("{name}: it has no output"));
        };
        let errors = tokio::spawn(async move {
            let mut kept = Vec::new();
            let mut stderr = stderr;
            // What is beyond the bound is read and let go, so that the tool never waits for it.
            let _ = (&mut stderr).take(MAX_ERROR_BYTES).read_to_end(&mut kept).await;
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            String::from_utf8_lossy(&kept).into_owned()
        });
        let lines = BufReader::new(stdout).lines();
        Ok(Self { name, child, lines, errors, folder, stopped: false })
    }

    /// The next line that it says; none at its end. Cancel-safe.
    pub async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.ok().flatten()
    }

    /// Tells it to end in good order.
    pub fn stop(&mut self) {
        self.stopped = true;
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            // One that has ended already needs no signal.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.stopped = true;
        let _ = self.child.start_kill();
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ToolEnded {
        let waited = tokio::time::timeout(GRACE, self.child.wait()).await;
        if waited.is_err() {
            let _ = self.child.start_kill();
        }
        let said = (&mut self.errors).await.unwrap_or_default();
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let last = crate::platform::text::clean(last, 200);
        match waited {
            Ok(Ok(status)) if status.success() || self.stopped => ToolEnded::Well,
            // Locust's own code for failed requests, which are counted here.
            Ok(Ok(status)) if self.name == "locust" && status.code() == Some(1) => ToolEnded::Well,
            Ok(Ok(status)) => {
                ToolEnded::Failed(format!("{} ended with {status}: {last}", self.name))
            }
            _ => ToolEnded::Failed(format!("{} did not end: {last}", self.name)),
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Nothing of it is needed afterwards; what cannot be removed is in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn write_files(engine: LoadEngine, plan: &ExternalPlan, folder: &Path) -> io::Result<()> {
    std::fs::write(folder.join("plan.json"), plan.plan.to_string())?;
    match engine {
        LoadEngine::K6 => std::fs::write(folder.join("script.js"), include_str!("k6.js")),
        _ => std::fs::write(folder.join("locustfile.py"), include_str!("locustfile.py")),
    }
}

fn k6(folder: &Path) -> io::Result<Command> {
    let mut command = tethered("k6")?;
    command.args(["run", "--quiet", "--no-color", "--out", "json=-"]);
    command.arg("--include-system-env-vars").arg(folder.join("script.js"));
    command.env("K6_NO_USAGE_REPORT", "true").env("K6_WEB_DASHBOARD", "false");
    Ok(command)
}

fn locust(folder: &Path, users: u32, length: Duration) -> io::Result<Command> {
    let mut command = tethered("locust")?;
    command.args(["--headless", "--only-summary", "--skip-log"]);
    command.arg("-f").arg(folder.join("locustfile.py"));
    command.args(["-u", &users.max(1).to_string(), "-r", &users.clamp(1, 100).to_string()]);
    command.args(["-t", &format!("{}s", length.as_secs().max(1)), "--stop-timeout", "30"]);
    command.env("PYTHONUNBUFFERED", "1");
    Ok(command)
}
