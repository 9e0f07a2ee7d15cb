//! Locks on files: held by a process as long as it lives, and dropped by the kernel with it, so that
//! a dead owner's lock is free and a live one's is never taken.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// Somebody who only looks holds a lock for an instant. An owner waits that long, so that a glance is
/// never taken for another owner.
const A_GLANCE: Duration = Duration::from_millis(250);
const RETRY: Duration = Duration::from_millis(5);

/// Locks a file for its owner; false when another owner holds it.
pub(super) fn own(file: &File) -> io::Result<bool> {
    let deadline = Instant::now() + A_GLANCE;
    loop {
        match try_own(file) {
            Ok(false) if Instant::now() < deadline => std::thread::sleep(RETRY),
            owned => return owned,
        }
    }
}

/// As [`own`], without waiting.
pub(super) fn try_own(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether a live owner holds the lock of a file.
pub(super) fn is_owned(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| {
        flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_is_no_owner_and_an_owner_is_respected() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        let open = || File::options().write(true).open(file.path()).expect("there");
        let (glance, owner, other) = (open(), open(), open());
        flock(&glance, FlockOperation::NonBlockingLockShared).expect("free");
        let looked = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            drop(glance);
        });
        assert!(own(&owner).expect("lockable"), "a glance kept the owner out");
        looked.join().expect("ended");
        assert!(is_owned(file.path()));
        assert!(!own(&other).expect("lockable"), "a live lock was taken");
        drop(owner);
        assert!(!is_owned(file.path()));
    }
}
