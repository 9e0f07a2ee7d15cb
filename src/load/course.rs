//! A workload made ready to be run against a configured platform: what can run, and what cannot.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::feeder::{FeederError, Rows};
use super::left_out::{self, LeftOut, Part};
use super::request::Constant;
use super::schedule::{Model, Schedule};
use crate::config::metric::Labels;
use crate::config::{
    Config, Counted, Scenario, ServiceKind, SessionLife, Step, ThinkTime, Workload, placeholders,
};
use crate::run::event::{ScenarioModel, SeriesKey};

/// A workload that is ready to run.
#[derive(Debug)]
pub struct Course {
    /// The scenarios that can run.
    pub scenarios: Vec<ReadyScenario>,
    /// What is counted, by position.
    pub series: Vec<SeriesKey>,
    /// Tags of each series, for thresholds.
    pub tags: Vec<BTreeMap<String, String>>,
    /// What cannot run, with the reason.
    pub left_out: Vec<LeftOut>,
    /// Rows that flows are filled with.
    pub feeders: Vec<Rows>,
}

/// A scenario that can run.
#[derive(Clone, Debug)]
pub struct ReadyScenario {
    /// Its name.
    pub name: String,
    /// The service that it speaks to.
    pub service: ServiceKind,
    /// When it works, and by which model.
    pub schedule: Schedule,
    /// The model in words.
    pub model: ScenarioModel,
    /// Pause between two flows.
    pub think_time: ThinkTime,
    /// Flows of one user begin at least this far apart.
    pub pacing: Option<Duration>,
    /// How long cookies, session and connection of a user live.
    pub session: SessionLife,
    /// Its flows with their weights.
    pub flows: Vec<(u32, ReadyFlow)>,
    /// Its tags, for thresholds.
    pub tags: BTreeMap<String, String>,
    /// The series of its MCP handshake.
    pub initialize: Option<usize>,
}

/// A flow that can run.
#[derive(Clone, Debug, Default)]
pub struct ReadyFlow {
    /// Its steps.
    pub steps: Vec<ReadyStep>,
    /// Positions of the feeders whose columns it names.
    pub feeders: Vec<usize>,
    /// Whether anything in it may stand for a value.
    pub is_filled: bool,
}

impl ReadyFlow {
    /// Whether its user pauses within it.
    fn pauses(&self) -> bool {
        let pause =
            |ready: &ReadyStep| matches!(ready.step, Step::Think(time) if !time.get().is_zero());
        self.steps.iter().any(pause)
    }
}

/// A step with the series that counts it; none for a pause.
#[derive(Clone, Debug)]
pub struct ReadyStep {
    /// What is done.
    pub step: Step,
    /// Position of its series.
    pub series: usize,
    /// Values of earlier steps without which it is not sent.
    pub needs: Vec<String>,
    /// The request, where it is the same every time.
    pub constant: Constant,
}

impl Course {
    /// Makes a workload ready for a phase of this length.
    ///
    /// # Errors
    /// When the rows of a feeder cannot be read.
    pub fn new(workload: &Workload, config: &Config, phase: Duration) -> Result<Self, FeederError> {
        let mut course = Self {
            scenarios: Vec::new(),
            series: Vec::new(),
            tags: Vec::new(),
            left_out: Vec::new(),
            feeders: Rows::read_all(&workload.feeders)?,
        };
        for scenario in &workload.scenarios {
            let schedule = Schedule::new(scenario, workload, phase);
            if let Some(end) = schedule.end.filter(|end| *end > phase)
                && !matches!(schedule.model, Model::Iterations { .. })
            {
                let late = (end - phase).as_secs();
                let reason = format!("its last {late} s are beyond the end of the phase");
                course.left_out.push(LeftOut::new(scenario, Part::End, reason));
            }
            course.add(scenario, schedule, workload, config);
        }
        Ok(course)
    }

