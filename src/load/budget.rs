//! Caps on requests and tokens of a run: never exceeded, whatever happens at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is left of the caps.
#[derive(Debug)]
pub struct Budget {
    requests: Option<AtomicU64>,
    tokens: Option<AtomicU64>,
}

impl Budget {
    /// What the caps leave after what was used before; no cap, no limit.
    pub fn new(max_requests: Option<u64>, max_tokens: Option<u64>, used: (u64, u64)) -> Self {
        let left =
            |cap: Option<u64>, used: u64| cap.map(|cap| AtomicU64::new(cap.saturating_sub(used)));
        Self { requests: left(max_requests, used.0), tokens: left(max_tokens, used.1) }
    }

    /// Takes one request and at most so many tokens; false when the caps do not allow it.
    pub fn take(&self, tokens: u64) -> bool {
        if !take(&self.tokens, tokens) {
            return false;
        }
        let taken = take(&self.requests, 1);
        if !taken {
            self.give_back(tokens);
        }
        taken
    }

    /// Gives back tokens that were taken and not used.
    pub fn give_back(&self, tokens: u64) {
        if let Some(left) = &self.tokens {
            left.fetch_add(tokens, Ordering::Relaxed);
        }
    }
}

fn take(left: &Option<AtomicU64>, n: u64) -> bool {
    left.as_ref().is_none_or(|left| {
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(n)).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_hold_to_the_last_request() {
        let budget = Budget::new(Some(10), None, (7, 0));
        assert_eq!((0..10).filter(|_| budget.take(1000)).count(), 3);
    }

    #[test]
    fn tokens_that_were_not_used_come_back() {
        let budget = Budget::new(None, Some(100), (0, 0));
        assert!(budget.take(64) && !budget.take(64));
        budget.give_back(40);
        assert!(budget.take(64));
    }

    #[test]
    fn a_refused_request_costs_no_tokens() {
        let budget = Budget::new(Some(0), Some(64), (0, 0));
        assert!(!budget.take(64));
        assert!(take(&budget.tokens, 64), "the tokens are still there");
    }
}
