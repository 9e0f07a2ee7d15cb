//! Light queries to the stores while load runs.

use serde::{Deserialize, Serialize};

use super::measured::Measurements;
use crate::config::StoreKind;

/// What happens between a run and the stores that it asks while load runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "store", rename_all = "snake_case")]
pub enum StoreEvent {
    /// Which stores are asked, and which not.
    Started {
        /// Stores with the steps that each is asked.
        asked: Vec<(StoreKind, Vec<String>)>,
        /// Stores that are not asked, and why.
        left_out: Vec<(StoreKind, String)>,
    },
    /// Something with this name is about to be made in a store; whoever cleans up removes it.
    Making {
        /// Where.
        kind: StoreKind,
        /// Its name.
        name: String,
    },
    /// It has been removed again, or not.
    Removed {
        /// Where.
        kind: StoreKind,
        /// Its name.
        name: String,
        /// Why it may still be there; none when it was looked for and is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        residue: Option<String>,
    },
    /// What was measured since the last interval.
    Interval {
        /// One row a step.
        series: Vec<StoreInterval>,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Which queries a series counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoreSeries {
    /// The store.
    pub kind: StoreKind,
    /// What it is asked.
    pub step: String,
}

/// What one series measured in one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreInterval {
    /// Which queries.
    pub key: StoreSeries,
    /// What they measured.
    #[serde(flatten)]
    pub measured: Measurements,
}
