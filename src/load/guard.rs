//! The brake: load stops when too many requests fail for too long.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::Guards;

/// With fewer requests in the window nothing is decided.
const MIN_REQUESTS: u64 = 20;

/// Requests and failures over the configured window.
#[derive(Debug)]
pub struct ErrorGuard {
    limit_percent: f64,
    window: Duration,
    intervals: VecDeque<(Duration, u64, u64)>,
}

impl ErrorGuard {
    /// A guard that has seen nothing.
    pub const fn new(guards: &Guards) -> Self {
        Self {
            limit_percent: guards.error_rate_percent,
            window: guards.error_window.get(),
            intervals: VecDeque::new(),
        }
    }

    /// Takes an interval in; returns why the load has to stop, if it has to.
    pub fn observe(&mut self, length: Duration, requests: u64, failed: u64) -> Option<String> {
        self.intervals.push_back((length, requests, failed));
        let covered = |intervals: &VecDeque<(Duration, u64, u64)>| -> Duration {
            intervals.iter().map(|(length, ..)| *length).sum()
        };
        while let Some((oldest, ..)) = self.intervals.front()
            && covered(&self.intervals) >= self.window + *oldest
        {
            self.intervals.pop_front();
        }
        let (requests, failed) = self
            .intervals
            .iter()
            .fold((0, 0), |(n, f), (_, requests, failed)| (n + requests, f + failed));
        let percent = failed as f64 * 100.0 / requests.max(1) as f64;
        let full = covered(&self.intervals) >= self.window;
        (full && requests >= MIN_REQUESTS && percent > self.limit_percent).then(|| {
            format!(
                "{percent:.1} % of {requests} requests failed within {:.0} s (limit {} %)",
                self.window.as_secs_f64(),
                self.limit_percent
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trips_after(failed: impl Fn(u64) -> u64, seconds: u64) -> Option<u64> {
        let mut guard = ErrorGuard::new(&Guards::default());
        (1..=seconds).find(|at| guard.observe(Duration::from_secs(1), 100, failed(*at)).is_some())
    }

    #[test]
    fn it_trips_when_the_whole_window_is_bad_and_not_before() {
        assert_eq!(trips_after(|_| 100, 60), Some(30));
        assert_eq!(trips_after(|_| 5, 300), None, "5 % is not more than 5 %");
        assert_eq!(trips_after(|at| if at < 20 { 50 } else { 0 }, 300), Some(30));
        assert_eq!(trips_after(|at| if at == 3 { 100 } else { 0 }, 300), None);
    }

    #[test]
    fn a_handful_of_requests_decides_nothing() {
        let mut guard = ErrorGuard::new(&Guards::default());
        let tripped = (0..60)
            .any(|at| guard.observe(Duration::from_secs(1), u64::from(at % 10 == 0), 1).is_some());
        assert!(!tripped);
    }
}
