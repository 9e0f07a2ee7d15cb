//! Runs a program that may take long: its output is bounded, a pause stops it, and whatever ends this
//! ends it.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::watch;

use crate::run::clock::PlanClock;

/// More of an output is not read, and none of it believed.
const MAX_OUTPUT_BYTES: usize = 64 * 1024 * 1024;
/// More of a line is not handed on.
const MAX_LINE_BYTES: usize = 512;
/// What is kept of errors: their end.
const MAX_ERROR_BYTES: usize = 8 * 1024;

/// What a program said.
#[derive(Clone, Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: Vec<u8>,
    /// The end of its standard error.
    pub errors: String,
}

/// Runs a program to its end; `told` is given what it says on the way, line by line.
///
/// # Errors
/// When it cannot be run, takes too long (pauses not counted) or says too much.
pub async fn run(
    name: &str,
    mut command: Command,
    patience: Duration,
    mut open: watch::Receiver<bool>,
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<Ran, String> {
    // An orchestrator that is gone ends the phase otherwise.
    let _ = open.wait_for(|open| *open).await;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that a signal reaches all of it.
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("{name} cannot be run: {error}"))?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (output, errors) = tokio::join!(all(output), end(errors, told));
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
                return Ok(Ran { status, output, errors });
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

/// The end of what a program says; each line is handed on as it comes, or the beginning of one that is too
/// long.
async fn end(pipe: Option<impl AsyncRead + Unpin>, told: &mut (dyn FnMut(&str) + Send)) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    let mut piece = [0; 4096];
    if let Some(mut pipe) = pipe {
        while let Ok(n @ 1..) = pipe.read(&mut piece).await {
            for byte in &piece[..n] {
                match byte {
                    b'\n' => told(&String::from_utf8_lossy(&std::mem::take(&mut line))),
                    _ if line.len() < MAX_LINE_BYTES => line.push(*byte),
                    _ => {}
                }
            }
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
        let mut lines = Vec::new();
        let mut told = |line: &str| lines.push(line.to_owned());
        let script = "echo out; echo one >&2; echo err >&2; exit 3";
        let ran = run("sh", shell(script), minute, open.clone(), &mut told).await.expect("ran");
        assert!(
            ran.status.code() == Some(3) && ran.output == b"out\n" && ran.errors == "one\nerr\n"
        );
        assert_eq!(lines, ["one", "err"]);
        let endless = run("sh", shell("yes"), minute, open.clone(), &mut |_| {}).await;
        assert!(endless.expect_err("too much").contains("more than"));
        let slow = shell("sleep 50 & sleep 50");
        let slow = run("sh", slow, Duration::from_millis(200), open, &mut |_| {}).await;
        assert!(slow.expect_err("too slow").contains("took longer"));
    }

    #[tokio::test]
    async fn a_pause_stops_the_program_and_its_time() {
        let (gate, open) = gate(true);
        let work = tokio::spawn(async {
            let patience = Duration::from_secs(20);
            run("sh", shell("sleep 0.2; echo done"), patience, open, &mut |_| {}).await
        });
        gate.send_replace(false);
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(!work.is_finished(), "it is stopped");
        gate.send_replace(true);
        assert_eq!(work.await.expect("joined").expect("ran").output, b"done\n");
    }
}
