//! When a child that ended is started again: Docker's rule. The first restart comes after 100 ms,
//! each further one after twice the time before, up to a minute; a child that ran for ten seconds
//! starts again from 100 ms.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
const PROVEN_AFTER: Duration = Duration::from_secs(10);

/// The delays between restarts of one child.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Before the first restart.
    pub const fn new() -> Self {
        Self { next: FIRST }
    }

    /// The delay before the next start of a child that has just run for `ran`.
    pub fn after(&mut self, ran: Duration) -> Duration {
        let delay = if ran >= PROVEN_AFTER { FIRST } else { self.next };
        self.next = (delay * 2).min(LONGEST);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_a_minute_and_start_over_after_a_good_run() {
        let mut backoff = Backoff::new();
        let short = Duration::from_millis(5);
        let delays: Vec<u128> = (0..12).map(|_| backoff.after(short).as_millis()).collect();
        assert_eq!(delays[..4], [100, 200, 400, 800]);
        assert_eq!(delays[10..], [60_000, 60_000]);
        assert_eq!(backoff.after(Duration::from_secs(10)).as_millis(), 100);
        assert_eq!(backoff.after(short).as_millis(), 200);
    }
}
