//! A load phase of the built-in engine: what it needs in order to run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;

use super::budget::Budget;
use super::clock;
use super::course::Course;
use super::documents::Documents;
use super::feeder::FeederError;
use super::left_out;
use super::limit;
use super::mcp::HANDSHAKE_REQUESTS;
use super::progress::Progress;
use super::running::Running;
use super::shared::Common;
use crate::config::{Config, ExecutorKind, HANDSHAKE, PhaseKind, ServiceKind, Workload};
use crate::platform::connector::{Connector, ConnectorError};
use crate::platform::endpoint::{EndpointError, ResolvedEndpoint};
use crate::run::event::{PhaseOutcome, SeriesKey, Verdict};
use crate::run::phase::{Phase, PhaseContext};

/// Why a load phase cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LoadUnavailable {
    /// The phase has no workload.
    #[error("no workload is configured for {0}")]
    NoWorkload(PhaseKind),
    /// Nothing of the workload can run.
    #[error("nothing of the workload can run: {0}")]
    NothingToRun(String),
    /// The rows of a feeder cannot be read.
    #[error(transparent)]
    Feeder(#[from] FeederError),
    /// An endpoint cannot be used.
    #[error("{scenario}: {source}")]
    Endpoint {
        /// The scenario.
        scenario: String,
        /// What is wrong.
        source: EndpointError,
    },
    /// No way to connect.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
}

/// A load phase of the built-in engine.
pub struct LoadPhase {
    kind: PhaseKind,
    pub(super) workload: Workload,
    endpoints: Vec<Arc<ResolvedEndpoint>>,
    /// By scenario; those of one service share what they find out.
    connectors: Vec<Connector>,
}

/// Any length will do to see what can run.
const NOMINAL: Duration = Duration::from_secs(60);

/// The engine of a load phase.
///
/// # Errors
/// When nothing of its workload can run on the configured platform.
pub fn phase(kind: PhaseKind, config: &Config) -> Result<LoadPhase, LoadUnavailable> {
    let workload = config.workloads.of(kind).ok_or(LoadUnavailable::NoWorkload(kind))?;
    let workload = match &workload.find_limit {
        Some(search) => limit::open_models(workload, search),
        None => workload.clone(),
    };
    let course = Course::new(&workload, config, NOMINAL)?;
    if course.scenarios.is_empty() {
        return Err(LoadUnavailable::NothingToRun(left_out::words(&course.left_out)));
    }
    let mut phase = LoadPhase { kind, workload, endpoints: Vec::new(), connectors: Vec::new() };
    let mut made: BTreeMap<ServiceKind, (Arc<ResolvedEndpoint>, Connector)> = BTreeMap::new();
    for scenario in &course.scenarios {
        let configured = config.services.endpoints().find(|(kind, _)| *kind == scenario.service);
        let Some((service, endpoint)) = configured else { continue };
        let (endpoint, connector) = match made.get(&service) {
            Some((endpoint, connector)) => (Arc::clone(endpoint), connector.clone()),
            None => {
                let resolved = ResolvedEndpoint::resolve(endpoint).map_err(|source| {
                    LoadUnavailable::Endpoint { scenario: scenario.name.clone(), source }
                })?;
                let endpoint = Arc::new(resolved);
                let connector = Connector::new(Arc::clone(&endpoint))?;
                made.insert(service, (Arc::clone(&endpoint), connector.clone()));
                (endpoint, connector)
            }
        };
        phase.endpoints.push(endpoint);
        phase.connectors.push(connector);
    }
    Ok(phase)
}

/// Whether a series counts the handshakes of MCP sessions.
fn is_handshake(key: &SeriesKey) -> bool {
    key.service == ServiceKind::Mcp && key.step == HANDSHAKE
}

impl LoadPhase {
    pub(super) fn connectors(&self) -> Vec<Connector> {
        self.connectors.clone()
    }

    pub(super) fn common(&self, context: &PhaseContext) -> Result<Common, FeederError> {
        let used = context.events.with_state(|state| {
            let loads = state.phases.iter().filter_map(|phase| phase.load.as_ref());
            loads.flat_map(|load| &load.series).fold((0, 0), |(requests, tokens), (key, of)| {
                let each = if is_handshake(key) { HANDSHAKE_REQUESTS } else { 1 };
                // As many tokens as the target says.
                (requests + each * of.requests(), of.tokens.saturating_add(tokens))
            })
        });
        let guards = &context.config.guards;
        let course = Course::new(&self.workload, &context.config, context.length)?;
        Ok(Common {
            progress: course.scenarios.iter().map(|_| Progress::default()).collect(),
            course,
            config: Arc::clone(&context.config),
            endpoints: self.endpoints.clone(),
            budget: Budget::new(guards.max_requests, guards.max_tokens, used),
            exhausted: AtomicBool::new(false),
            crashed: AtomicBool::new(false),
            documents: Documents::new(&context.run_id, self.kind.name()),
            run_id: context.run_id.clone(),
        })
    }
}

#[async_trait]
impl Phase for LoadPhase {
    fn kind(&self) -> PhaseKind {
        self.kind
    }

    async fn run(&self, context: PhaseContext) -> PhaseOutcome {
        let mut scenarios = self.workload.scenarios.iter();
        let all_open = scenarios.all(|s| s.executor.is_some_and(ExecutorKind::is_open));
        match Running::start(self, context, clock::floor(all_open).await) {
            Ok(running) => running.finish().await,
            Err(reason) => PhaseOutcome::new(Verdict::Invalid, reason),
        }
    }
}