    /// What the samples of a series belong to.
    pub fn labels(&self, series: usize) -> Labels<'_> {
        self.series[series].labels(&self.tags[series])
    }

    /// Whether any scenario writes documents.
    pub fn writes(&self) -> bool {
        let flows = self.scenarios.iter().flat_map(|scenario| &scenario.flows);
        let mut steps = flows.flat_map(|(_, flow)| &flow.steps);
        steps.any(|ready| matches!(ready.step, Step::Ingest { .. }))
    }

    fn add(
        &mut self,
        scenario: &Scenario,
        schedule: Schedule,
        workload: &Workload,
        config: &Config,
    ) {
        let configured = config.services.endpoints().any(|(kind, _)| kind == scenario.service);
        if !configured {
            let reason = format!("no {} service is configured", scenario.service);
            self.left_out.push(LeftOut::new(scenario, Part::Whole, reason));
            return;
        }
        let flows = scenario.drawn_flows().map(|(_, flow)| flow);
        let flows = flows.map(|flow| (flow.weight, self.ready_flow(&flow.steps, scenario, config)));
        let is_request = |ready: &ReadyStep| !matches!(ready.step, Step::Think(_));
        let flows: Vec<(u32, ReadyFlow)> =
            flows.filter(|(_, flow)| flow.steps.iter().any(is_request)).collect();
        if flows.is_empty() {
            self.left_out.push(LeftOut::new(scenario, Part::Whole, "no flow of it can run"));
            return;
        }
        let mut steps = flows.iter().flat_map(|(_, flow)| &flow.steps);
        let in_session = steps.any(|ready| ready.step.needs_session());
        let initialize =
            scenario.handshake().and_then(|counted| self.handshake(scenario, counted, in_session));
        let think_time = scenario.think_time.unwrap_or(workload.think_time);
        let open = matches!(schedule.model, Model::Arrivals { .. });
        let pauses = flows.iter().any(|(_, flow)| flow.pauses());
        let waits = pauses || !think_time.max.get().is_zero() || scenario.pacing.is_some();
        let model = ScenarioModel {
            scenario: scenario.name.clone(),
            words: schedule.describe(scenario),
            open,
            counted: matches!(schedule.model, Model::Iterations { .. }),
            unpaced: !open && !waits,
        };
        self.scenarios.push(ReadyScenario {
            name: scenario.name.clone(),
            service: scenario.service,
            schedule,
            model,
            think_time,
            pacing: scenario.pacing.map(crate::config::TimeSpan::get),
            session: scenario.session,
            flows,
            tags: scenario.tags.clone(),
            initialize,
        });
    }

    /// The series of a scenario's handshake; none where no session is begun.
    fn handshake(
        &mut self,
        scenario: &Scenario,
        counted: Counted,
        in_session: bool,
    ) -> Option<usize> {
        if in_session {
            return Some(self.series_of(scenario, counted));
        }
        let why = "no step that needs a session can run";
        self.left_out.push(LeftOut::new(scenario, Part::Step(counted.step), why));
        None
    }

    fn ready_flow(&mut self, steps: &[Step], scenario: &Scenario, config: &Config) -> ReadyFlow {
        let mut flow = ReadyFlow::default();
        let mut extracted: Vec<String> = Vec::new();
        for step in steps {
            if let Some(reason) = why_not(step, config) {
                let part = Part::Step(step.name());
                left_out::add(&mut self.left_out, LeftOut::new(scenario, part, reason));
                continue;
            }
            let extract = match step {
                Step::Request(request) => request.extract.keys().collect(),
                _ => Vec::new(),
            };
            let series = scenario.counted(step).map(|counted| self.series_of(scenario, counted));
            let texts = step.filled_texts();
            let names: BTreeSet<&str> =
                texts.iter().flat_map(|(_, text)| placeholders(text)).collect();
            flow.is_filled |= has_placeholders(step);
            let fed = self.feeders.iter().enumerate().filter(|(_, rows)| rows.feeds(&names));
            for (at, _) in fed {
                if !flow.feeders.contains(&at) {
                    flow.feeders.push(at);
                }
            }
            let needs = extracted.iter().filter(|name| names.contains(name.as_str()));
            let needs = needs.cloned().collect();
            extracted.extend(extract.into_iter().cloned());
            let constant = Constant::default();
            let series = series.unwrap_or_default();
            flow.steps.push(ReadyStep { step: step.clone(), series, needs, constant });
        }
        flow
    }

    /// The position of a series; what has the same name has the same tags, as the configuration is checked
    /// for.
    fn series_of(&mut self, scenario: &Scenario, counted: Counted) -> usize {
        let key = SeriesKey {
            service: scenario.service,
            scenario: scenario.name.clone(),
            step: counted.step,
        };
        self.series.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.tags.push(counted.tags);
            self.series.push(key);
            self.series.len() - 1
        })
    }
}

/// Whether a step names values, or leaves some to later ones; when in doubt it does.
fn has_placeholders(step: &Step) -> bool {
    match step {
        Step::Think(_) | Step::Health {} => false,
        Step::Request(request) => !request.is_constant(),
        _ => true,
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
    /// What its flows belong to.
    pub fn labels(&self) -> Labels<'_> {
        Labels { scenario: &self.name, service: self.service, step: None, tags: &self.tags }
    }

    /// The flow for a random number below the sum of the weights.
    pub fn flow(&self, drawn: u32) -> Option<&ReadyFlow> {
        let mut left = drawn;
        for (weight, flow) in &self.flows {
            if left < *weight {
                return Some(flow);
            }
            left -= weight;
        }
        self.flows.last().map(|(_, flow)| flow)
    }

    /// The sum of the flows' weights.
    pub fn weights(&self) -> u32 {
        self.flows.iter().map(|(weight, _)| weight).sum()
    }
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
        let workload = config.workloads.of(PhaseKind::Mixed).expect("shipped");
        Course::new(workload, &config, Duration::from_secs(60)).expect("no feeders")
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
        let names: Vec<String> = course.left_out.iter().map(LeftOut::what).collect();
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
