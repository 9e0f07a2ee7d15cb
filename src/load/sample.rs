//! What thresholds are judged by: the samples of a metric with its tags.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::course::Course;
use crate::config::Aggregation;
use crate::config::metric::{Metric, MetricKind, Selector};
use crate::run::event::{IntervalReport, Measurements};
use crate::run::histogram::Histogram;

/// What was measured for a threshold.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Time that was measured, microseconds.
    pub length_us: u64,
    times: Histogram,
    /// What is counted, or the good (or bad) ones of a share.
    hits: u64,
    /// Out of how many.
    n: u64,
    level: u64,
}

impl Sample {
    /// What an interval has of what a selector speaks of.
    pub fn of(selector: &Selector, interval: &IntervalReport, course: &Course) -> Self {
        let mut sample = Self { length_us: interval.length_us, ..Self::default() };
        if selector.metric.is_of_scenario() {
            sample.take_scenarios(selector, interval, course);
            return sample;
        }
        let none = BTreeMap::new();
        for series in &interval.series {
            let at = course.series.iter().position(|key| *key == series.key);
            let tags = at.and_then(|at| course.tags.get(at)).unwrap_or(&none);
            if selector.selects(&series.key.labels(tags)) {
                sample.take_requests(selector.metric, &series.measured);
            }
        }
        sample
    }

    fn take_requests(&mut self, metric: Metric, measured: &Measurements) {
        let times = match metric {
            Metric::ResponseTime => Some(&measured.response),
            Metric::HttpReqDuration => Some(&measured.service_time),
            Metric::Lateness => Some(&measured.lateness),
            Metric::TimeToFirstToken => measured.first_token.as_ref(),
            Metric::InterTokenGap => measured.token_gap.as_ref(),
            Metric::TimePerOutputToken => measured.time_per_token.as_ref(),
            _ => None,
        };
        if let Some(times) = times {
            self.times.add(times);
        }
        let checks = measured.checks;
        let (hits, n) = match metric {
            Metric::HttpReqFailed => (measured.failed(), measured.requests()),
            Metric::Checks => (checks.passed, checks.passed + checks.failed),
            Metric::HttpReqs => (measured.requests(), measured.requests()),
            Metric::DataReceived => (measured.bytes, measured.requests()),
            Metric::Tokens => (measured.tokens, measured.requests()),
            _ => (0, 0),
        };
        self.count(hits, n);
    }

    fn take_scenarios(&mut self, selector: &Selector, interval: &IntervalReport, course: &Course) {
        let meant = course.scenarios.iter().filter(|ready| selector.selects(&ready.labels()));
        let meant: BTreeSet<&str> = meant.map(|ready| ready.name.as_str()).collect();
        // Users of all scenarios together may stand under a name that is none of theirs.
        let is_meant = |name: &str| selector.tags.is_empty() || meant.contains(name);
        let users = interval.users.iter().filter(|(name, _)| is_meant(name));
        self.level = users.map(|(_, users)| u64::from(*users)).sum();
        for iterations in meant.iter().filter_map(|name| interval.iterations.get(*name)) {
            match selector.metric {
                Metric::IterationDuration => self.times.add(&iterations.duration),
                Metric::Iterations => self.count(iterations.finished, 0),
                Metric::DroppedIterations => self.count(iterations.dropped, 0),
                _ => {}
            }
        }
    }

    /// So many more: as many as the target or a tool says.
    const fn count(&mut self, hits: u64, n: u64) {
        self.hits = self.hits.saturating_add(hits);
        self.n = self.n.saturating_add(n);
    }

    /// Takes another one in, of a later time.
    pub fn add(&mut self, other: &Self) {
        self.length_us += other.length_us;
        self.times.add(&other.times);
        self.count(other.hits, other.n);
        self.level = other.level;
    }

    /// How many there are.
    pub fn n(&self, kind: MetricKind) -> u64 {
        match kind {
            MetricKind::Trend => self.times.count(),
            MetricKind::Rate => self.n,
            // A count of nothing is a count.
            MetricKind::Counter | MetricKind::Gauge => self.n.max(u64::from(self.length_us > 0)),
        }
    }

    /// The value in the unit of the threshold's limit: microseconds, a share, per second, a number.
    pub fn value(&self, kind: MetricKind, aggregation: Aggregation) -> Option<f64> {
        let micros = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e6);
        match aggregation {
            Aggregation::Average => micros(self.times.mean()),
            Aggregation::Minimum => micros(self.times.quantile(0.0)),
            Aggregation::Maximum => micros(self.times.max()),
            Aggregation::Percentile(p) => micros(self.times.quantile(p / 100.0)),
            Aggregation::FailedShare => (self.n > 0).then(|| self.hits as f64 / self.n as f64),
            Aggregation::PerSecond => {
                (self.length_us > 0).then(|| self.hits as f64 * 1e6 / self.length_us as f64)
            }
            Aggregation::Count if kind == MetricKind::Gauge => Some(self.level as f64),
            Aggregation::Count => Some(self.hits as f64),
        }
    }
}
