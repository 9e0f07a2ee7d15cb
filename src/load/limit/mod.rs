//! The search for the largest rate that a platform sustains: which rate comes next, whether it is
//! borne, and for how sure that is. A failure that may be chance is looked at twice, and what is reported
//! as sustained was held for long (docs/load.md says how often the interval is true).

mod bracket;
mod step;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::bracket::Bracket;
use self::step::Step;
use super::course::Course;
use crate::config::{Arrivals, ExecutorKind, FindLimit, TimeSpan, Workload};
use crate::run::event::{IntervalReport, LimitAim, LimitReport, LimitStep, ThresholdRow};
use crate::run::histogram::Histogram;

/// Users that are there from the start.
const FIRST_USERS: u32 = 10;
/// So many steps long a rate is tried again.
const AGAIN_STEPS: u32 = 2;
/// So many steps long the largest rate is held in the end.
const HOLD_STEPS: u32 = 3;
/// What has piled up is given no more time to go than so many steps.
const SETTLE_STEPS: u32 = 4;
/// It has gone when answers take no more than so many times as long as they did at their fastest.
const SETTLED_TIMES: u32 = 2;

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

/// What a step is for, at which rate.
#[derive(Clone, Copy, Debug)]
struct Task {
    aim: LimitAim,
    rate: f64,
}

/// A search at work.
pub struct Search {
    rules: FindLimit,
    bracket: Bracket,
    workload: Workload,
    /// The limit on the 99th percentile of all requests that the platform promises.
    p99_limit: Option<Duration>,
    task: Task,
    step: Step,
    /// Whether what has piled up is given time to go, before the task.
    settling: bool,
    /// Whether the smallest rate that failed was looked at again.
    doubted: bool,
    /// The smallest median response time of a step.
    fastest: Option<Duration>,
    /// The shortest response time of all.
    quickest: Option<Duration>,
    report: LimitReport,
}

impl Search {
    /// A search that begins at its first rate.
    pub fn new(
        rules: FindLimit,
        workload: &Workload,
        course: &Course,
        p99_limit: Option<Duration>,
    ) -> Self {
        let bracket = Bracket::new(rules);
        let rate = bracket.first();
        Self {
            rules,
            bracket,
            workload: workload.clone(),
            p99_limit,
            task: Task { aim: LimitAim::Try, rate },
            step: Step::new(workload, course),
            settling: false,
            doubted: false,
            fastest: None,
            quickest: None,
            report: LimitReport { rate, ..LimitReport::default() },
        }
    }

    /// What is known so far.
    pub const fn report(&self) -> &LimitReport {
        &self.report
    }

    /// How the thresholds stand in this step.
    pub fn rows(&self) -> Vec<ThresholdRow> {
        self.step.thresholds().rows()
    }

    /// Takes an interval in.
    pub fn observe(&mut self, interval: &IntervalReport, course: &Course) -> Wanted {
        self.see_the_quickest(interval);
        let length = self.length();
        self.step.elapsed += Duration::from_micros(interval.length_us);
        // What a change of the rate stirs up is not judged.
        if !self.settling && self.step.elapsed * 3 > length {
            self.step.observe(interval, course);
        }
        // A tenth of an interval is no gap.
        let is_over = self.step.elapsed + Duration::from_millis(100) >= length;
        let has_settled = self.settling && self.has_settled(interval);
        if !(is_over || has_settled) {
            return Wanted::Same;
        }
        let ended = std::mem::replace(&mut self.step, Step::new(&self.workload, course));
        if std::mem::take(&mut self.settling) {
            return Wanted::Rate(self.bracket.percent(self.task.rate));
        }
        self.judge(&ended)
    }

    fn see_the_quickest(&mut self, interval: &IntervalReport) {
        let shortest = interval.series.iter();
        let shortest = shortest.filter_map(|series| series.measured.response.quantile(0.0));
        self.quickest = self.quickest.into_iter().chain(shortest).min();
    }

