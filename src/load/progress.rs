//! How far the flows of a scenario are, all threads together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::schedule::Model;

/// How far a scenario is.
#[derive(Debug, Default)]
pub struct Progress {
    begun: AtomicU64,
    ended: AtomicU64,
    /// Set when its feeders have no row left.
    spent: AtomicBool,
}

impl Progress {
    /// A flow begins; returns how many have before.
    pub fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::Relaxed)
    }

    /// A flow has ended.
    pub fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Its feeders have no row left, which is said once.
    pub fn spend(&self, scenario: &str) {
        if !self.spent.swap(true, Ordering::Relaxed) {
            log::warn!("{scenario}: a feeder has no row left: no more of its flows begin");
        }
    }

    /// Whether its feeders have no row left.
    pub fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// Whether nothing more will begin, whatever time is left.
    pub fn is_done(&self, model: &Model) -> bool {
        let all = match model {
            Model::Iterations { count, shared: true, .. } => Some(*count),
            Model::Iterations { count, users, shared: false } => Some(count * u64::from(*users)),
            _ => None,
        };
        self.is_spent() || all.is_some_and(|all| self.ended.load(Ordering::Relaxed) >= all)
    }
}
