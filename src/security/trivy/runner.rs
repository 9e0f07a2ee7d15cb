//! Runs a program that may take long: its output is bounded, a pause stops it, and whatever ends this
//! ends it.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::watch;

use crate::run::clock::PlanClock;

/// More of an output is not read, and none of it believed.
const MAX_OUTPUT_BYTES: usize = 64 * 1024 * 1024;
/// What is kept of errors: their end.
const MAX_ERROR_BYTES: usize = 8 * 1024;

/// What a program said.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Whether it ended with 0.
    pub success: bool,
    /// Its standard output.
    pub output: Vec<u8>,
    /// The end of its standard error.
    pub errors: String,
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be run, takes too long (pauses not counted) or says too much.
pub async fn run(
    mut command: Command,
    patience: Duration,
    mut open: watch::Receiver<bool>,
) -> Result<Ran, String> {
    // An orchestrator that is gone ends the phase otherwise.
    let _ = open.wait_for(|open| *open).await;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that a signal reaches all of it.
    command.process_group(0).kill_on_drop(true);
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| format!("{name} cannot be run: {error}"))?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (output, errors) = tokio::join!(all(output), end(errors));
        (child.wait().await, output, errors)
    };
    let mut work = std::pin::pin!(work);
    let mut clock = PlanClock::start();
    loop {
        let running = *open.borrow();
        let left = patience.saturating_sub(clock.elapsed());
        tokio::select! {
            (status, output, errors) = &mut work => {
                let status = status.map_err(|error| format!("{name}: {error}"))?;
                let output = output
                    .ok_or_else(|| format!("{name} says more than {MAX_OUTPUT_BYTES} bytes"))?;
                return Ok(Ran { success: status.success(), output, errors });
            }
            () = tokio::time::sleep(left), if running => {
                return Err(format!("{name} took longer than {} s", patience.as_secs()));
            }
            Ok(()) = open.changed() => {
                if *open.borrow_and_update() {
                    group.signal(Signal::CONT);
                    clock.release();
                } else {
                    clock.hold();
                    group.signal(Signal::STOP);
                }
            }
        }
    }
}

/// The processes of a program; they end with it.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // One that is gone needs no signal.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// All that a program says; none when that is too much. The rest is read and dropped at once: the end of
/// the pipe ends the program.
async fn all(pipe: Option<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = MAX_OUTPUT_BYTES as u64 + 1;
    if let Some(pipe) = pipe {
        pipe.take(limit).read_to_end(&mut bytes).await.ok()?;
    }
    (bytes.len() <= MAX_OUTPUT_BYTES).then_some(bytes)
}

/// The end of what a program says.
async fn end(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut piece = [0; 4096];
    if let Some(mut pipe) = pipe {
        while let Ok(n @ 1..) = pipe.read(&mut piece).await {
            kept.extend_from_slice(&piece[..n]);
            let over = kept.len().saturating_sub(MAX_ERROR_BYTES);
            kept.drain(..over);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn gate(open: bool) -> (watch::Sender<bool>, watch::Receiver<bool>) {
        watch::channel(open)
    }

    #[tokio::test]
    async fn what_is_said_is_bounded_and_what_takes_too_long_is_ended() {
        let (_gate, open) = gate(true);
        let minute = Duration::from_secs(60);
        let ran = run(shell("echo out; echo err >&2; exit 3"), minute, open.clone()).await;
        let ran = ran.expect("ran");
        assert!(!ran.success && ran.output == b"out\n" && ran.errors == "err\n");
        let endless = run(shell("yes"), minute, open.clone()).await;
        assert!(endless.expect_err("too much").contains("more than"));
        let slow = run(shell("sleep 50 & sleep 50"), Duration::from_millis(200), open).await;
        assert!(slow.expect_err("too slow").contains("took longer"));
    }

    #[tokio::test]
    async fn a_pause_stops_the_program_and_its_time() {
        let (gate, open) = gate(true);
        let work = tokio::spawn(run(shell("sleep 0.2; echo done"), Duration::from_secs(20), open));
        gate.send_replace(false);
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(!work.is_finished(), "it is stopped");
        gate.send_replace(true);
        assert_eq!(work.await.expect("joined").expect("ran").output, b"done\n");
    }
}