    /// Whether what had piled up is gone.
    fn has_settled(&self, interval: &IntervalReport) -> bool {
        if self.step.elapsed * 3 < self.rules.step.get() {
            return false;
        }
        let mut response = Histogram::default();
        interval.series.iter().for_each(|series| response.add(&series.measured.response));
        match (response.quantile(0.5), self.fastest) {
            (None, _) => interval.generator.in_flight == 0,
            (Some(median), fastest) => {
                fastest.is_some_and(|fastest| median <= fastest * SETTLED_TIMES)
            }
        }
    }

    /// A step outlasts its answers: what began in its first third would not be answered in it otherwise,
    /// however much the platform bears.
    fn length(&self) -> Duration {
        let steps = match self.task.aim {
            _ if self.settling => SETTLE_STEPS,
            LimitAim::Try => 1,
            LimitAim::Again => AGAIN_STEPS,
            LimitAim::Hold => HOLD_STEPS,
        };
        (self.rules.step.get() * steps).max(self.quickest.unwrap_or_default() * 3)
    }

    fn judge(&mut self, step: &Step) -> Wanted {
        let not_sent = step.was_not_sent();
        if let Some(reason) = not_sent.as_deref().or_else(|| step.generator_was_the_limit()) {
            self.report.invalid = Some(reason.to_owned());
            return Wanted::End;
        }
        let Task { aim, rate } = self.task;
        let is_mute = step.says_nothing() && self.bracket.bad.is_none();
        let failure = if is_mute { None } else { step.failure(self.p99_limit) };
        let n = step.measured.requests();
        let median = step.measured.response.quantile(0.5);
        self.fastest = self.fastest.into_iter().chain(median).min();
        self.report.steps.push(LimitStep {
            aim,
            rate,
            achieved: step.per_second(step.ended as f64),
            requests_per_second: step.per_second(n as f64),
            n,
            p99_us: step.measured.response.quantile(0.99).map_or(0, |p99| p99.as_micros() as u64),
            failed: step.measured.failed(),
            dropped: step.dropped,
            why_not: failure.as_ref().map(|failure| failure.why.clone()),
        });
        let borne = failure.is_none();
        let next = match (aim, failure) {
            (LimitAim::Try, Some(failure)) if !failure.plain => {
                Some(Task { aim: LimitAim::Again, rate })
            }
            (LimitAim::Hold, None) => {
                self.report.held = Some(rate);
                None
            }
            (LimitAim::Hold, Some(_)) => self.bracket.tell_not_held().map(hold),
            _ => match self.bracket.tell(rate, borne) {
                Some(rate) => Some(Task { aim: LimitAim::Try, rate }),
                None => self.when_closed(),
            },
        };
        self.report.not_sustained = self.bracket.bad;
        self.report.sustained = match self.report.held {
            Some(held) => Some(held.min(step.surely_ended())),
            None => (self.bracket.good > 0.0).then_some(self.bracket.good),
        };
        self.go_on(next, borne)
    }

    /// What is done when the gap is closed. A rate that failed in a single look may have met a bad moment,
    /// such as a platform that had to warm up: it is doubted once, for all beyond it would never be tried.
    fn when_closed(&mut self) -> Option<Task> {
        let Bracket { good, bad, .. } = self.bracket;
        let is_sure = |bad: f64| {
            self.report.steps.iter().any(|step| step.aim == LimitAim::Again && step.rate == bad)
        };
        let doubtful = bad.filter(|bad| good > 0.0 && !self.doubted && !is_sure(*bad));
        if let Some(rate) = doubtful {
            self.doubted = true;
            return Some(Task { aim: LimitAim::Again, rate });
        }
        (good > 0.0).then(|| hold(good))
    }

    fn go_on(&mut self, next: Option<Task>, borne: bool) -> Wanted {
        let Some(task) = next else {
            self.report.complete = true;
            return Wanted::End;
        };
        self.task = task;
        self.report.rate = task.rate;
        if borne {
            return Wanted::Rate(self.bracket.percent(task.rate));
        }
        self.settling = true;
        Wanted::Rate(self.bracket.percent(task.rate.min(self.bracket.good) / 2.0))
    }
}

const fn hold(rate: f64) -> Task {
    Task { aim: LimitAim::Hold, rate }
}
