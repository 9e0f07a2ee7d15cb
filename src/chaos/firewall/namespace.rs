//! Acting in the network namespace of another process.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::chaos::procfs::Process;

/// Does something in the network namespace of a process, on a thread of its own: no other thread
/// of this process goes there.
///
/// # Errors
/// When the process is gone, this one may not, or what is done fails.
pub fn in_namespace_of<T: Send>(
    process: Process,
    act: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            enter(process)?;
            act()
        });
        there.join().unwrap_or_else(|_| Err(io::Error::other("the thread there ended")))
    })
}

/// Moves this thread into the network namespace of a process.
///
/// # Errors
/// When the process is gone, or this one may not.
pub fn enter(process: Process) -> io::Result<()> {
    let namespace = File::open(format!("/proc/{}/ns/net", process.pid))?;
    // The link is of whoever has the number now: only if that is still the same one.
    if !process.is_alive() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the process is gone"));
    }
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}
