//! Sliding windows over what the load phases measured: for every objective, requests and bad ones in
//! slices of measured time, and what any full window of it amounted to.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::{Slo, SloDefinitions};
use crate::run::event::{IntervalReport, Measurements, StoreInterval};

/// Length of a slice, microseconds.
pub const SLICE_US: u64 = 15_000_000;
/// Slices kept; when full, neighbours of the older half are merged.
const SLICES: usize = 960;
/// Different windows kept of an objective.
const FRONTIER: usize = 64;
/// Intervals kept for a threshold that ends the load.
const GUARD_INTERVALS: usize = 900;

/// Requests, and those of them that count against an objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests.
    pub n: u64,
    /// Those that count against it.
    pub bad: u64,
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.n = self.n.saturating_add(other.n);
        self.bad = self.bad.saturating_add(other.bad);
    }
}

/// What an objective counts over a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Requests.
    pub counts: Counts,
    /// Time measured in it, microseconds.
    pub length_us: u64,
}

/// A slice of measured time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slice {
    /// Its end, microseconds since the run was created.
    at_us: u64,
    /// Time measured in it, microseconds.
    length_us: u64,
    /// By objective, in the order of the definitions.
    counts: Vec<Counts>,
}

/// A full window of an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullWindow {
    /// Its end, microseconds since the run was created.
    pub at_us: u64,
    /// What it counted.
    pub counts: Counts,
}

/// The intervals that a threshold looks at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Guarded {
    intervals: VecDeque<(u64, Measurements)>,
}

/// Sliding windows of every objective.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Windows {
    slices: VecDeque<Slice>,
    /// By objective: of its full windows those than which none is worse, by their bad requests.
    full: Vec<BTreeMap<u64, FullWindow>>,
    /// By objective, for those that may end the load.
    guarded: BTreeMap<usize, Guarded>,
    /// Time measured, microseconds.
    pub measured_us: u64,
}

impl Windows {
    /// Takes an interval of load in.
    pub(super) fn add_load(&mut self, at_us: u64, interval: &IntervalReport, of: &SloDefinitions) {
        let objectives = of.slos.len();
        if self.slices.back().is_none_or(|slice| slice.length_us >= SLICE_US) {
            self.close(of);
            let counts = vec![Counts::default(); objectives];
            self.slices.push_back(Slice { counts, ..Slice::default() });
        }
        self.measured_us = self.measured_us.saturating_add(interval.length_us);
        let Some(slice) = self.slices.back_mut() else { return };
        slice.at_us = at_us;
        slice.length_us = slice.length_us.saturating_add(interval.length_us);
        for (at, slo) in of.slos.iter().enumerate().filter(|(_, slo)| slo.store.is_none()) {
            let series = interval.series.iter();
            let series = series.filter(|series| slo.is_of(series.key.service, &series.key.step));
            let mut guarded = (!slo.abort_when_broken.is_empty()).then(Measurements::default);
            for one in series {
                slice.counts[at].add(counts(slo, &one.measured));
                if let Some(guarded) = &mut guarded {
                    guarded.add(&one.measured);
                }
            }
            if let Some(measured) = guarded {
                let kept = &mut self.guarded.entry(at).or_default().intervals;
                if kept.len() == GUARD_INTERVALS {
                    kept.pop_front();
                }
                kept.push_back((interval.length_us, measured));
            }
        }
    }

    /// Takes answers of the stores in. They belong to the load that runs.
    pub(super) fn add_stores(&mut self, series: &[StoreInterval], of: &SloDefinitions) {
        let Some(slice) = self.slices.back_mut() else { return };
        for (at, slo) in of.slos.iter().enumerate() {
            for one in series.iter().filter(|one| asks(slo, one)) {
                slice.counts[at].add(counts(slo, &one.measured));
            }
        }
    }

    /// What an objective counted since some moment. Time is that of the run.
    pub fn since(&self, objective: usize, from_us: u64) -> Stretch {
        let mut all = Stretch::default();
        for slice in self.slices.iter().rev().take_while(|slice| slice.at_us > from_us) {
            all.length_us += slice.length_us;
            all.counts.add(slice.counts.get(objective).copied().unwrap_or_default());
        }
        all
    }

    /// The full windows of an objective than which none is worse, the one that is going on included,
    /// and how many there were that do not overlap; none when the load was shorter than the window.
    pub fn full(&self, objective: usize, slo: &Slo) -> Option<(Vec<FullWindow>, u64)> {
        let mut frontier = self.full.get(objective).cloned().unwrap_or_default();
        if let Some(now) = self.latest(objective, slo) {
            keep(&mut frontier, now);
        }
        let window = u64::try_from(slo.window.get().as_micros()).unwrap_or(u64::MAX).max(1);
        let disjoint = (self.measured_us / window).max(1);
        (!frontier.is_empty()).then(|| (frontier.into_values().collect(), disjoint))
    }

