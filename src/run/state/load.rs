//! What a load phase has measured so far.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::ServiceKind;
use crate::run::event::{
    CleanupReport, ErrorKind, GeneratorHealth, IntervalReport, LoadEvent, LoadStart, SeriesKey,
};
use crate::run::histogram::Histogram;

/// Intervals (seconds) behind what the screens call "now".
pub const RECENT_INTERVALS: usize = 10;

/// Points of history kept per service; when full, neighbours are merged and each point covers twice
/// the time, so that memory stays flat and the whole phase stays visible.
const HISTORY_POINTS: usize = 600;

/// What a load phase has measured so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadState {
    /// How the generator was set up.
    pub start: Option<LoadStart>,
    /// Totals by series.
    #[serde(with = "by_series")]
    pub series: BTreeMap<SeriesKey, SeriesState>,
    /// The last intervals.
    pub recent: VecDeque<IntervalReport>,
    /// History by service.
    pub history: BTreeMap<ServiceKind, VecDeque<HistoryPoint>>,
    /// Intervals that one history point covers.
    pub intervals_per_point: u32,
    /// Intervals so far.
    pub intervals: u64,
    /// Virtual users by scenario at the last interval.
    pub users: BTreeMap<String, u32>,
    /// Time measured, microseconds.
    pub measured_us: u64,
    /// Generator lateness over the whole phase, microseconds.
    pub lateness: Histogram,
    /// Generator health of the last interval.
    pub generator: GeneratorHealth,
    /// Measurements lost over the whole phase.
    pub dropped: u64,
    /// The brake that stopped the load, if one did.
    pub guard: Option<String>,
    /// Number of the last document that may have been written; none when none was.
    pub write_block: Option<u64>,
    /// What became of the documents that were written.
    pub cleanup: Option<CleanupReport>,
}

/// Totals of one series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesState {
    /// From the intended start to the end, microseconds.
    pub response: Histogram,
    /// From the actual send to the end, microseconds.
    pub service_time: Histogram,
    /// From the actual send to the first content of a streamed answer, microseconds.
    pub first_token: Option<Histogram>,
    /// Failed requests by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Response body bytes.
    pub bytes: u64,
    /// Tokens, as far as the answers say.
    pub tokens: u64,
}

/// One point of history of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// End of the point, microseconds since the run was created.
    pub at_us: u64,
    /// Time that it covers, microseconds.
    pub length_us: u64,
    /// Finished requests.
    pub requests: u64,
    /// Failed requests.
    pub errors: u64,
    /// Virtual users at its end.
    pub users: u32,
    /// Median response time of the interval (the larger one, after merging), microseconds.
    pub p50_us: u64,
    /// 95th percentile, likewise.
    pub p95_us: u64,
    /// 99th percentile, likewise.
    pub p99_us: u64,
}

/// Totals of one service, or of everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceTotals {
    /// From the intended start to the end, microseconds.
    pub response: Histogram,
    /// From the actual send to the end, microseconds.
    pub service_time: Histogram,
    /// Failed requests by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Response body bytes.
    pub bytes: u64,
    /// Tokens, as far as the answers say.
    pub tokens: u64,
    /// Time that the totals cover, microseconds.
    pub length_us: u64,
}

impl ServiceTotals {
    /// Finished requests.
    pub fn requests(&self) -> u64 {
        self.response.count()
    }

    /// Failed requests.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Requests for which the platform was not available.
    pub fn unavailable(&self) -> u64 {
        let kinds = self.errors.iter().filter(|(kind, _)| kind.is_unavailability());
        kinds.map(|(_, n)| n).sum()
    }

    /// Requests per second; none without time.
    pub fn rate(&self) -> Option<f64> {
        (self.length_us > 0).then(|| self.requests() as f64 * 1e6 / self.length_us as f64)
    }

    /// Failed share in percent; none without requests.
    pub fn error_rate_percent(&self) -> Option<f64> {
        let n = self.requests();
        (n > 0).then(|| self.failed() as f64 * 100.0 / n as f64)
    }

    /// Adds the totals of another source that covers the same or another time.
    pub fn add(&mut self, other: &Self) {
        self.response.add(&other.response);
        self.service_time.add(&other.service_time);
        add_errors(&mut self.errors, &other.errors);
        self.bytes += other.bytes;
        self.tokens += other.tokens;
        self.length_us += other.length_us;
    }
}

impl LoadState {
    /// Totals of one service over the whole phase, or of all services.
    pub fn totals(&self, service: Option<ServiceKind>) -> ServiceTotals {
        let mut totals = ServiceTotals { length_us: self.measured_us, ..Default::default() };
        for (key, series) in &self.series {
            if service.is_none_or(|wanted| wanted == key.service) {
                totals.response.add(&series.response);
                totals.service_time.add(&series.service_time);
                add_errors(&mut totals.errors, &series.errors);
                totals.bytes += series.bytes;
                totals.tokens += series.tokens;
            }
        }
        totals
    }

    /// Totals of one service over the last [`RECENT_INTERVALS`], or of all services.
    pub fn now(&self, service: Option<ServiceKind>) -> ServiceTotals {
        let mut totals = ServiceTotals::default();
        for interval in &self.recent {
            totals.length_us += interval.length_us;
            for series in &interval.series {
                if service.is_none_or(|wanted| wanted == series.key.service) {
                    totals.response.add(&series.response);
                    totals.service_time.add(&series.service_time);
                    add_errors(&mut totals.errors, &series.errors);
                    totals.bytes += series.bytes;
                    totals.tokens += series.tokens;
                }
            }
        }
        totals
    }

