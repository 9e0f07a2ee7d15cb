//! Thresholds while the load runs: samples by metric and tags, over the phase or a window of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::course::Course;
use crate::config::metric::{Metric, MetricKind, Selector};
use crate::config::{
    Aggregation, LongThreshold, Scenario, Threshold, ThresholdMap, TimeSpan, Workload,
};
use crate::run::event::{IntervalReport, Measurements, ThresholdRow};
use crate::run::histogram::Histogram;

/// Every threshold of a workload.
pub struct ThresholdWatch {
    rules: Vec<Rule>,
}

/// One threshold with what was measured for it.
struct Rule {
    selector: Selector,
    long: LongThreshold,
    threshold: Threshold,
    /// Why it decides nothing.
    skipped: Option<String>,
    whole: Sample,
    ring: VecDeque<Sample>,
    evaluated: bool,
    broken_us: u64,
    worst: Option<f64>,
}

/// What was measured for a threshold.
#[derive(Clone, Debug, Default)]
struct Sample {
    length_us: u64,
    times: Histogram,
    /// What is counted, or the good (or bad) ones of a share.
    hits: u64,
    /// Out of how many.
    n: u64,
    level: u64,
}

impl Sample {
    fn add(&mut self, other: &Self) {
        self.length_us += other.length_us;
        self.times.add(&other.times);
        self.hits += other.hits;
        self.n += other.n;
        self.level = other.level;
    }

    fn n(&self, kind: MetricKind) -> u64 {
        match kind {
            MetricKind::Trend => self.times.count(),
            MetricKind::Rate => self.n,
            // A count of nothing is a count.
            MetricKind::Counter | MetricKind::Gauge => self.n.max(u64::from(self.length_us > 0)),
        }
    }

