//! The search for the largest rate that a platform sustains: which rate comes next, and whether a
//! step at it was borne.

use std::time::Duration;

use super::course::Course;
use super::thresholds::{ThresholdWatch, words};
use super::trend::Trend;
use crate::config::{Arrivals, ExecutorKind, FindLimit, TimeSpan, Workload};
use crate::run::event::{IntervalReport, LimitReport, LimitStep, Measurements, ThresholdRow};

/// More failed or dropped than this share, in percent, is not borne, whatever the thresholds say.
const FAILED_PERCENT: f64 = 1.0;
/// A step with fewer requests says nothing.
const MIN_REQUESTS: u64 = 20;
/// A rate below this one is none.
const LEAST_RATE: f64 = 0.1;
/// Users that are there from the start.
const FIRST_USERS: u32 = 10;

/// The workload of a search: every scenario becomes an open model, with its weight's part of the rate.
pub fn open_models(workload: &Workload, search: &FindLimit) -> Workload {
    let mut workload = workload.clone();
    let sum: f64 = workload.scenarios.iter().map(|s| f64::from(s.weight)).sum();
    for scenario in &mut workload.scenarios {
        let part = f64::from(scenario.weight) / sum.max(1.0);
        let max_users = (f64::from(search.max_users) * part).ceil() as u32;
        scenario.executor = Some(ExecutorKind::ConstantArrivalRate);
        scenario.rate = Some((search.start_rate * part).max(f64::MIN_POSITIVE));
        scenario.time_unit = Some(TimeSpan::secs(1));
        scenario.arrivals = scenario.arrivals.or(Some(Arrivals::Poisson));
        scenario.pre_allocated_vus = Some(FIRST_USERS.min(max_users.max(1)));
        scenario.max_vus = Some(max_users.max(1));
        (scenario.start_time, scenario.duration, scenario.stages) = (None, None, None);
        (scenario.vus, scenario.iterations, scenario.pacing) = (None, None, None);
    }
    workload.users = None;
    workload.durations = crate::config::Durations::Exact;
    workload
}

/// Which rate comes next.
#[derive(Clone, Debug)]
struct Bracket {
    rules: FindLimit,
    good: f64,
    bad: Option<f64>,
    rate: f64,
}

impl Bracket {
    /// Takes in whether the rate was borne; returns the next one, or none when the gap is closed.
    fn next(&mut self, borne: bool) -> Option<f64> {
        if borne {
            self.good = self.good.max(self.rate);
        } else {
            self.bad = Some(self.bad.map_or(self.rate, |bad| bad.min(self.rate)));
        }
        let next = match self.bad {
            None if self.rate >= self.rules.max_rate => return None,
            None => (self.rate * self.rules.growth).min(self.rules.max_rate),
            Some(bad) if bad < LEAST_RATE => return None,
            Some(bad) if (bad - self.good) * 100.0 <= self.rules.precision_percent * bad => {
                return None;
            }
            Some(bad) => (self.good + bad) / 2.0,
        };
        self.rate = next;
        Some(next)
    }
}

/// What a search wants after an interval.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Go on as it is.
    Same,
    /// This part of the planned rate, in percent.
    Rate(u32),
    /// The end: the limit is known, or cannot be.
    End,
}

/// A search at work.
pub struct Search {
    bracket: Bracket,
    workload: Workload,
    /// The limit on the 99th percentile of all requests that the platform promises.
    p99_limit: Option<Duration>,
    step: Step,
    settling: bool,
    report: LimitReport,
}

/// The step under way.
struct Step {
    elapsed: Duration,
    measured: Measurements,
    length_us: u64,
    dropped: u64,
    begun: u64,
    in_flight: Trend,
    response: Trend,
    thresholds: ThresholdWatch,
    intervals: u32,
    /// Intervals in which the generator was the bottleneck, and how.
    overloaded: u32,
    generator: Option<String>,
}

impl Step {
    fn new(workload: &Workload, course: &Course) -> Self {
        Self {
            elapsed: Duration::ZERO,
            measured: Measurements::default(),
            length_us: 0,
            dropped: 0,
            begun: 0,
            in_flight: Trend::default(),
            response: Trend::default(),
            thresholds: ThresholdWatch::new(workload, course),
            intervals: 0,
            overloaded: 0,
            generator: None,
        }
    }

    fn observe(&mut self, interval: &IntervalReport, course: &Course) {
        self.thresholds.observe(interval, course);
        self.length_us += interval.length_us;
        let mut second = Measurements::default();
        interval.series.iter().for_each(|series| second.add(&series.measured));
        for iterations in interval.iterations.values() {
            self.dropped += iterations.dropped;
            self.begun += iterations.finished + iterations.interrupted;
        }
        let at = self.elapsed.as_secs_f64();
        self.in_flight.add(at, f64::from(interval.generator.in_flight));
        if let Some(median) = second.response.quantile(0.5) {
            self.response.add(at, median.as_secs_f64());
        }
        self.measured.add(&second);
        self.intervals += 1;
        let limits = interval.generator.bottleneck(&second.response);
        self.overloaded += u32::from(limits.is_some());
        self.generator = limits.or(self.generator.take());
    }

