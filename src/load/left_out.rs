//! What of a workload cannot run, and what that makes of thresholds.

use std::fmt;

use super::course::Course;
use crate::config::metric::Selector;
use crate::config::{Scenario, Workload};

/// Something that cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Name of the scenario.
    pub scenario: String,
    /// How much of it.
    pub part: Part,
    /// Why.
    pub why: String,
}

/// How much of a scenario cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The step of this name.
    Step(String),
    /// What is beyond the end of the phase.
    End,
}

impl LeftOut {
    /// A part of a scenario, with the reason.
    pub fn new(scenario: &Scenario, part: Part, why: impl Into<String>) -> Self {
        Self { scenario: scenario.name.clone(), part, why: why.into() }
    }

    /// What it is.
    pub fn what(&self) -> String {
        match &self.part {
            Part::Step(step) => format!("{}: {step}", self.scenario),
            Part::Whole | Part::End => self.scenario.clone(),
        }
    }

    /// What it is and why, for screens and reports.
    pub fn told(&self) -> (String, String) {
        (self.what(), self.why.clone())
    }

    /// Whether a selector speaks of it.
    fn is_meant(&self, selector: &Selector, scenario: &Scenario) -> bool {
        if self.scenario != scenario.name {
            return false;
        }
        if selector.metric.is_of_scenario() {
            return selector.selects(&scenario.labels(None));
        }
        scenario.all_counted().any(|counted| {
            let is_part = match &self.part {
                Part::Step(step) => *step == counted.step,
                Part::Whole | Part::End => true,
            };
            is_part && selector.selects(&scenario.labels(Some(&counted)))
        })
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what(), self.why)
    }
}

/// Adds what is not among them yet: a step may stand in more than one flow.
pub fn add(all: &mut Vec<LeftOut>, one: LeftOut) {
    if !all.iter().any(|known| known.scenario == one.scenario && known.part == one.part) {
        all.push(one);
    }
}

/// All of them in a line.
pub fn words(all: &[LeftOut]) -> String {
    all.iter().map(LeftOut::to_string).collect::<Vec<_>>().join("; ")
}

/// Why nothing of what a selector speaks of is measured, if it was left out: the configuration knows it,
/// and nothing that can run is it. What nothing is though it was not left out stays open.
pub fn reason(selector: &Selector, workload: &Workload, course: &Course) -> Option<String> {
    let runs = match selector.metric.is_of_scenario() {
        true => course.scenarios.iter().any(|ready| selector.selects(&ready.labels())),
        false => (0..course.series.len()).any(|at| selector.selects(&course.labels(at))),
    };
    if runs {
        return None;
    }
    let meant = |left: &&LeftOut| {
        workload.scenarios.iter().any(|scenario| left.is_meant(selector, scenario))
    };
    let all = || course.left_out.iter().filter(meant);
    // A step says more than its scenario, of which nothing can run where none of its steps can.
    let step = all().find(|left| matches!(left.part, Part::Step(_)));
    let left = step.or_else(|| all().find(|left| left.part == Part::Whole))?;
    Some(format!("{} was left out: {}", left.what(), left.why))
}
