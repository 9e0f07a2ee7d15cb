//! SLO compliance: definitions, their verdicts over what the load phases measured, error budgets.

mod brake;
mod budget;
mod compliance;
mod confidence;
mod evaluation;
mod explain;
pub mod export;
mod lint;
mod own_doing;
mod phase;
mod prometheus;
mod shares;
mod stores;
#[cfg(test)]
mod test_load;
mod throughput;

pub use evaluation::{asked, evaluate};
pub use explain::explain;
pub use lint::{Finding, Weight, lint};
pub use phase::{SloJudge, SloPhase};
pub use prometheus::MonitoredBudget;
#[cfg(fuzzing)]
pub use prometheus::histogram_in;
pub use stores::{StoreWatch, gone_with_their_stores, remove_leftovers};

use crate::config::{Criteria, SloDefinitions};

/// Puts what a configuration says of the three primary objectives in the place of what stands there.
pub fn with_criteria(mut definitions: SloDefinitions, criteria: &Criteria) -> SloDefinitions {
    for slo in &mut definitions.slos {
        match slo.id.as_str() {
            "availability" => {
                slo.objective_percent = criteria.availability_percent.or(slo.objective_percent)
            }
            "p99" => slo.below = criteria.p99.or(slo.below),
            "error_rate" => slo.below_percent = criteria.error_rate_percent.or(slo.below_percent),
            _ => {}
        }
    }
    definitions
}
