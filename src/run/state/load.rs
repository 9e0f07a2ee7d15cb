//! What a load phase has measured so far.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::ServiceKind;
use crate::run::event::{
    CleanupReport, GeneratorHealth, IntervalReport, Iterations, LimitReport, LoadEvent, LoadStart,
    Measurements, SeriesKey, ThresholdRow,
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
    pub series: BTreeMap<SeriesKey, Measurements>,
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
    /// Iterations by scenario.
    #[serde(default)]
    pub iterations: BTreeMap<String, Iterations>,
    /// The thresholds as last evaluated.
    #[serde(default)]
    pub thresholds: Vec<ThresholdRow>,
    /// What is known of the largest sustained rate, where it is looked for.
    #[serde(default)]
    pub limit: Option<LimitReport>,
    /// Percent of the planned rate by scenario, where an operator changed it.
    #[serde(default)]
    pub rate_percent: BTreeMap<String, u32>,
    /// Time measured, microseconds.
    pub measured_us: u64,
    /// Generator lateness over the whole phase, microseconds.
    pub lateness: Histogram,
    /// What answers may have waited for the generator's loop, over the whole phase, microseconds.
    #[serde(default)]
    pub loop_lateness: Histogram,
    /// Intervals in which a thread of the generator was out of CPU.
    #[serde(default)]
    pub busy_intervals: u64,
    /// Generator health of the last interval.
    pub generator: GeneratorHealth,
    /// Measurements lost over the whole phase.
    pub dropped: u64,
    /// Requests that this machine could not send for want of a descriptor or a port.
    pub starved: u64,
    /// Requests that nobody can send.
    #[serde(default)]
    pub unsendable: u64,
    /// The brake that stopped the load, if one did.
    pub guard: Option<String>,
    /// Number of the last document that may have been written; none when none was.
    pub write_block: Option<u64>,
    /// What became of the documents that were written.
    pub cleanup: Option<CleanupReport>,
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
pub struct Totals {
    /// What was measured.
    pub measured: Measurements,
    /// Time that the totals cover, microseconds.
    pub length_us: u64,
}

impl Totals {
    /// Requests per second; none without time.
    pub fn rate(&self) -> Option<f64> {
        let requests = self.measured.requests() as f64;
        (self.length_us > 0).then(|| requests * 1e6 / self.length_us as f64)
    }
}

impl LoadState {
    /// Totals of one service over the whole phase, or of all services.
    pub fn totals(&self, service: Option<ServiceKind>) -> Totals {
        let mut totals = Totals { length_us: self.measured_us, ..Totals::default() };
        let wanted = |key: &SeriesKey| service.is_none_or(|service| service == key.service);
        for (_, measured) in self.series.iter().filter(|(key, _)| wanted(key)) {
            totals.measured.add(measured);
        }
        totals
    }

    /// Totals of one service over the last [`RECENT_INTERVALS`], or of all services.
    pub fn now(&self, service: Option<ServiceKind>) -> Totals {
        let mut totals = Totals::default();
        let wanted = |key: &SeriesKey| service.is_none_or(|service| service == key.service);
        for interval in &self.recent {
            totals.length_us = totals.length_us.saturating_add(interval.length_us);
            for series in interval.series.iter().filter(|series| wanted(&series.key)) {
                totals.measured.add(&series.measured);
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
            LoadEvent::RateChanged { scenario, percent } => self.change_rate(scenario, *percent),
            LoadEvent::Limit(limit) => self.limit = Some(limit.clone()),
            LoadEvent::Thresholds { rows } => self.thresholds.clone_from(rows),
        }
    }

    fn change_rate(&mut self, scenario: &Option<String>, percent: u32) {
        let scenarios = self.start.iter().flat_map(|start| &start.scenarios);
        let names = scenarios.map(|(name, _)| name);
        let changed = names.filter(|name| scenario.as_ref().is_none_or(|one| one == *name));
        self.rate_percent.extend(changed.map(|name| (name.clone(), percent)));
    }

    fn add_interval(&mut self, at_us: u64, interval: &IntervalReport) {
        self.intervals += 1;
        self.measured_us = self.measured_us.saturating_add(interval.length_us);
        self.users.clone_from(&interval.users);
        self.lateness.add(&interval.generator.lateness);
        self.loop_lateness.add(&interval.generator.loop_lateness);
        self.busy_intervals += u64::from(interval.generator.is_busy());
        self.dropped = self.dropped.saturating_add(interval.generator.dropped);
        self.starved = self.starved.saturating_add(interval.generator.starved);
        self.unsendable = self.unsendable.saturating_add(interval.generator.unsendable);
        self.generator = interval.generator.clone();
        for series in &interval.series {
            self.series.entry(series.key.clone()).or_default().add(&series.measured);
        }
        for (scenario, iterations) in &interval.iterations {
            self.iterations.entry(scenario.clone()).or_default().add(iterations);
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
            response.add(&series.measured.response);
            errors += series.measured.failed();
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
            Self::RateChanged { scenario, percent } => {
                let whose = scenario.as_ref().map_or_else(String::new, |name| format!("{name}: "));
                Some(format!("{whose}{percent} % of the rate"))
            }
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

/// JSON has only strings for keys, so the series travel as a list.
mod by_series {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Measurements, SeriesKey};

    pub fn serialize<S: Serializer>(
        series: &BTreeMap<SeriesKey, Measurements>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(series)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<SeriesKey, Measurements>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}
