//! A network namespace for tests, and what is in it as the tools of others see it.

use std::process::Command;
use std::time::Duration;

use crate::chaos::procfs::Process;

/// A process in a network namespace of its own; none where that is not allowed.
pub fn own_namespace() -> Option<(std::process::Child, Process)> {
    let mut child = Command::new("unshare").args(["-n", "sleep", "30"]).spawn().ok()?;
    std::thread::sleep(Duration::from_millis(300));
    let process = Process::now(child.id()).filter(|process| {
        let own = Process::now(std::process::id()).and_then(Process::network_namespace);
        process.network_namespace().is_some() && process.network_namespace() != own
    });
    if process.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    Some((child, process?))
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
