//! One step of a search: what was measured at a rate, and whether the rate was borne.

use std::time::Duration;

use super::super::course::Course;
use super::super::thresholds::{ThresholdWatch, words};
use super::super::trend::Trend;
use crate::config::Workload;
use crate::run::event::{IntervalReport, Measurements};

/// More failed or dropped than this share, in percent, is not borne, whatever the thresholds say.
const FAILED_PERCENT: f64 = 1.0;
/// With more requests that could not be sent than this share, in percent, it is another rate.
const UNSENT_PERCENT: f64 = 1.0;
/// A step with fewer requests says nothing.
const MIN_REQUESTS: u64 = 20;
/// How many standard deviations of a count are no chance any more.
const DEVIATIONS: f64 = 2.0;
/// The same for what is reported as sustained.
const SURE_DEVIATIONS: f64 = 2.5;
/// What exceeds its limit by so much needs no second look.
const PLAINLY: f64 = 2.0;

/// The step under way.
pub struct Step {
    /// Time since its beginning.
    pub elapsed: Duration,
    /// What its requests measured, as far as it is judged.
    pub measured: Measurements,
    /// Flows that found no free user.
    pub dropped: u64,
    /// Flows that ended.
    pub ended: u64,
    /// Flows that were due.
    arrived: u64,
    /// Time that is judged, microseconds.
    length_us: u64,
    response: Trend,
    thresholds: ThresholdWatch,
    intervals: u32,
    /// Intervals in which the generator was the bottleneck, and how.
    overloaded: u32,
    generator: Option<String>,
    /// Requests that could not be sent, whoever is to blame.
    unsent: u64,
}

/// Why a rate was not borne.
#[derive(Debug)]
pub struct Failure {
    /// In words.
    pub why: String,
    /// Whether it cannot be chance: no second look is needed.
    pub plain: bool,
}

impl Step {
    /// A step that begins now.
    pub fn new(workload: &Workload, course: &Course) -> Self {
        Self {
            elapsed: Duration::ZERO,
            measured: Measurements::default(),
            dropped: 0,
            ended: 0,
            arrived: 0,
            length_us: 0,
            response: Trend::default(),
            thresholds: ThresholdWatch::new(workload, course),
            intervals: 0,
            overloaded: 0,
            generator: None,
            unsent: 0,
        }
    }

    /// Takes an interval in.
    pub fn observe(&mut self, interval: &IntervalReport, course: &Course) {
        self.thresholds.observe(interval, course);
        self.length_us += interval.length_us;
        let mut second = Measurements::default();
        interval.series.iter().for_each(|series| second.add(&series.measured));
        for iterations in interval.iterations.values() {
            self.arrived += iterations.arrived;
            self.dropped += iterations.dropped;
            self.ended += iterations.finished + iterations.interrupted;
        }
        if let Some(median) = second.response.quantile(0.5) {
            self.response.add(self.elapsed.as_secs_f64(), median.as_secs_f64());
        }
        self.measured.add(&second);
        self.unsent += interval.generator.starved + interval.generator.unsendable;
        self.intervals += 1;
        let limits = interval.generator.bottleneck(&second.response);
        self.overloaded += u32::from(limits.is_some());
        self.generator = limits.or(self.generator.take());
    }

    /// How the thresholds stand.
    pub const fn thresholds(&self) -> &ThresholdWatch {
        &self.thresholds
    }

    /// Why it says nothing about the target, if the generator was the bottleneck. One bad second is
    /// noise; a third of them is a bottleneck.
    pub fn generator_was_the_limit(&self) -> Option<&str> {
        self.generator.as_deref().filter(|_| self.overloaded * 3 > self.intervals)
    }

    /// Why its rate is not the one that was asked for, where requests could not be sent.
    pub fn was_not_sent(&self) -> Option<String> {
        let all = self.unsent + self.measured.requests();
        (self.unsent as f64 * 100.0 > all as f64 * UNSENT_PERCENT)
            .then(|| format!("{} of {all} requests could not be sent", self.unsent))
    }

    /// Whether too little came to say anything.
    pub fn says_nothing(&self) -> bool {
        self.measured.requests() < MIN_REQUESTS && self.dropped == 0 && self.piled_up() <= 1.0
    }

    /// So many per second of the time that is judged.
    pub fn per_second(&self, count: f64) -> f64 {
        count * 1e6 / self.length_us.max(1) as f64
    }

    /// The rate at which flows ended, less what such a count owes to chance.
    pub fn surely_ended(&self) -> f64 {
        let ended = self.ended as f64;
        self.per_second(ended - SURE_DEVIATIONS * ended.sqrt()).max(0.0)
    }

    /// Why the rate was not borne; none when it was.
    pub fn failure(&self, p99_limit: Option<Duration>) -> Option<Failure> {
        let chance = |why: String| Failure { why, plain: false };
        self.dropped_too_many()
            .or_else(|| self.over_saturated())
            .or_else(|| self.failed_too_many())
            .or_else(|| self.too_slow(p99_limit))
            .or_else(|| {
                let rows = self.thresholds.rows();
                rows.iter().find(|row| row.holds == Some(false)).map(words).map(chance)
            })
    }

    /// Flows that began.
    const fn begun(&self) -> u64 {
        self.arrived.saturating_sub(self.dropped)
    }

    /// How many times as many flows began and did not end as may be chance.
    fn piled_up(&self) -> f64 {
        let open = self.begun().saturating_sub(self.ended) as f64;
        open / (DEVIATIONS * (self.arrived as f64).sqrt()).max(1.0)
    }

    /// Flows pile up: fewer end than begin, by more than chance, and answers take ever longer. Where too few
    /// answers come to tell that, the rate is not known to be borne, and is looked at again.
    fn over_saturated(&self) -> Option<Failure> {
        let (piled_up, can_tell) = (self.piled_up(), self.response.can_tell());
        if piled_up <= 1.0 || (can_tell && !self.response.grows()) {
            return None;
        }
        let [begun, ended] = [self.begun(), self.ended].map(|n| self.per_second(n as f64));
        let flows = format!("{begun:.1} flows/s began, {ended:.1} ended");
        let why = if can_tell {
            format!("over-saturated: {flows}, and answers take ever longer")
        } else {
            format!("{flows}, and too few answers came to tell whether they take ever longer")
        };
        Some(Failure { why, plain: can_tell && piled_up > PLAINLY })
    }

    fn dropped_too_many(&self) -> Option<Failure> {
        let percent = self.dropped as f64 * 100.0 / (self.dropped + self.ended).max(1) as f64;
        (percent > FAILED_PERCENT).then(|| Failure {
            why: format!("{percent:.1} % found no free user: nothing is answered in time"),
            plain: true,
        })
    }

    fn failed_too_many(&self) -> Option<Failure> {
        let percent = self.measured.error_rate_percent()?;
        (percent > FAILED_PERCENT).then(|| Failure {
            why: format!("{percent:.1} % failed"),
            plain: percent > PLAINLY * FAILED_PERCENT,
        })
    }

    fn too_slow(&self, limit: Option<Duration>) -> Option<Failure> {
        let limit = limit?;
        let p99 = self.measured.response.quantile(0.99).filter(|p99| *p99 >= limit)?;
        Some(Failure {
            why: format!("P99 {} ms, promised < {} ms", p99.as_millis(), limit.as_millis()),
            plain: p99.as_secs_f64() >= PLAINLY * limit.as_secs_f64(),
        })
    }
}
