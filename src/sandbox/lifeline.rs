//! Children die with their parent, whatever kills it: the kernel sends a signal, and standard input
//! is a pipe whose other end the parent holds.

use std::os::fd::AsFd;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// Asks the kernel to kill this process when its parent dies, and returns whether the parent (by
/// process id) is still there. Call it first, on the main thread.
pub fn die_with_parent(parent: u32) -> bool {
    // Where the kernel cannot do it, the pipe below still tells.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    has_parent(parent)
}

/// Whether the parent (by process id) is still there.
pub fn has_parent(parent: u32) -> bool {
    let expected = i32::try_from(parent).ok().and_then(Pid::from_raw);
    getppid() == expected
}

/// Returns when the other end of standard input is closed.
pub async fn parent_gone() {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned();
    let Ok(mut pipe) = stdin.and_then(pipe::Receiver::from_owned_fd) else {
        // No pipe: whoever started this process by hand ends it by signal.
        return std::future::pending().await;
    };
    let mut byte = [0];
    while matches!(pipe.read(&mut byte).await, Ok(n) if n > 0) {}
}
