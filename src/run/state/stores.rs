//! What the stores answered while load ran.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::StoreKind;
use crate::run::event::{Measurements, StoreEvent, StoreSeries};

/// What the stores answered while load ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoreQueries {
    /// Stores with the steps that each is asked.
    pub asked: Vec<(StoreKind, Vec<String>)>,
    /// Stores that are not asked, and why.
    pub left_out: Vec<(StoreKind, String)>,
    /// Totals by step.
    #[serde(with = "by_series")]
    pub series: BTreeMap<StoreSeries, Measurements>,
    /// What may still be there of what was made, by store, with the reason where it is known.
    pub made: Vec<(StoreKind, String, Option<String>)>,
}

impl StoreQueries {
    pub(super) fn apply(&mut self, event: &StoreEvent) {
        match event {
            StoreEvent::Started { asked, left_out } => {
                self.asked.clone_from(asked);
                self.left_out.clone_from(left_out);
            }
            StoreEvent::Making { kind, name } => self.made.push((*kind, name.clone(), None)),
            StoreEvent::Removed { kind, name, residue } => {
                self.made.retain(|(of, made, _)| (of, made) != (kind, name));
                if residue.is_some() {
                    self.made.push((*kind, name.clone(), residue.clone()));
                }
            }
            StoreEvent::Interval { series } => {
                for one in series {
                    self.series.entry(one.key.clone()).or_default().add(&one.measured);
                }
            }
            StoreEvent::Unknown => {}
        }
    }
}

/// JSON has only strings for keys, so the series travel as a list.
mod by_series {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Measurements, StoreSeries};

    pub fn serialize<S: Serializer>(
        series: &BTreeMap<StoreSeries, Measurements>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(series)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<StoreSeries, Measurements>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}
