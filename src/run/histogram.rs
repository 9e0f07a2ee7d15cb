//! Latency histograms as they travel in events: HdrHistogram V2, base64, microseconds.

use std::cmp::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Counter;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize};

/// Largest value that a histogram tells apart, in microseconds: one hour. Larger values are clamped.
pub const MAX_US: u64 = 3_600_000_000;

/// A latency histogram from 1 µs to one hour with three significant digits: HdrHistogram's buckets,
/// kept sparsely. A run holds hundreds of them (a ring of intervals per series), and a dense one of
/// this range takes 188 KB; most intervals have a few dozen distinct values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Lowest value of each bucket with its count, in ascending order, without empty buckets.
    buckets: Vec<(u64, u64)>,
    total: u64,
}

/// Why bytes are no histogram.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// Not base64.
    #[error("histogram is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not HdrHistogram V2.
    #[error("histogram is not HdrHistogram V2: {0}")]
    Format(String),
}

/// Width of the bucket that holds a value: 1 µs below 2048 µs, then doubling with the value, so that
/// three significant digits remain.
const fn bucket_width(value_us: u64) -> u64 {
    1 << (value_us | 1).ilog2().saturating_sub(10)
}

impl Histogram {
    /// Takes over what a generator recorded.
    pub fn from_counts<C: Counter>(counts: &hdrhistogram::Histogram<C>) -> Self {
        let mut sum = Self::default();
        for value in counts.iter_recorded() {
            sum.record_us(value.value_iterated_to(), value.count_at_value().as_u64());
        }
        sum
    }

    /// Counts `n` requests that took `value_us` microseconds.
    pub fn record_us(&mut self, value_us: u64, n: u64) {
        let value = value_us.clamp(1, MAX_US);
        let lowest = value - value % bucket_width(value);
        self.total = self.total.saturating_add(n);
        match self.buckets.binary_search_by_key(&lowest, |(value, _)| *value) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(n),
            Err(at) if n > 0 => self.buckets.insert(at, (lowest, n)),
            Err(_) => {}
        }
    }

    /// Adds every count of another histogram.
    pub fn add(&mut self, other: &Self) {
        let mut merged = Vec::with_capacity(self.buckets.len() + other.buckets.len());
        let (mut left, mut right) = (self.buckets.as_slice(), other.buckets.as_slice());
        while let (Some(l), Some(r)) = (left.first(), right.first()) {
            match l.0.cmp(&r.0) {
                Ordering::Less => merged.push(*l),
                Ordering::Greater => merged.push(*r),
                Ordering::Equal => merged.push((l.0, l.1.saturating_add(r.1))),
            }
            left = &left[usize::from(l.0 <= r.0)..];
            right = &right[usize::from(r.0 <= l.0)..];
        }
        merged.extend_from_slice(left);
        merged.extend_from_slice(right);
        self.buckets = merged;
        self.total = self.total.saturating_add(other.total);
    }

    /// Whether nothing was recorded.
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Number of recorded requests.
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The value at a quantile between 0 and 1 (highest equivalent value of its bucket, as
    /// HdrHistogram defines it); none without data.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let wanted = ((quantile.clamp(0.0, 1.0) * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().find(|(_, n)| {
            seen = n.saturating_add(seen);
            seen >= wanted
        });
        bucket.map(|(lowest, _)| highest_in_bucket(*lowest))
    }

    /// Largest recorded value (highest of its bucket); none without data.
    pub fn max(&self) -> Option<Duration> {
        self.buckets.last().map(|(lowest, _)| highest_in_bucket(*lowest))
    }

    /// How many values may have been this large or larger: a bucket that holds the limit counts, so
    /// that nothing is taken to be below a limit that it is not.
    pub fn at_or_above(&self, limit: Duration) -> u64 {
        let above = self.buckets.iter().filter(|(lowest, _)| highest_in_bucket(*lowest) >= limit);
        above.map(|(_, n)| n).sum()
    }

    /// Arithmetic mean over the middles of the buckets; none without data.
    pub fn mean(&self) -> Option<Duration> {
        let middle = |lowest: u64| lowest as f64 + (bucket_width(lowest) - 1) as f64 / 2.0;
        let sum: f64 = self.buckets.iter().map(|(lowest, n)| middle(*lowest) * *n as f64).sum();
        (self.total > 0).then(|| Duration::from_secs_f64(sum / self.total as f64 / 1e6))
    }

    /// Counts between bounds in microseconds, for drawing: `bounds[i] <= value < bounds[i + 1]`.
    pub fn counts_between(&self, bounds_us: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds_us.len().saturating_sub(1)];
        for (lowest, n) in &self.buckets {
            let at = bounds_us.partition_point(|bound| bound <= lowest);
            if let Some(count) = at.checked_sub(1).and_then(|i| counts.get_mut(i)) {
                *count = n.saturating_add(*count);
            }
        }
        counts
    }

    /// HdrHistogram V2 in base64, readable by any HdrHistogram library.
    ///
    /// # Errors
    /// When the library refuses a count; none that this type can hold makes it do so.
    pub fn to_base64(&self) -> Result<String, HistogramError> {
        let mut bytes = Vec::new();
        let written = V2Serializer::new().serialize(&self.to_dense()?, &mut bytes);
        written.map_err(|error| HistogramError::Format(format!("{error:?}")))?;
        Ok(STANDARD.encode(bytes))
    }

    /// The same counts as the library keeps them.
    ///
    /// # Errors
    /// When the library refuses a count; none that this type can hold makes it do so.
    pub fn to_dense(&self) -> Result<hdrhistogram::Histogram<u64>, HistogramError> {
        let format = |error: &dyn std::fmt::Debug| HistogramError::Format(format!("{error:?}"));
        let highest = self.buckets.last().map_or(2, |(lowest, _)| (*lowest).max(2));
        let mut dense = hdrhistogram::Histogram::<u64>::new_with_bounds(1, highest, 3)
            .map_err(|error| format(&error))?;
        for (lowest, n) in &self.buckets {
            dense.record_n(*lowest, *n).map_err(|error| format(&error))?;
        }
        Ok(dense)
    }

    /// Reads what [`Self::to_base64`] wrote.
    ///
    /// # Errors
    /// When the text is no base64 or no V2 histogram.
    pub fn from_base64(text: &str) -> Result<Self, HistogramError> {
        let bytes = STANDARD.decode(text)?;
        let read: hdrhistogram::Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| HistogramError::Format(format!("{error:?}")))?;
        Ok(Self::from_counts(&read))
    }
}

