//! The built-in load engine: virtual users on per-core threads, real requests, HDR histograms.

mod act;
mod alarm;
mod arrivals;
mod budget;
mod chat;
mod clock;
mod cookies;
mod course;
mod crew;
mod curve;
mod documents;
mod exchange;
mod external;
mod feeder;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod generator;
mod guard;
mod left_out;
mod limit;
mod mcp;
mod merge;
mod patience;
mod phase;
mod plain;
mod population;
mod progress;
mod rag;
mod recorder;
mod recovery;
mod replay;
mod request;
mod running;
mod sample;
mod schedule;
mod shared;
mod sse;
mod template;
#[cfg(test)]
mod tests;
mod think;
mod thresholds;
mod trend;
mod user;
mod values;
mod verdict;

pub use phase::{LoadPhase, LoadUnavailable, phase};

use std::sync::Arc;

use crate::config::{Config, LoadEngine, PhaseKind};
use crate::run::phase::Phase;
pub use recovery::{RecoverError, remove_leftovers};

/// The engine of a load phase: the built-in one, or the external one that its workload asks for.
///
/// # Errors
/// In words, when it cannot run.
pub fn engine(kind: PhaseKind, config: &Config) -> Result<Arc<dyn Phase>, String> {
    let workload = config.workloads.of(kind);
    match workload.filter(|workload| workload.engine != LoadEngine::BuiltIn) {
        Some(workload) => Ok(Arc::new(external::phase(kind, workload, config)?)),
        None => match phase(kind, config) {
            Ok(phase) => Ok(Arc::new(phase)),
            Err(unavailable) => Err(unavailable.to_string()),
        },
    }
}
