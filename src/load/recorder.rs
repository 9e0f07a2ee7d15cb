//! What one generator thread measures between two intervals.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram as Dense;
use tokio::time::Instant;

use super::exchange::Failure;
use crate::run::event::{ErrorKind, Measurements, SeriesInterval, SeriesKey};
use crate::run::histogram::{Histogram, MAX_US};

/// The clocks of one finished request.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// When it should have begun.
    pub intended: Instant,
    /// When work on it began (connecting included, where that was needed).
    pub began: Instant,
    /// When its first content came, for a streamed answer.
    pub first_token: Option<Instant>,
    /// When it was over.
    pub ended: Instant,
}

/// What a finished request brought.
#[derive(Debug, Default)]
pub struct Brought {
    /// Response body bytes.
    pub bytes: u64,
    /// Tokens, as far as the answer says.
    pub tokens: u64,
}

/// Series of one thread. Recording takes no lock and allocates nothing.
pub struct Recorder {
    series: Vec<Series>,
    lateness: Dense<u32>,
    /// The first failure of each series and kind since the last interval, for the log.
    examples: BTreeMap<(usize, ErrorKind), String>,
}

struct Series {
    response: Dense<u32>,
    service_time: Dense<u32>,
    first_token: Option<Dense<u32>>,
    errors: BTreeMap<ErrorKind, u64>,
    bytes: u64,
    tokens: u64,
}

/// What a thread measured in one interval.
pub struct Measured {
    /// The series that had requests.
    pub series: Vec<SeriesInterval>,
    /// From the intended start to the actual one, microseconds.
    pub lateness: Histogram,
    /// One failure of each series and kind.
    pub examples: BTreeMap<(usize, ErrorKind), String>,
}

impl Recorder {
    /// Empty series; `streamed` says which have first tokens.
    ///
    /// # Errors
    /// When the histogram's bounds are refused; the constants are not.
    pub fn new(count: usize) -> Result<Self, hdrhistogram::CreationError> {
        let dense = || Dense::<u32>::new_with_bounds(1, MAX_US, 3);
        let series = || {
            Ok(Series {
                response: dense()?,
                service_time: dense()?,
                first_token: None,
                errors: BTreeMap::new(),
                bytes: 0,
                tokens: 0,
            })
        };
        let series = (0..count).map(|_| series()).collect::<Result<_, _>>()?;
        Ok(Self { series, lateness: dense()?, examples: BTreeMap::new() })
    }

    /// Counts a finished request.
    pub fn record(&mut self, at: usize, clocks: Clocks, outcome: Result<Brought, Failure>) {
        let Some(series) = self.series.get_mut(at) else { return };
        let micros = |duration: Duration| (duration.as_micros() as u64).clamp(1, MAX_US);
        series.response.saturating_record(micros(clocks.ended - clocks.intended));
        series.service_time.saturating_record(micros(clocks.ended - clocks.began));
        self.lateness.saturating_record(micros(clocks.began - clocks.intended));
        match outcome {
            Ok(Brought { bytes, tokens }) => {
                series.bytes += bytes;
                series.tokens += tokens;
                if let Some(first) = clocks.first_token {
                    series.record_first_token(micros(first - clocks.began));
                }
            }
            Err(Failure { kind, detail }) => {
                *series.errors.entry(kind).or_default() += 1;
                self.examples.entry((at, kind)).or_insert(detail);
            }
        }
    }

    /// Takes out what was measured since the last call.
    pub fn take(&mut self, keys: &[SeriesKey]) -> Measured {
        let lateness = Histogram::from_counts(&self.lateness);
        self.lateness.reset();
        let measured = keys.iter().zip(&mut self.series).filter(|(_, s)| !s.response.is_empty());
        Measured {
            series: measured.map(|(key, series)| series.take(key)).collect(),
            lateness,
            examples: std::mem::take(&mut self.examples),
        }
    }
}

impl Series {
    fn record_first_token(&mut self, micros: u64) {
        if self.first_token.is_none() {
            self.first_token = Dense::new_with_bounds(1, MAX_US, 3).ok();
        }
        if let Some(histogram) = &mut self.first_token {
            histogram.saturating_record(micros);
        }
    }

    fn take(&mut self, key: &SeriesKey) -> SeriesInterval {
        let take = |dense: &mut Dense<u32>| {
            let histogram = Histogram::from_counts(dense);
            dense.reset();
            histogram
        };
        SeriesInterval {
            key: key.clone(),
            measured: Measurements {
                response: take(&mut self.response),
                service_time: take(&mut self.service_time),
                first_token: self.first_token.as_mut().map(take).filter(|first| first.count() > 0),
                errors: std::mem::take(&mut self.errors),
                bytes: std::mem::take(&mut self.bytes),
                tokens: std::mem::take(&mut self.tokens),
            },
        }
    }
}