    /// Why the step was not borne; none when it was.
    fn failure(&self, p99_limit: Option<Duration>) -> Option<String> {
        let measured = &self.measured;
        let broken = self.thresholds.rows().iter().find(|row| row.holds == Some(false)).map(words);
        let failed = measured.error_rate_percent().unwrap_or(0.0);
        let dropped = self.dropped as f64 * 100.0 / (self.dropped + self.begun).max(1) as f64;
        let p99 = measured.response.quantile(0.99);
        let slow = p99.zip(p99_limit).filter(|(p99, limit)| p99 >= limit);
        broken
            .or_else(|| {
                slow.map(|(p99, limit)| {
                    format!("P99 {} ms, promised < {} ms", p99.as_millis(), limit.as_millis())
                })
            })
            .or_else(|| (failed > FAILED_PERCENT).then(|| format!("{failed:.1} % failed")))
            .or_else(|| {
                (dropped > FAILED_PERCENT).then(|| {
                    format!("{dropped:.1} % found no free user: nothing is answered in time")
                })
            })
            .or_else(|| {
                (self.in_flight.grows() && self.response.grows()).then(|| {
                    "over-saturated: requests in flight and response time grow steadily".into()
                })
            })
    }
}

impl Search {
    /// A search that begins at its first rate.
    pub fn new(
        rules: FindLimit,
        workload: &Workload,
        course: &Course,
        p99_limit: Option<Duration>,
    ) -> Self {
        let rate = rules.start_rate.min(rules.max_rate);
        Self {
            bracket: Bracket { rules, good: 0.0, bad: None, rate },
            workload: workload.clone(),
            p99_limit,
            step: Step::new(workload, course),
            settling: false,
            report: LimitReport { rate, ..LimitReport::default() },
        }
    }

    /// What is known so far.
    pub const fn report(&self) -> &LimitReport {
        &self.report
    }

    /// How the thresholds stand in this step.
    pub fn rows(&self) -> Vec<ThresholdRow> {
        self.step.thresholds.rows()
    }

    /// Takes an interval in.
    pub fn observe(&mut self, interval: &IntervalReport, course: &Course) -> Wanted {
        let step = self.bracket.rules.step.get();
        self.step.elapsed += Duration::from_micros(interval.length_us);
        // What a change of the rate stirs up is not judged.
        if !self.settling && self.step.elapsed * 3 > step {
            self.step.observe(interval, course);
        }
        // A tenth of an interval is no gap.
        if self.step.elapsed + Duration::from_millis(100) < step {
            return Wanted::Same;
        }
        let ended = std::mem::replace(&mut self.step, Step::new(&self.workload, course));
        if std::mem::take(&mut self.settling) {
            return self.go_to(self.bracket.rate);
        }
        self.judge(&ended)
    }

    fn judge(&mut self, step: &Step) -> Wanted {
        // One bad second is noise; a third of them is a bottleneck.
        if let Some(reason) =
            step.generator.as_ref().filter(|_| step.overloaded * 3 > step.intervals)
        {
            self.report.invalid = Some(reason.clone());
            return Wanted::End;
        }
        let n = step.measured.requests();
        let failure = if n < MIN_REQUESTS && step.dropped == 0 && self.bracket.bad.is_none() {
            None
        } else {
            step.failure(self.p99_limit)
        };
        let per_second = |count: u64| count as f64 * 1e6 / step.length_us.max(1) as f64;
        self.report.steps.push(LimitStep {
            rate: self.bracket.rate,
            achieved: per_second(step.begun),
            requests_per_second: per_second(n),
            n,
            p99_us: step.measured.response.quantile(0.99).map_or(0, |p99| p99.as_micros() as u64),
            failed: step.measured.failed(),
            dropped: step.dropped,
            why_not: failure.clone(),
        });
        let borne = failure.is_none();
        let next = self.bracket.next(borne);
        self.report.sustained = (self.bracket.good > 0.0).then_some(self.bracket.good);
        self.report.not_sustained = self.bracket.bad;
        match next {
            None => {
                self.report.complete = true;
                Wanted::End
            }
            Some(rate) if borne => self.go_to(rate),
            // What has piled up is given time to go.
            Some(rate) => {
                self.settling = true;
                self.percent(rate.min(self.bracket.good) / 2.0)
            }
        }
    }

    fn go_to(&mut self, rate: f64) -> Wanted {
        self.report.rate = rate;
        self.percent(rate)
    }

    fn percent(&self, rate: f64) -> Wanted {
        Wanted::Rate((rate * 100.0 / self.bracket.rules.start_rate).round() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn searched(capacity: f64, rules: FindLimit) -> (Bracket, usize) {
        let mut bracket = Bracket { rules, good: 0.0, bad: None, rate: rules.start_rate };
        let mut steps = 1;
        while bracket.next(bracket.rate <= capacity).is_some() {
            steps += 1;
            assert!(steps < 100, "it never ends");
        }
        (bracket, steps)
    }

    #[test]
    fn a_search_that_never_breaks_ends_at_its_largest_rate() {
        let rules = FindLimit { max_rate: 100.0, ..FindLimit::default() };
        let (bracket, _) = searched(1e9, rules);
        assert_eq!((bracket.good, bracket.bad), (100.0, None));
    }

    proptest! {
        #[test]
        fn the_gap_closes_around_the_capacity(capacity in 1.0f64..5000.0) {
            let (bracket, steps) = searched(capacity, FindLimit::default());
            let bad = bracket.bad.expect("broken somewhere");
            prop_assert!(bracket.good <= capacity && capacity < bad);
            prop_assert!((bad - bracket.good) / bad <= 0.0501);
            prop_assert!(steps <= 30, "{steps} steps");
        }
    }
}
