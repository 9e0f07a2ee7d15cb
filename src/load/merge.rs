//! Intervals of several threads become one: histograms are added, percentiles never averaged.

use std::collections::BTreeMap;
use std::time::Duration;

use super::generator::ThreadInterval;
use crate::run::event::{
    GeneratorHealth, IntervalReport, Iterations, Measurements, SeriesInterval, SeriesKey,
};

/// What the threads have reported since the last interval of the phase.
pub struct Merge {
    /// How long each thread measured what stands here.
    lengths: Vec<Duration>,
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
            lengths: vec![Duration::ZERO; threads],
            series: BTreeMap::new(),
            iterations: Vec::new(),
            generator: GeneratorHealth::default(),
            users: vec![Vec::new(); threads],
            heard: false,
        }
    }

    /// Adds what a thread reports.
    pub fn add(&mut self, interval: ThreadInterval) {
        self.heard = true;
        self.generator.lateness.add(&interval.measured.lateness);
        self.generator.loop_lateness.add(&interval.measured.loop_lateness);
        let busiest = self.generator.busiest_thread_percent.max(interval.busy_percent);
        self.generator.busiest_thread_percent = busiest;
        self.generator.in_flight += interval.in_flight;
        self.generator.starved += interval.measured.starved;
        self.generator.unsendable += interval.measured.unsendable;
        if let Some(users) = self.users.get_mut(interval.thread as usize) {
            *users = interval.users;
        }
        if let Some(length) = self.lengths.get_mut(interval.thread as usize) {
            *length += interval.length;
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

    /// What was measured since the last call, in as long as the threads say that they took for it; none
    /// when no thread has reported.
    pub fn take(&mut self, scenarios: &[&str]) -> Option<IntervalReport> {
        if !std::mem::take(&mut self.heard) {
            return None;
        }
        let measured = self.lengths.iter().filter(|length| !length.is_zero()).count() as u32;
        let length = self.lengths.iter().sum::<Duration>() / measured.max(1);
        self.lengths.fill(Duration::ZERO);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::config::ServiceKind;
    use crate::load::recorder::{Brought, Clocks, Recorder};
    use crate::run::event::CheckCounts;

    fn keys() -> Vec<SeriesKey> {
        let key = |step: &str| SeriesKey {
            service: ServiceKind::Rag,
            scenario: "s".into(),
            step: step.into(),
        };
        vec![key("one"), key("two")]
    }

    /// What is reported of requests that were recorded on these threads, and took so many
    /// microseconds.
    fn reported(threads: &[&[(usize, u64)]]) -> IntervalReport {
        let began = Instant::now();
        let mut merge = Merge::new(threads.len());
        for (thread, requests) in threads.iter().enumerate() {
            let mut recorder = Recorder::new(2, 1).expect("bounds");
            for (series, micros) in *requests {
                let ended = began + Duration::from_micros(*micros);
                let clocks = Clocks { intended: began, began, ended };
                recorder.record(*series, clocks, CheckCounts::default(), Ok(Brought::bytes(1)));
                recorder.loop_waited(Duration::from_micros(*micros), 1);
            }
            merge.add(ThreadInterval {
                thread: thread as u32,
                measured: recorder.take(&keys()),
                users: vec![1],
                busy_percent: 1.0,
                in_flight: 0,
                length: Duration::from_secs(1),
            });
        }
        let mut report = merge.take(&["s"]).expect("a report");
        (report.length_us, report.users) = (0, BTreeMap::new());
        report
    }

    fn requests() -> impl Strategy<Value = Vec<(usize, u64)>> {
        prop::collection::vec((0usize..2, 1u64..5_000_000), 0..200)
    }

    proptest! {
        /// Two threads report together what one would have that had done the work of both.
        #[test]
        fn threads_together_are_one_that_did_it_all(one in requests(), two in requests()) {
            let union: Vec<_> = one.iter().chain(&two).copied().collect();
            let (apart, together) = (reported(&[&one, &two]), reported(&[&union]));
            prop_assert_eq!(apart, together);
        }
    }

    /// Whoever reports late has measured for longer.
    #[test]
    fn an_interval_is_as_long_as_its_threads_measured() {
        let mut merge = Merge::new(2);
        let mut length = |threads: &[(u32, u64)]| {
            for (thread, seconds) in threads {
                merge.add(ThreadInterval {
                    thread: *thread,
                    measured: Recorder::new(2, 1).expect("bounds").take(&keys()),
                    users: vec![1],
                    busy_percent: 1.0,
                    in_flight: 0,
                    length: Duration::from_secs(*seconds),
                });
            }
            merge.take(&["s"]).map(|report| report.length_us)
        };
        assert_eq!(length(&[(0, 1), (1, 1)]), Some(1_000_000));
        assert_eq!(length(&[]), None);
        assert_eq!(length(&[(0, 1), (1, 2), (0, 1)]), Some(2_000_000));
        assert_eq!(length(&[(1, 1)]), Some(1_000_000));
    }

    /// Nine fast requests on one thread, one slow one on another: the median is fast, whatever the
    /// average of two medians would be.
    #[test]
    fn percentiles_are_those_of_all_requests_and_no_average() {
        let report = reported(&[&[(0, 1_000); 9], &[(0, 1_000_000)]]);
        let response = &report.series[0].measured.response;
        assert_eq!(response.count(), 10);
        assert!(response.quantile(0.9) < Some(Duration::from_millis(2)));
        assert!(response.quantile(0.95) > Some(Duration::from_millis(990)));
    }
}
