//! A network namespace for tests, and what is in it as the tools of others see it.

use std::process::{Child, Command};
use std::time::Duration;

use crate::chaos::procfs::Process;

/// A process in a network namespace of its own; it ends with this value.
pub struct OwnNamespace {
    child: Child,
    pub process: Process,
}

impl OwnNamespace {
    /// None where that is not allowed.
    pub fn new() -> Option<Self> {
        let mut child = Command::new("unshare").args(["-n", "sleep", "30"]).spawn().ok()?;
        std::thread::sleep(Duration::from_millis(300));
        let process = Process::now(child.id()).filter(|process| is_elsewhere(*process));
        if process.is_none() {
            end(&mut child);
        }
        Some(Self { child, process: process? })
    }
}

impl Drop for OwnNamespace {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn is_elsewhere(process: Process) -> bool {
    let own = Process::now(std::process::id()).and_then(Process::network_namespace);
    process.network_namespace().is_some() && process.network_namespace() != own
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// All that nft sees in the network namespace of a process.
pub fn nft_listing(process: Process) -> String {
    seen_there(process, &["nft", "list", "ruleset"])
}

/// What a tool says in the network namespace of a process.
pub fn seen_there(process: Process, tool: &[&str]) -> String {
    let pid = process.pid.to_string();
    let output =
        Command::new("nsenter").args(["-t", &pid, "-n"]).args(tool).output().expect("nsenter runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
