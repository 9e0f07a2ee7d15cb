//! The plan of a run: which phases, in which order, for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::PhaseKind;

/// What a run is going to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// `full`, `quick`, `demo` or the names of single phases.
    pub name: String,
    /// A remark that the screen shows, such as that the lengths are compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The phases in order.
    pub phases: Vec<PlannedPhase>,
    /// Longest cooldown between two phases, microseconds.
    pub cooldown_us: u64,
}

/// One phase of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPhase {
    /// Which.
    pub kind: PhaseKind,
    /// Its length (load) or time box (everything else), microseconds.
    pub length_us: u64,
    /// Left out by request.
    #[serde(default)]
    pub skip: bool,
}

impl PlannedPhase {
    /// Its length or time box.
    pub const fn length(&self) -> Duration {
        Duration::from_micros(self.length_us)
    }
}

impl Plan {
    /// Position of a phase in the plan.
    pub fn position(&self, kind: PhaseKind) -> Option<usize> {
        self.phases.iter().position(|phase| phase.kind == kind)
    }

    /// Longest length of the whole run, cooldowns included.
    pub fn longest(&self) -> Duration {
        let planned = self.phases.iter().filter(|phase| !phase.skip);
        let (count, sum) =
            planned.fold((0u64, 0u64), |(count, sum), phase| (count + 1, sum + phase.length_us));
        Duration::from_micros(sum + self.cooldown_us * count.saturating_sub(1))
    }
}
