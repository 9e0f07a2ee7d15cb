//! A workload made ready to be run against a configured platform: what can run, and what cannot.

use std::time::Duration;

use crate::config::{Config, Scenario, ServiceKind, Step, ThinkTime, Workload};
use crate::run::event::SeriesKey;

/// A workload that is ready to run.
#[derive(Clone, Debug)]
pub struct Course {
    /// The scenarios that can run.
    pub scenarios: Vec<ReadyScenario>,
    /// What is counted, by position.
    pub series: Vec<SeriesKey>,
    /// What cannot run, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Pause of a virtual user between two flows.
    pub think_time: ThinkTime,
}

/// A scenario that can run.
#[derive(Clone, Debug)]
pub struct ReadyScenario {
    /// Its position in the workload.
    pub at: usize,
    /// Its name.
    pub name: String,
    /// The service that it speaks to.
    pub service: ServiceKind,
    /// Its flows with their weights.
    pub flows: Vec<(u32, Vec<ReadyStep>)>,
    /// The series of its MCP handshake.
    pub initialize: Option<usize>,
}

/// A step with the series that counts it; none for a pause.
#[derive(Clone, Debug)]
pub struct ReadyStep {
    /// What is done.
    pub step: Step,
    /// Position of its series.
    pub series: usize,
}

impl Course {
    /// Makes a workload ready.
    pub fn new(workload: &Workload, config: &Config) -> Self {
        let mut course = Self {
            scenarios: Vec::new(),
            series: Vec::new(),
            left_out: Vec::new(),
            think_time: workload.think_time,
        };
        for (at, scenario) in workload.scenarios.iter().enumerate() {
            course.add(at, scenario, config);
        }
        course
    }

    /// Whether any scenario writes documents.
    pub fn writes(&self) -> bool {
        let steps = self.scenarios.iter().flat_map(|s| &s.flows).flat_map(|(_, steps)| steps);
        steps.into_iter().any(|ready| matches!(ready.step, Step::Ingest { .. }))
    }

    fn add(&mut self, at: usize, scenario: &Scenario, config: &Config) {
        let configured = config.services.endpoints().any(|(kind, _)| kind == scenario.service);
        if !configured {
            let reason = format!("no {} service is configured", scenario.service);
            self.left_out.push((scenario.name.clone(), reason));
            return;
        }
        let mut ready = ReadyScenario {
            at,
            name: scenario.name.clone(),
            service: scenario.service,
            flows: Vec::new(),
            initialize: None,
        };
        if scenario.service == ServiceKind::Mcp {
            ready.initialize = Some(self.series_of(scenario, "initialize"));
        }
        for flow in &scenario.flows {
            let mut steps = Vec::new();
            for step in &flow.steps {
                match why_not(step, config) {
                    None => {
                        let series = match step {
                            Step::Think(_) => 0,
                            step => self.series_of(scenario, step.name()),
                        };
                        steps.push(ReadyStep { step: step.clone(), series });
                    }
                    Some(reason) => {
                        let what = format!("{}: {}", scenario.name, step.name());
                        if !self.left_out.iter().any(|(left, _)| *left == what) {
                            self.left_out.push((what, reason));
                        }
                    }
                }
            }
            let has_requests = steps.iter().any(|ready| !matches!(ready.step, Step::Think(_)));
            if has_requests && flow.weight > 0 {
                ready.flows.push((flow.weight, steps));
            }
        }
        if ready.flows.is_empty() {
            self.left_out.push((scenario.name.clone(), "no flow of it can run".into()));
        } else {
            self.scenarios.push(ready);
        }
    }

    fn series_of(&mut self, scenario: &Scenario, step: &str) -> usize {
        let key = SeriesKey {
            service: scenario.service,
            scenario: scenario.name.clone(),
            step: step.to_owned(),
        };
        self.series.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.series.push(key);
            self.series.len() - 1
        })
    }
}

/// Why a step does not run on this platform, if it does not.
fn why_not(step: &Step, config: &Config) -> Option<String> {
    match step {
        Step::Ingest { .. }
            if config.services.rag.as_ref().is_none_or(|rag| rag.scratch.is_none()) =>
        {
            Some(
                "no `scratch` collection is configured, so what it writes could not be removed"
                    .into(),
            )
        }
        Step::Tool {} if config.services.mcp.as_ref().is_none_or(|mcp| mcp.tools.is_empty()) => {
            Some("no tool is listed in the configuration, so none is called".into())
        }
        _ => None,
    }
}

impl ReadyScenario {
    /// The flow for a random number below the sum of the weights.
    pub fn flow(&self, drawn: u32) -> &[ReadyStep] {
        let mut left = drawn;
        for (weight, steps) in &self.flows {
            if left < *weight {
                return steps;
            }
            left -= weight;
        }
        self.flows.last().map_or(&[], |(_, steps)| steps)
    }

    /// The sum of the flows' weights.
    pub fn weights(&self) -> u32 {
        self.flows.iter().map(|(weight, _)| weight).sum()
    }
}

/// A pause drawn evenly from a range; `fraction` is from 0 to 1.
pub fn think(range: ThinkTime, fraction: f64) -> Duration {
    let (min, max) = (range.min.get(), range.max.get());
    min + max.saturating_sub(min).mul_f64(fraction.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PhaseKind;

    fn course(change: impl FnOnce(&mut Config)) -> Course {
        let config = crate::sandbox::config(&crate::sandbox::Endpoints::placeholder());
        let loaded = crate::config::apply_overrides(config, &Default::default()).expect("valid");
        let mut config = loaded.config;
        change(&mut config);
        Course::new(config.workloads.of(PhaseKind::Mixed).expect("shipped"), &config)
    }

    #[test]
    fn everything_runs_on_the_sandbox() {
        let course = course(|_| {});
        assert_eq!(course.scenarios.len(), 3);
        assert!(course.left_out.is_empty() && course.writes());
    }

    #[test]
    fn what_could_not_be_undone_does_not_run_and_says_so() {
        let course = course(|config| {
            config.services.rag.as_mut().expect("there").scratch = None;
            config.services.mcp.as_mut().expect("there").tools.clear();
        });
        assert!(!course.writes());
        let names: Vec<&str> = course.left_out.iter().map(|(what, _)| what.as_str()).collect();
        assert_eq!(names, ["rag: ingest", "mcp: tools/call"]);
        assert_eq!(course.scenarios[1].flows.len(), 1, "queries still run");
    }

    #[test]
    fn a_service_that_is_not_configured_leaves_its_scenario_out() {
        let course = course(|config| config.services.chat = None);
        assert_eq!(
            course.scenarios.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
            ["rag", "mcp"]
        );
    }
}