const fn highest_in_bucket(lowest_us: u64) -> Duration {
    Duration::from_micros(lowest_us + bucket_width(lowest_us) - 1)
}

impl Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64().map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_base64(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_histogram_has_no_percentiles() {
        assert_eq!(Histogram::default().quantile(0.99), None);
    }

    #[test]
    fn garbage_is_refused() {
        assert!(Histogram::from_base64("not base64!").is_err());
        assert!(Histogram::from_base64("AAAA").is_err());
    }

    proptest! {
        #[test]
        fn merging_equals_recording_the_union(
            left in prop::collection::vec(1u64..10_000_000, 0..200),
            right in prop::collection::vec(1u64..10_000_000, 0..200),
        ) {
            let record = |values: &[u64]| {
                let mut histogram = Histogram::default();
                values.iter().for_each(|v| histogram.record_us(*v, 1));
                histogram
            };
            let mut merged = record(&left);
            merged.add(&record(&right));
            let union: Vec<u64> = left.iter().chain(&right).copied().collect();
            prop_assert_eq!(merged, record(&union));
        }

        #[test]
        fn quantiles_are_those_of_hdrhistogram(
            values in prop::collection::vec(1u64..MAX_US, 1..300),
            quantile in 0.0f64..=1.0,
        ) {
            let mut ours = Histogram::default();
            let mut theirs = hdrhistogram::Histogram::<u64>::new_with_bounds(1, MAX_US, 3).expect("bounds");
            for value in &values {
                ours.record_us(*value, 1);
                theirs.record(*value).expect("in bounds");
            }
            let expected = Duration::from_micros(theirs.value_at_quantile(quantile));
            prop_assert_eq!(ours.quantile(quantile), Some(expected));
            prop_assert_eq!(ours.max(), Some(Duration::from_micros(theirs.max())));
        }

        #[test]
        fn base64_reads_back(values in prop::collection::vec(1u64..MAX_US, 0..100)) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|v| histogram.record_us(*v, 1));
            let back = Histogram::from_base64(&histogram.to_base64().expect("serializable")).expect("own format");
            prop_assert_eq!(back, histogram);
        }
    }
}