    /// The value in the unit of the threshold's limit: microseconds, a share, per second, a number.
    fn value(&self, kind: MetricKind, aggregation: Aggregation) -> Option<f64> {
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

impl ThresholdWatch {
    /// The thresholds of a workload; those of scenarios that were left out decide nothing.
    pub fn new(workload: &Workload, course: &Course) -> Self {
        let mut watch = Self { rules: Vec::new() };
        watch.add(&workload.thresholds, None, workload, course);
        for scenario in &workload.scenarios {
            watch.add(&scenario.thresholds, Some(&scenario.name), workload, course);
        }
        watch
    }

    /// The same, where thresholds on what is not measured decide nothing, for the reason that is returned.
    pub fn without(mut self, why: impl Fn(&Selector) -> Option<String>) -> Self {
        for rule in self.rules.iter_mut().filter(|rule| rule.skipped.is_none()) {
            rule.skipped = why(&rule.selector);
        }
        self
    }

    /// What the configuration has checked already is read again here.
    fn add(
        &mut self,
        map: &ThresholdMap,
        scenario: Option<&str>,
        workload: &Workload,
        course: &Course,
    ) {
        for (key, entries) in map {
            let Ok(mut selector) = key.parse::<Selector>() else { continue };
            if let Some(name) = scenario {
                selector = selector.of_scenario(name);
            }
            for entry in entries {
                let long = entry.long();
                let parsed = selector.metric.kind().threshold(&long.threshold);
                let Ok(threshold) = parsed else { continue };
                self.rules.push(Rule {
                    skipped: left_out(&selector, workload, course),
                    selector: selector.clone(),
                    long,
                    threshold,
                    whole: Sample::default(),
                    ring: VecDeque::new(),
                    evaluated: false,
                    broken_us: 0,
                    worst: None,
                });
            }
        }
    }

    /// Takes an interval in.
    pub fn observe(&mut self, interval: &IntervalReport, course: &Course) {
        for rule in &mut self.rules {
            let sample = sample(&rule.selector, interval, course);
            rule.whole.add(&sample);
            if let Some(window) = rule.threshold.window {
                rule.slide(sample, window.get());
            }
        }
    }

    /// How every threshold stands.
    pub fn rows(&self) -> Vec<ThresholdRow> {
        self.rules.iter().map(Rule::row).collect()
    }

    /// The threshold that stops the load, if one does, at a time of the plan clock.
    pub fn stops(&self, elapsed: Duration) -> Option<String> {
        let mature = |rule: &&Rule| {
            let delay = rule.long.delay_abort_eval.map_or(Duration::ZERO, TimeSpan::get);
            rule.long.abort_on_fail && elapsed >= delay
        };
        let rows = self.rules.iter().filter(mature).map(Rule::row);
        let broken = rows.filter(|row| row.holds == Some(false)).map(|row| words(&row)).next()?;
        Some(format!("{broken}, and it says abortOnFail"))
    }
}

/// A threshold that does not hold, in words.
pub fn words(row: &ThresholdRow) -> String {
    let value = row.worst.as_ref().unwrap_or(&row.value);
    format!("{}: {}, measured {value} (n {})", row.metric, row.expression, row.n)
}

impl Rule {
    fn slide(&mut self, sample: Sample, window: Duration) {
        let length = sample.length_us;
        let window = window.as_micros() as u64;
        self.ring.push_back(sample);
        let covered = |ring: &VecDeque<Sample>| ring.iter().map(|s| s.length_us).sum::<u64>();
        while let Some(oldest) = self.ring.front()
            && covered(&self.ring) - oldest.length_us >= window
        {
            self.ring.pop_front();
        }
        // A window that is not full yet says nothing; a tenth of an interval is no gap.
        if covered(&self.ring) + length / 10 < window {
            return;
        }
        let mut whole = Sample::default();
        self.ring.iter().for_each(|sample| whole.add(sample));
        if let Some((value, holds)) = self.judge(&whole) {
            self.evaluated = true;
            if !holds {
                self.broken_us += length;
                let further = |worst: f64| {
                    (value - self.threshold.limit).abs() > (worst - self.threshold.limit).abs()
                };
                if self.worst.is_none_or(further) {
                    self.worst = Some(value);
                }
            }
        }
    }

    /// The value of samples and whether it is as asked; none while they are too few.
    fn judge(&self, sample: &Sample) -> Option<(f64, bool)> {
        let kind = self.selector.metric.kind();
        if sample.n(kind) < self.threshold.min_samples.unwrap_or(1).max(1) {
            return None;
        }
        let value = sample.value(kind, self.threshold.aggregation)?;
        Some((value, self.threshold.is_met_by(value)))
    }

    fn row(&self) -> ThresholdRow {
        let kind = self.selector.metric.kind();
        let windowed = self.threshold.window.is_some();
        let mut sample = Sample::default();
        if windowed {
            self.ring.iter().for_each(|part| sample.add(part));
        } else {
            sample.add(&self.whole);
        }
        let holds = if windowed {
            self.evaluated.then_some(self.broken_us == 0)
        } else {
            self.judge(&sample).map(|(_, holds)| holds)
        };
        let holds = holds.filter(|_| self.skipped.is_none());
        ThresholdRow {
            metric: self.selector.to_string(),
            expression: self.long.threshold.clone(),
            holds,
            value: sample
                .value(kind, self.threshold.aggregation)
                .map_or_else(|| "-".into(), |value| self.threshold.words(value)),
            n: sample.n(kind),
            broken_us: self.broken_us,
            worst: self.worst.map(|worst| self.threshold.words(worst)),
            aborts: self.long.abort_on_fail,
            why_open: if holds.is_some() { String::new() } else { self.why_open(&sample) },
            skipped: self.skipped.is_some(),
        }
    }

    fn why_open(&self, sample: &Sample) -> String {
        let n = sample.n(self.selector.metric.kind());
        match (&self.skipped, self.threshold.window) {
            (Some(reason), _) => reason.clone(),
            (None, _) if n == 0 => "no samples".into(),
            (None, _) if self.threshold.min_samples.is_some_and(|least| n < least) => {
                format!("{n} of {} samples", self.threshold.min_samples.unwrap_or_default())
            }
            (None, Some(window)) => format!("less than {window} measured"),
            (None, None) => String::new(),
        }
    }
}

/// Why what a selector speaks of is not measured, if it was left out: the configuration knows it, and
/// nothing that can run is it.
fn left_out(selector: &Selector, workload: &Workload, course: &Course) -> Option<String> {
    let runs = match selector.metric.is_of_scenario() {
        true => course.scenarios.iter().any(|ready| selector.selects(&ready.labels())),
        false => (0..course.series.len()).any(|at| selector.selects(&course.labels(at))),
    };
    if runs {
        return None;
    }
    let is_meant = |scenario: &Scenario, step: Option<&str>| match step {
        None if selector.metric.is_of_scenario() => selector.selects(&scenario.labels(None)),
        _ => scenario.all_counted().any(|counted| {
            step.is_none_or(|step| step == counted.step)
                && selector.selects(&scenario.labels(Some(&counted)))
        }),
    };
    // What nothing is though it was not left out stays open.
    let is_left_out = |what: &str, whole: bool| {
        workload.scenarios.iter().any(|scenario| match what.strip_prefix(scenario.name.as_str()) {
            Some("") if whole => is_meant(scenario, None),
            Some(rest) if !whole => {
                rest.strip_prefix(": ").is_some_and(|step| is_meant(scenario, Some(step)))
            }
            _ => false,
        })
    };
    // A step by its name is the one that is meant. Why a scenario is left out is said last, after what is
    // said of its length.
    let steps = course.left_out.iter().find(|(what, _)| is_left_out(what, false));
    let reason =
        steps.or_else(|| course.left_out.iter().rfind(|(what, _)| is_left_out(what, true)));
    reason.map(|(what, why)| format!("{what} was left out: {why}"))
}

fn sample(selector: &Selector, interval: &IntervalReport, course: &Course) -> Sample {
    let mut sample = Sample { length_us: interval.length_us, ..Sample::default() };
    if selector.metric.is_of_scenario() {
        of_scenarios(selector, interval, course, &mut sample);
    } else {
        for series in &interval.series {
            let at = course.series.iter().position(|key| *key == series.key);
            let none = BTreeMap::new();
            let tags = at.and_then(|at| course.tags.get(at)).unwrap_or(&none);
            if selector.selects(&series.key.labels(tags)) {
                of_requests(selector.metric, &series.measured, &mut sample);
            }
        }
    }
    sample
}

fn of_requests(metric: Metric, measured: &Measurements, sample: &mut Sample) {
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
        sample.times.add(times);
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
    sample.hits += hits;
    sample.n += n;
}

fn of_scenarios(
    selector: &Selector,
    interval: &IntervalReport,
    course: &Course,
    sample: &mut Sample,
) {
    let is_meant = |scenario: &str| {
        // Users of all scenarios together may stand under a name that is none of theirs.
        selector.tags.is_empty()
            || course
                .scenarios
                .iter()
                .any(|of| of.name == scenario && selector.selects(&of.labels()))
    };
    let users = interval.users.iter().filter(|(scenario, _)| is_meant(scenario));
    sample.level = users.map(|(_, users)| u64::from(*users)).sum();
    for ready in &course.scenarios {
        if !selector.selects(&ready.labels()) {
            continue;
        }
        let Some(iterations) = interval.iterations.get(&ready.name) else { continue };
        match selector.metric {
            Metric::IterationDuration => sample.times.add(&iterations.duration),
            Metric::Iterations => sample.hits += iterations.finished,
            Metric::DroppedIterations => sample.hits += iterations.dropped,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PhaseKind;
    use crate::load::tests::platform;

    /// Why a threshold on it is skipped on a platform without tools and without a scratch collection.
    fn reason(metric: &str) -> Option<String> {
        let asked = if metric.starts_with("vus") { "value>0" } else { "p(99)<2s" };
        let mut config = platform(&format!(
            "users: 1
think_time: {{ min: 0s, max: 0s }}
thresholds: {{ \"{metric}\": [{asked}] }}
scenarios:
  - name: tools
    service: mcp
    flows: [{{ name: call, steps: [{{ tool: {{}} }}] }}]
  - name: \"docs: v2\"
    service: chat
    flows: [{{ name: talk, steps: [{{ health: {{}} }}] }}]
  - name: rag
    service: rag
    flows: [{{ name: both, steps: [{{ ingest: {{ text: x }} }}, {{ health: {{}} }}] }}]
",
        ));
        config.services.chat = None;
        if let Some(mcp) = &mut config.services.mcp {
            mcp.tools.clear();
        }
        let workload = config.workloads.of(PhaseKind::Mixed).expect("there");
        let course = Course::new(workload, &config, Duration::from_secs(60)).expect("no feeders");
        let row = ThresholdWatch::new(workload, &course).rows().remove(0);
        row.skipped.then_some(row.why_open)
    }

    #[test]
    fn what_was_left_out_is_told_by_its_own_reason_whatever_names_it() {
        for (metric, begin) in [
            ("vus{service:mcp}", "tools: tools/call was left out: no tool"),
            ("response_time{name:initialize}", "tools was left out: no flow"),
            ("vus{service:chat}", "docs: v2 was left out: no chat service"),
        ] {
            let told = reason(metric).unwrap_or_default();
            assert!(told.starts_with(begin), "{metric}: {told}");
        }
        assert_eq!(reason("vus{service:rag}"), None, "health is asked");
    }
}
