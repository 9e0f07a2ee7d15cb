//! Latencies of the practice services: log-normal, seeded, cut off where a healthy platform stops.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, LogNormal};

/// No healthy answer takes longer.
const LONGEST: Duration = Duration::from_millis(1500);

/// A source of latencies and of other chance.
#[derive(Debug)]
pub struct Latencies(Mutex<StdRng>);

impl Latencies {
    /// A source that gives the same latencies for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// A latency with this median; `sigma` is the standard deviation of its logarithm.
    pub fn draw(&self, median: Duration, sigma: f64) -> Duration {
        let location = median.as_secs_f64().ln();
        let Ok(distribution) = LogNormal::new(location, sigma) else { return median };
        let seconds: f64 = distribution.sample(&mut *self.lock());
        Duration::try_from_secs_f64(seconds).map_or(LONGEST, |latency| latency.min(LONGEST))
    }

    /// Whether something of this probability (0-1) happens now.
    pub fn happens(&self, probability: f64) -> bool {
        probability > 0.0 && self.lock().random::<f64>() < probability
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, StdRng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_seeded_cut_off_and_centred_on_the_median() {
        let median = Duration::from_millis(100);
        let draw = |seed| {
            let latencies = Latencies::new(seed);
            (0..2000).map(|_| latencies.draw(median, 0.5)).collect::<Vec<_>>()
        };
        let mut drawn = draw(7);
        assert_eq!(drawn, draw(7));
        assert_ne!(drawn, draw(8));
        drawn.sort();
        assert!(drawn.iter().all(|latency| *latency <= LONGEST));
        let middle = drawn[1000].as_secs_f64();
        assert!((0.09..0.11).contains(&middle), "{middle}");
    }
}
