//! What the requests of a scenario are counted under, and the tags by which thresholds find them: the load
//! engine counts by it, and the configuration is checked against it.

use std::collections::BTreeMap;

use super::metric::Labels;
use super::{Flow, Scenario, Step};

/// What the handshake of an MCP session is counted under.
pub const HANDSHAKE: &str = "initialize";

/// Requests that are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Their name within the scenario.
    pub step: String,
    /// Their tags, those of the scenario among them.
    pub tags: BTreeMap<String, String>,
}

impl Scenario {
    /// Its flows that are ever drawn, with their positions.
    pub fn drawn_flows(&self) -> impl Iterator<Item = (usize, &Flow)> {
        self.flows.iter().enumerate().filter(|(_, flow)| flow.weight > 0)
    }

    /// What the requests of one of its steps are counted under; none for a pause.
    pub fn counted(&self, step: &Step) -> Option<Counted> {
        let mut tags = self.tags.clone();
        match step {
            Step::Think(_) => return None,
            Step::Request(request) => tags.extend(request.tags.clone()),
            _ => {}
        }
        Some(Counted { step: step.name(), tags })
    }

    /// What the handshake is counted under that its sessions begin with; none where there is none.
    pub fn handshake(&self) -> Option<Counted> {
        let mut steps = self.drawn_flows().flat_map(|(_, flow)| &flow.steps);
        steps
            .any(Step::needs_session)
            .then(|| Counted { step: HANDSHAKE.into(), tags: self.tags.clone() })
    }

    /// What all that it asks is counted under; the same name may come more than once.
    pub fn all_counted(&self) -> impl Iterator<Item = Counted> {
        let steps = self.drawn_flows().flat_map(|(_, flow)| &flow.steps);
        self.handshake().into_iter().chain(steps.filter_map(|step| self.counted(step)))
    }

    /// The labels of its flows, or of some of its requests.
    pub fn labels<'a>(&'a self, counted: Option<&'a Counted>) -> Labels<'a> {
        Labels {
            scenario: &self.name,
            service: self.service,
            step: counted.map(|counted| counted.step.as_str()),
            tags: counted.map_or(&self.tags, |counted| &counted.tags),
        }
    }
}