    /// Services that the load speaks to.
    pub fn services(&self) -> Vec<ServiceKind> {
        let speaks = |kind: &ServiceKind| {
            let started = self.start.iter().flat_map(|start| &start.scenarios);
            started.into_iter().any(|(_, service)| service == kind)
        };
        ServiceKind::ALL.into_iter().filter(speaks).collect()
    }

    pub(super) fn apply(&mut self, at_us: u64, event: &LoadEvent) {
        match event {
            LoadEvent::Started(start) => self.start = Some(start.clone()),
            LoadEvent::Interval(interval) => self.add_interval(at_us, interval),
            LoadEvent::Rescaled { .. } => {}
            LoadEvent::WriteBlock { last } => self.write_block = Some(*last),
            LoadEvent::GuardTripped { reason } => self.guard = Some(reason.clone()),
            LoadEvent::Cleanup(report) => self.cleanup = Some(report.clone()),
        }
    }

    fn add_interval(&mut self, at_us: u64, interval: &IntervalReport) {
        self.intervals += 1;
        self.measured_us = self.measured_us.saturating_add(interval.length_us);
        self.users.clone_from(&interval.users);
        self.lateness.add(&interval.generator.lateness);
        self.dropped = self.dropped.saturating_add(interval.generator.dropped);
        self.generator = interval.generator.clone();
        for measured in &interval.series {
            let series = self.series.entry(measured.key.clone()).or_default();
            series.response.add(&measured.response);
            series.service_time.add(&measured.service_time);
            if let Some(first) = &measured.first_token {
                series.first_token.get_or_insert_default().add(first);
            }
            add_errors(&mut series.errors, &measured.errors);
            series.bytes = series.bytes.saturating_add(measured.bytes);
            series.tokens = series.tokens.saturating_add(measured.tokens);
        }
        if self.recent.len() == RECENT_INTERVALS {
            self.recent.pop_front();
        }
        self.recent.push_back(interval.clone());
        self.add_history(at_us, interval);
    }

    fn add_history(&mut self, at_us: u64, interval: &IntervalReport) {
        self.intervals_per_point = self.intervals_per_point.max(1);
        let starts_point = (self.intervals - 1).is_multiple_of(u64::from(self.intervals_per_point));
        for service in self.services() {
            let point = self.point(at_us, interval, service);
            let history = self.history.entry(service).or_default();
            match history.back_mut() {
                Some(last) if !starts_point => last.merge(&point),
                _ => history.push_back(point),
            }
        }
        if self.history.values().any(|history| history.len() >= HISTORY_POINTS) {
            self.history.values_mut().for_each(halve);
            self.intervals_per_point *= 2;
        }
    }

    fn point(&self, at_us: u64, interval: &IntervalReport, service: ServiceKind) -> HistoryPoint {
        let mut response = Histogram::default();
        let mut errors = 0;
        for series in interval.series.iter().filter(|series| series.key.service == service) {
            response.add(&series.response);
            errors += series.errors.values().sum::<u64>();
        }
        let quantile = |q| response.quantile(q).map_or(0, |d| d.as_micros() as u64);
        let scenarios = self.start.iter().flat_map(|start| &start.scenarios);
        let users = scenarios
            .filter(|(_, of)| *of == service)
            .filter_map(|(name, _)| interval.users.get(name))
            .sum();
        HistoryPoint {
            at_us,
            length_us: interval.length_us,
            requests: response.count(),
            errors,
            users,
            p50_us: quantile(0.5),
            p95_us: quantile(0.95),
            p99_us: quantile(0.99),
        }
    }
}

impl HistoryPoint {
    fn merge(&mut self, later: &Self) {
        self.at_us = later.at_us;
        self.length_us += later.length_us;
        self.requests += later.requests;
        self.errors += later.errors;
        self.users = later.users;
        self.p50_us = self.p50_us.max(later.p50_us);
        self.p95_us = self.p95_us.max(later.p95_us);
        self.p99_us = self.p99_us.max(later.p99_us);
    }
}

impl LoadEvent {
    /// The mark that the event leaves in the timeline, if any.
    pub(super) fn mark(&self) -> Option<String> {
        match self {
            Self::Rescaled { scenario: Some(name), users } => {
                Some(format!("{name}: {users} users"))
            }
            Self::Rescaled { scenario: None, users } => Some(format!("{users} users")),
            Self::GuardTripped { reason } => Some(format!("guard: {reason}")),
            _ => None,
        }
    }
}

fn halve(history: &mut VecDeque<HistoryPoint>) {
    let points: Vec<HistoryPoint> = history.drain(..).collect();
    history.extend(points.chunks(2).map(|pair| {
        let mut point = pair[0];
        pair[1..].iter().for_each(|later| point.merge(later));
        point
    }));
}

fn add_errors(sum: &mut BTreeMap<ErrorKind, u64>, more: &BTreeMap<ErrorKind, u64>) {
    for (kind, n) in more {
        let total = sum.entry(*kind).or_default();
        *total = total.saturating_add(*n);
    }
}

/// JSON has only strings for keys, so the series travel as a list.
mod by_series {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{SeriesKey, SeriesState};

    pub fn serialize<S: Serializer>(
        series: &BTreeMap<SeriesKey, SeriesState>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(series)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<SeriesKey, SeriesState>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}