    /// What the requests of an objective measured over the last so much of measured time, at most
    /// as far back as is kept, and how much time that is, microseconds.
    pub fn guarded(&self, objective: usize, window_us: u64) -> Option<(Measurements, u64)> {
        let kept = &self.guarded.get(&objective)?.intervals;
        let (mut measured, mut length) = (Measurements::default(), 0);
        for (interval_us, one) in kept.iter().rev() {
            if length >= window_us {
                break;
            }
            measured.add(one);
            length += interval_us;
        }
        Some((measured, length))
    }

    /// A slice has come to its end: every objective's window that ends with it is looked at.
    fn close(&mut self, of: &SloDefinitions) {
        self.full.resize(of.slos.len(), BTreeMap::new());
        for (at, slo) in of.slos.iter().enumerate() {
            if let Some(window) = self.latest(at, slo) {
                keep(&mut self.full[at], window);
            }
        }
        if self.slices.len() >= SLICES {
            self.merge_older_half();
        }
    }

    /// The window that ends with the last slice, where so much has been measured.
    fn latest(&self, objective: usize, slo: &Slo) -> Option<FullWindow> {
        let window = u64::try_from(slo.window.get().as_micros()).ok()?;
        let mut counts = Counts::default();
        let mut length: u64 = 0;
        for slice in self.slices.iter().rev() {
            if length >= window {
                break;
            }
            length += slice.length_us;
            counts.add(slice.counts.get(objective).copied().unwrap_or_default());
        }
        let at_us = self.slices.back()?.at_us;
        (length >= window && counts.n > 0).then_some(FullWindow { at_us, counts })
    }

    fn merge_older_half(&mut self) {
        let recent = self.slices.split_off(SLICES / 2);
        let older: Vec<Slice> = std::mem::take(&mut self.slices).into();
        self.slices = older
            .chunks(2)
            .map(|pair| {
                let mut one = pair[0].clone();
                for later in &pair[1..] {
                    one.at_us = later.at_us;
                    one.length_us += later.length_us;
                    one.counts.iter_mut().zip(&later.counts).for_each(|(a, b)| a.add(*b));
                }
                one
            })
            .chain(recent)
            .collect();
    }
}

/// Requests, and those of them that count against an objective.
fn counts(slo: &Slo, measured: &Measurements) -> Counts {
    Counts { n: measured.requests(), bad: measured.bad_for(slo) }
}

/// Whether an objective speaks of a store's queries.
fn asks(slo: &Slo, one: &StoreInterval) -> bool {
    slo.store.as_deref() == Some(one.key.kind.name())
        && slo.step.as_ref().is_none_or(|step| *step == one.key.step)
}

/// Keeps a window unless one is kept that is no better: as many bad requests or more, of as many
/// requests or fewer. So the worst upper and the worst lower bound are those of windows that are kept.
fn keep(frontier: &mut BTreeMap<u64, FullWindow>, window: FullWindow) {
    let Counts { n, bad } = window.counts;
    if frontier.range(bad..).any(|(_, kept)| kept.counts.n <= n) {
        return;
    }
    frontier.retain(|kept_bad, kept| *kept_bad > bad || kept.counts.n < n);
    frontier.insert(bad, window);
    if frontier.len() > FRONTIER {
        // The least bad one of many decides least.
        frontier.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::control::Reply;
    use crate::run::state::RunState;
    use proptest::prelude::*;

    #[test]
    fn a_client_understands_the_snapshot_of_a_run_that_is_longer_than_its_windows() {
        let window = FullWindow { at_us: 1, counts: Counts { n: 9, bad: 3 } };
        let windows = Windows {
            full: vec![BTreeMap::from([(3, window)])],
            guarded: BTreeMap::from([(0, Guarded::default())]),
            ..Windows::default()
        };
        let state = Box::new(RunState { windows, ..RunState::default() });
        let said = Reply::Snapshot { state };
        let line = serde_json::to_string(&said).expect("JSON");
        let heard: Reply = serde_json::from_str(&line).expect("understood");
        assert_eq!(heard, said);
    }

    proptest! {
        #[test]
        fn what_is_not_kept_is_no_worse_than_something_that_is(
            windows in proptest::collection::vec((1u64..50, 0u64..50), 1..60)
        ) {
            let mut frontier = BTreeMap::new();
            let all: Vec<Counts> = windows.iter().map(|(n, bad)| Counts { n: *n, bad: (*bad).min(*n) }).collect();
            for (at, counts) in all.iter().enumerate() {
                keep(&mut frontier, FullWindow { at_us: at as u64, counts: *counts });
            }
            for one in &all {
                prop_assert!(frontier.values().any(|kept| kept.counts.bad >= one.bad && kept.counts.n <= one.n));
            }
        }
    }
}
