//! Thresholds while the load runs: samples by metric and tags, over the phase or a window of it.

use std::collections::VecDeque;
use std::time::Duration;

use super::course::Course;
use super::left_out;
use super::sample::Sample;
use crate::config::metric::{MetricKind, Selector};
use crate::config::{LongThreshold, Threshold, ThresholdMap, TimeSpan, Workload};
use crate::run::event::{IntervalReport, ThresholdRow};

/// Every threshold of a workload.
pub struct ThresholdWatch {
    rules: Vec<Rule>,
    /// Whether the load is over, and its users leave.
    leaving: bool,
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

impl ThresholdWatch {
    /// The thresholds of a workload; those of scenarios that were left out decide nothing.
    pub fn new(workload: &Workload, course: &Course) -> Self {
        let mut watch = Self { rules: Vec::new(), leaving: false };
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
            let skipped = left_out::reason(&selector, workload, course);
            for entry in entries {
                let long = entry.long();
                let parsed = selector.metric.kind().threshold(&long.threshold);
                let Ok(threshold) = parsed else { continue };
                self.rules.push(Rule {
                    skipped: skipped.clone(),
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

    /// The load is over: that its users leave is no level of them.
    pub const fn leave(&mut self) {
        self.leaving = true;
    }

    /// Takes an interval in.
    pub fn observe(&mut self, interval: &IntervalReport, course: &Course) {
        let leaving = self.leaving;
        let is_open = |rule: &&mut Rule| {
            let is_level = rule.selector.metric.kind() == MetricKind::Gauge;
            rule.skipped.is_none() && !(leaving && is_level)
        };
        for rule in self.rules.iter_mut().filter(is_open) {
            let sample = Sample::of(&rule.selector, interval, course);
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
        let row = ThresholdRow {
            metric: self.selector.to_string(),
            expression: self.long.threshold.clone(),
            holds: None,
            value: "-".into(),
            n: 0,
            broken_us: self.broken_us,
            worst: self.worst.map(|worst| self.threshold.words(worst)),
            aborts: self.long.abort_on_fail,
            why_open: String::new(),
            skipped: self.skipped.is_some(),
        };
        if let Some(reason) = &self.skipped {
            return ThresholdRow { why_open: reason.clone(), ..row };
        }
        let kind = self.selector.metric.kind();
        let (sample, holds) = match self.threshold.window {
            Some(_) => {
                let mut sample = Sample::default();
                self.ring.iter().for_each(|part| sample.add(part));
                (sample, self.evaluated.then_some(self.broken_us == 0))
            }
            None => (self.whole.clone(), self.judge(&self.whole).map(|(_, holds)| holds)),
        };
        let value = sample.value(kind, self.threshold.aggregation);
        ThresholdRow {
            holds,
            value: value.map_or(row.value, |value| self.threshold.words(value)),
            n: sample.n(kind),
            why_open: if holds.is_some() { String::new() } else { self.why_open(sample.n(kind)) },
            ..row
        }
    }

    /// Why so many samples decide nothing.
    fn why_open(&self, n: u64) -> String {
        match (self.threshold.window, self.threshold.min_samples) {
            _ if n == 0 => "no samples".into(),
            (_, Some(least)) if n < least => format!("{n} of {least} samples"),
            (Some(window), _) => format!("less than {window} measured"),
            (None, _) => String::new(),
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
    fn users_that_leave_in_the_end_are_no_level() {
        let config = platform(
            "think_time: { min: 0s, max: 0s }
thresholds: { vus: [value>=4] }
scenarios:
  - name: ask
    service: rag
    executor: constant-vus
    vus: 4
    flows: [{ name: ask, steps: [{ health: {} }] }]
",
        );
        let workload = config.workloads.of(PhaseKind::Mixed).expect("there");
        let course = Course::new(workload, &config, Duration::from_secs(60)).expect("no feeders");
        let mut watch = ThresholdWatch::new(workload, &course);
        let interval = |users| IntervalReport {
            length_us: 1_000_000,
            users: [("ask".to_owned(), users)].into(),
            series: Vec::new(),
            iterations: Default::default(),
            generator: Default::default(),
        };
        watch.observe(&interval(4), &course);
        watch.leave();
        watch.observe(&interval(0), &course);
        let row = watch.rows().remove(0);
        assert_eq!((row.holds, row.value.as_str()), (Some(true), "4"));
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
