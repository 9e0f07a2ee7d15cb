//! Intervals of several threads become one: histograms are added, percentiles never averaged.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::generator::ThreadInterval;
use crate::run::event::{
    GeneratorHealth, IntervalReport, Iterations, Measurements, SeriesInterval, SeriesKey,
};

/// What the threads have reported since the last interval of the phase.
pub struct Merge {
    since: Instant,
    series: BTreeMap<SeriesKey, Measurements>,
    /// By position of the scenario.
    iterations: Vec<Iterations>,
    generator: GeneratorHealth,
    users: Vec<Vec<u32>>,
    heard: bool,
}

impl Merge {
    /// Nothing has been reported yet.
    pub fn new(threads: usize) -> Self {
        Self {
            since: Instant::now(),
            series: BTreeMap::new(),
            iterations: Vec::new(),
            generator: GeneratorHealth::default(),
            users: vec![Vec::new(); threads],
            heard: false,
        }
    }

    /// Lets the next interval begin now: the time of a pause is nobody's.
    pub fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// Adds what a thread reports.
    pub fn add(&mut self, interval: ThreadInterval) {
        self.heard = true;
        self.generator.lateness.add(&interval.measured.lateness);
        let busiest = self.generator.busiest_thread_percent.max(interval.busy_percent);
        self.generator.busiest_thread_percent = busiest;
        self.generator.in_flight += interval.in_flight;
        self.generator.starved += interval.measured.starved;
        if let Some(users) = self.users.get_mut(interval.thread as usize) {
            *users = interval.users;
        }
        let scenarios = interval.measured.iterations.len().max(self.iterations.len());
        self.iterations.resize_with(scenarios, Iterations::default);
        for (sum, more) in self.iterations.iter_mut().zip(&interval.measured.iterations) {
            sum.add(more);
        }
        for series in interval.measured.series {
            self.series.entry(series.key).or_default().add(&series.measured);
        }
    }

    /// The interval that ends now; none when no thread has reported.
    pub fn take(&mut self, scenarios: &[&str]) -> Option<IntervalReport> {
        if !std::mem::take(&mut self.heard) {
            return None;
        }
        let now = Instant::now();
        let length = now - std::mem::replace(&mut self.since, now);
        let users = scenarios.iter().enumerate().map(|(at, name)| {
            let sum = self.users.iter().filter_map(|users| users.get(at)).sum();
            ((*name).to_owned(), sum)
        });
        let iterations = std::mem::take(&mut self.iterations);
        let iterations =
            scenarios.iter().zip(iterations).filter(|(_, i)| *i != Iterations::default());
        Some(IntervalReport {
            iterations: iterations.map(|(name, i)| ((*name).to_owned(), i)).collect(),
            length_us: length.as_micros() as u64,
            users: users.collect(),
            series: std::mem::take(&mut self.series)
                .into_iter()
                .map(|(key, measured)| SeriesInterval { key, measured })
                .collect(),
            generator: std::mem::take(&mut self.generator),
        })
    }
}
