//! What one generator thread measures between two intervals.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::{CreationError, Histogram as Dense};
use tokio::time::Instant;

use super::exchange::Failure;
use crate::run::event::{
    CheckCounts, ErrorKind, Iterations, Measurements, SeriesInterval, SeriesKey, StreamCounts,
};
use crate::run::histogram::{Histogram, MAX_US};

/// The clocks of one finished request.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// When it should have begun.
    pub intended: Instant,
    /// When work on it began (connecting included, where that was needed).
    pub began: Instant,
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
    /// What a streamed answer consisted of.
    pub stream: Option<Streamed>,
}

impl Brought {
    /// An answer of so many bytes.
    pub fn bytes(bytes: usize) -> Self {
        Self { bytes: bytes as u64, ..Self::default() }
    }
}

/// A streamed answer with content.
#[derive(Debug)]
pub struct Streamed {
    /// When its first content came.
    pub first: Instant,
    /// When its last content came.
    pub last: Instant,
    /// Events with content.
    pub chunks: u64,
    /// Of these, events that came together with the one before.
    pub coalesced: u64,
    /// Between two arrivals of content.
    pub gaps: Vec<Duration>,
    /// Whether it said how many tokens it has.
    pub has_usage: bool,
}

/// Series of one thread. Recording an answer takes no lock and allocates nothing.
pub struct Recorder {
    series: Vec<Series>,
    iterations: Vec<IterationSeries>,
    loop_lateness: Dense<u32>,
    finished: u64,
    /// The first failure of each series and kind since the last interval, for the log.
    examples: BTreeMap<(usize, ErrorKind), String>,
    starved: u64,
    unsendable: u64,
}

struct Series {
    response: Dense<u32>,
    service_time: Dense<u32>,
    lateness: Dense<u32>,
    /// First token, gap and time per token, for series that have streamed answers.
    streamed: Option<Box<[Dense<u32>; 3]>>,
    streams: StreamCounts,
    checks: CheckCounts,
    errors: BTreeMap<ErrorKind, u64>,
    bytes: u64,
    tokens: u64,
    /// It happens at the end of a load, if at all, and needs no room until then.
    cut_off: Histogram,
}

struct IterationSeries {
    counts: Iterations,
    duration: Dense<u32>,
}

/// What a thread measured in one interval.
pub struct Measured {
    /// The series that had requests.
    pub series: Vec<SeriesInterval>,
    /// Iterations by position of the scenario.
    pub iterations: Vec<Iterations>,
    /// From the intended start to the actual one, microseconds.
    pub lateness: Histogram,
    /// What answers may have waited for the thread, microseconds.
    pub loop_lateness: Histogram,
    /// One failure of each series and kind.
    pub examples: BTreeMap<(usize, ErrorKind), String>,
    /// Requests that this machine could not send.
    pub starved: u64,
    /// Requests that nobody could send, for what stands in them.
    pub unsendable: u64,
}

/// How an iteration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// At its end, after this long.
    Finished(Duration),
    /// Before its end.
    Interrupted,
    /// It found no user.
    Dropped,
}

impl Recorder {
    /// Empty series.
    ///
    /// # Errors
    /// When the histogram's bounds are refused; the constants are not.
    pub fn new(series: usize, scenarios: usize) -> Result<Self, CreationError> {
        let one = |_| {
            Ok(Series {
                response: dense()?,
                service_time: dense()?,
                lateness: dense()?,
                streamed: None,
                streams: StreamCounts::default(),
                checks: CheckCounts::default(),
                errors: BTreeMap::new(),
                bytes: 0,
                tokens: 0,
                cut_off: Histogram::default(),
            })
        };
        let of_scenario =
            |_| Ok(IterationSeries { counts: Iterations::default(), duration: dense()? });
        Ok(Self {
            series: (0..series).map(one).collect::<Result<_, _>>()?,
            iterations: (0..scenarios).map(of_scenario).collect::<Result<_, _>>()?,
            loop_lateness: dense()?,
            finished: 0,
            examples: BTreeMap::new(),
            starved: 0,
            unsendable: 0,
        })
    }

    /// Counts a finished request and the checks of its answer. One that was not sent says nothing about
    /// the target, and is counted apart: this machine could not send it, or nobody can.
    pub fn record(
        &mut self,
        at: usize,
        clocks: Clocks,
        checks: CheckCounts,
        outcome: Result<Brought, Failure>,
    ) {
        let outcome = match outcome {
            Err(Failure { kind, detail }) if !kind.was_sent() => {
                self.starved += u64::from(kind == ErrorKind::Generator);
                self.unsendable += u64::from(kind == ErrorKind::Unsendable);
                self.examples.entry((at, kind)).or_insert(detail);
                return;
            }
            outcome => outcome,
        };
        let Some(series) = self.series.get_mut(at) else { return };
        self.finished += 1;
        series.response.saturating_record(micros(clocks.ended - clocks.intended));
        series.service_time.saturating_record(micros(clocks.ended - clocks.began));
        series.lateness.saturating_record(micros(clocks.began - clocks.intended));
        series.checks.add(checks);
        match outcome {
            Ok(Brought { bytes, tokens, stream }) => {
                series.bytes = series.bytes.saturating_add(bytes);
                // As many as the target says.
                series.tokens = series.tokens.saturating_add(tokens);
                if let Some(stream) = stream {
                    series.record_stream(&stream, tokens, clocks.began);
                }
            }
            Err(Failure { kind, detail }) => {
                *series.errors.entry(kind).or_default() += 1;
                self.examples.entry((at, kind)).or_insert(detail);
            }
        }
    }

