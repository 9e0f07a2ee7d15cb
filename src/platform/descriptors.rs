//! How many files and connections this process may have open at a time. Connections to the platform
//! leave some to the rest of a run: its journal, its operators and its probes.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that connections to the platform leave to the rest; of a small limit, half.
const RESERVED: u64 = 128;

/// Connections to the platform that are open.
static OPEN: AtomicU64 = AtomicU64::new(0);

/// Raises the limit of open descriptors as far as the system lets an ordinary process do it, and
/// returns it; none when there is no limit.
pub fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let raised = Rlimit { current: maximum, maximum };
        // A limit that cannot be raised still holds, and is what is returned.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    getrlimit(Resource::Nofile).current
}

/// How many connections to the platform may be open at a time; none when there is no limit.
pub fn most_connections() -> Option<u64> {
    getrlimit(Resource::Nofile).current.map(|limit| limit - RESERVED.min(limit / 2))
}

/// The place of one connection; free again when it is dropped.
#[derive(Debug)]
pub struct Place(());

impl Place {
    /// Takes a place.
    ///
    /// # Errors
    /// As the system says it when it has no descriptor left (EMFILE).
    pub fn take() -> io::Result<Self> {
        let most = most_connections().unwrap_or(u64::MAX);
        let one_more = |open| (open < most).then_some(open + 1);
        match OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(Self(())),
            Err(_) => Err(Errno::MFILE.into()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_the_system_allows_and_some_are_left_to_the_rest() {
        let limit = raise_limit();
        assert_eq!(limit, getrlimit(Resource::Nofile).maximum);
        assert!(most_connections() < limit || limit.is_none());
        let place = Place::take().expect("a place");
        assert!(OPEN.load(Ordering::Relaxed) > 0);
        drop(place);
    }
}
