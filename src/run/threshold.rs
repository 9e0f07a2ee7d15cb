//! Thresholds over what requests measured.

use std::time::Duration;

use super::event::Measurements;
use crate::config::{Aggregation, Threshold};

/// What became of a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tested {
    /// It holds, with this value (in the unit of its limit).
    Held(f64),
    /// It does not, with this value.
    Broken(f64),
    /// Too little was measured to say.
    TooFew,
}

/// Tests a threshold over the requests of a window of the given measured length.
pub fn test(threshold: &Threshold, measured: &Measurements, length: Duration) -> Tested {
    let short = threshold.window.is_some_and(|window| length < window.get());
    let few = threshold.min_samples.is_some_and(|n| measured.requests() < n);
    match value(threshold.aggregation, measured, length) {
        Some(value) if !short && !few => {
            if threshold.is_met_by(value) {
                Tested::Held(value)
            } else {
                Tested::Broken(value)
            }
        }
        _ => Tested::TooFew,
    }
}

/// The value of an aggregation: microseconds, a share of 0-1, requests per second, or requests.
fn value(aggregation: Aggregation, measured: &Measurements, length: Duration) -> Option<f64> {
    let response = &measured.response;
    let micros = |time: Duration| time.as_nanos() as f64 / 1000.0;
    match aggregation {
        Aggregation::Average => response.mean().map(micros),
        Aggregation::Minimum => response.quantile(0.0).map(micros),
        Aggregation::Percentile(percentile) => response.quantile(percentile / 100.0).map(micros),
        Aggregation::Maximum => response.max().map(micros),
        Aggregation::FailedShare => measured.error_rate_percent().map(|percent| percent / 100.0),
        Aggregation::PerSecond => {
            (!length.is_zero()).then(|| measured.requests() as f64 / length.as_secs_f64())
        }
        Aggregation::Count => Some(measured.requests() as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::ErrorKind;

    fn tested(text: &str, requests: u64, failed: u64, seconds: u64) -> Tested {
        let mut measured = Measurements::default();
        measured.response.record_us(100_000, requests);
        measured.errors = [(ErrorKind::Timeout, failed)].into();
        test(&text.parse().expect("a threshold"), &measured, Duration::from_secs(seconds))
    }

    #[test]
    fn a_threshold_holds_or_breaks_by_what_was_measured() {
        assert!(matches!(tested("p(99)<200ms", 100, 0, 10), Tested::Held(_)));
        assert!(matches!(tested("avg<50ms", 100, 0, 10), Tested::Broken(_)));
        assert_eq!(tested("rate<1%", 100, 1, 10), Tested::Broken(0.01));
        assert_eq!(tested("rate>=10/s", 100, 1, 10), Tested::Held(10.0));
        assert_eq!(tested("count>100", 100, 1, 10), Tested::Broken(100.0));
    }

    #[test]
    fn a_window_that_is_not_full_and_few_samples_say_nothing() {
        assert_eq!(tested("rate[30s]<1%", 100, 50, 29), Tested::TooFew);
        assert_eq!(tested("rate[30s]<1%", 100, 50, 30), Tested::Broken(0.5));
        assert_eq!(tested("rate[30s, n>=101]<1%", 100, 50, 30), Tested::TooFew);
        assert_eq!(tested("p(99)<1s", 0, 0, 30), Tested::TooFew, "nothing was measured");
    }
}