    /// Counts a request that was given up after so long, because its user had to leave.
    pub fn cut_off(&mut self, at: usize, after: Duration) {
        if let Some(series) = self.series.get_mut(at) {
            series.cut_off.record_us(micros(after), 1);
        }
    }

    /// Counts the end of an iteration of a scenario.
    pub fn iteration(&mut self, scenario: usize, ended: Ended) {
        let Some(series) = self.iterations.get_mut(scenario) else { return };
        match ended {
            Ended::Finished(after) => {
                series.counts.finished += 1;
                series.duration.saturating_record(micros(after));
            }
            Ended::Interrupted => series.counts.interrupted += 1,
            Ended::Dropped => series.counts.dropped += 1,
        }
    }

    /// Counts an iteration that is due by the rate of a scenario.
    pub fn arrived(&mut self, scenario: usize) {
        if let Some(series) = self.iterations.get_mut(scenario) {
            series.counts.arrived += 1;
        }
    }

    /// Requests that were finished since the beginning.
    pub const fn finished(&self) -> u64 {
        self.finished
    }

    /// Counts how long so many answers may have waited for the thread.
    pub fn loop_waited(&mut self, time: Duration, answers: u64) {
        let answers = u32::try_from(answers).unwrap_or(u32::MAX);
        self.loop_lateness.saturating_record_n(micros(time), answers);
    }

    /// Takes out what was measured since the last call.
    pub fn take(&mut self, keys: &[SeriesKey]) -> Measured {
        let measured = keys.iter().zip(&mut self.series).filter(|(_, s)| !s.is_empty());
        let series: Vec<_> = measured.map(|(key, series)| series.take(key)).collect();
        let mut lateness = Histogram::default();
        series.iter().for_each(|series| lateness.add(&series.measured.lateness));
        Measured {
            series,
            iterations: self.iterations.iter_mut().map(IterationSeries::take).collect(),
            lateness,
            loop_lateness: drain(&mut self.loop_lateness),
            examples: std::mem::take(&mut self.examples),
            starved: std::mem::take(&mut self.starved),
            unsendable: std::mem::take(&mut self.unsendable),
        }
    }
}

fn dense() -> Result<Dense<u32>, CreationError> {
    Dense::new_with_bounds(1, MAX_US, 3)
}

fn micros(duration: Duration) -> u64 {
    (duration.as_micros() as u64).clamp(1, MAX_US)
}

fn drain(dense: &mut Dense<u32>) -> Histogram {
    let histogram = Histogram::from_counts(dense);
    dense.reset();
    histogram
}

impl IterationSeries {
    fn take(&mut self) -> Iterations {
        let mut taken = std::mem::take(&mut self.counts);
        taken.duration = drain(&mut self.duration);
        taken
    }
}

impl Series {
    fn is_empty(&self) -> bool {
        self.response.is_empty() && self.cut_off.is_empty()
    }

    fn record_stream(&mut self, stream: &Streamed, tokens: u64, began: Instant) {
        if self.streamed.is_none()
            && let (Ok(first), Ok(gap), Ok(per_token)) = (dense(), dense(), dense())
        {
            self.streamed = Some(Box::new([first, gap, per_token]));
        }
        let Some([first, gap, per_token]) = self.streamed.as_deref_mut() else { return };
        first.saturating_record(micros(stream.first - began));
        stream.gaps.iter().for_each(|between| gap.saturating_record(micros(*between)));
        if let Ok(after_first @ 1..) = u32::try_from(tokens.saturating_sub(1)) {
            per_token.saturating_record(micros((stream.last - stream.first) / after_first));
        }
        self.streams.add(&StreamCounts {
            streams: 1,
            chunks: stream.chunks,
            coalesced: stream.coalesced,
            without_usage: u64::from(!stream.has_usage),
        });
    }

    fn take(&mut self, key: &SeriesKey) -> SeriesInterval {
        let mut streamed = self.streamed.as_deref_mut().map(|all| all.each_mut().map(drain));
        let mut of_streams = |at: usize| {
            let taken = streamed.as_mut().map(|all| std::mem::take(&mut all[at]));
            taken.filter(|histogram| !histogram.is_empty())
        };
        SeriesInterval {
            key: key.clone(),
            measured: Measurements {
                response: drain(&mut self.response),
                service_time: drain(&mut self.service_time),
                lateness: drain(&mut self.lateness),
                first_token: of_streams(0),
                token_gap: of_streams(1),
                time_per_token: of_streams(2),
                streams: std::mem::take(&mut self.streams),
                checks: std::mem::take(&mut self.checks),
                errors: std::mem::take(&mut self.errors),
                bytes: std::mem::take(&mut self.bytes),
                tokens: std::mem::take(&mut self.tokens),
                cut_off: std::mem::take(&mut self.cut_off),
            },
        }
    }
}
