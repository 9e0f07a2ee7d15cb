//! Arrivals of an open model: when each is due by the plan clock, and who takes it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use rand::Rng;
use rand_distr::{Distribution, Exp1};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::curve::Curve;
use crate::config::Arrivals;

/// When arrivals of one thread are due. Arrivals are counted in the area below the rate, so that a
/// ramp, a Poisson process and an operator's change of the rate are the same arithmetic.
#[derive(Clone, Debug)]
pub struct Due {
    rate: Curve,
    spread: Arrivals,
    /// How many threads share the arrivals.
    threads: f64,
    /// The area at which the next one is due.
    next: f64,
    /// Area and time up to the last change of the rate.
    area: f64,
    since: Duration,
    /// Part of the planned rate from then on.
    factor: f64,
}

impl Due {
    /// The arrivals of one of `threads` threads: every `threads`-th one, or a Poisson process of its
    /// part of the rate.
    pub fn new(
        rate: Curve,
        spread: Arrivals,
        thread: u32,
        threads: u32,
        random: &mut impl Rng,
    ) -> Self {
        let mut due = Self {
            rate,
            spread,
            threads: f64::from(threads),
            next: f64::from(thread),
            area: 0.0,
            since: Duration::ZERO,
            factor: 1.0,
        };
        if spread == Arrivals::Poisson {
            due.next = 0.0;
            due.advance(random);
        }
        due
    }

    /// When the next one is due, after the start of the scenario; none when no more will come.
    pub fn at(&self) -> Option<Duration> {
        if self.factor <= 0.0 {
            return None;
        }
        let planned = self.rate.area(self.since) + (self.next - self.area) / self.factor;
        self.rate.time_of(planned).map(|at| at.max(self.since))
    }

    /// Goes on to the next one.
    pub fn advance(&mut self, random: &mut impl Rng) {
        let step: f64 = match self.spread {
            Arrivals::Constant => 1.0,
            Arrivals::Poisson => Exp1.sample(random),
        };
        self.next += step * self.threads;
    }

    /// Lets the rate be another part of the planned one from a time on.
    pub fn change(&mut self, factor: f64, at: Duration) {
        self.area += (self.rate.area(at) - self.rate.area(self.since)) * self.factor;
        self.since = at;
        self.factor = factor;
    }
}

/// Arrivals that are due and wait for a user for the blink of an eye, and how many users are free.
#[derive(Debug, Default)]
pub struct Counter {
    due: RefCell<VecDeque<Instant>>,
    free: Cell<usize>,
    called: Notify,
}

impl Counter {
    /// Hands an arrival to a free user; false when none is free.
    pub fn call(&self, intended: Instant) -> bool {
        let mut due = self.due.borrow_mut();
        if self.free.get() <= due.len() {
            return false;
        }
        due.push_back(intended);
        self.called.notify_one();
        true
    }
}

/// A user that is free to take an arrival.
#[derive(Debug)]
pub struct Free(Rc<Counter>);

impl Free {
    /// Counts a user in.
    pub fn at(counter: &Rc<Counter>) -> Self {
        counter.free.set(counter.free.get() + 1);
        Self(Rc::clone(counter))
    }

    /// Waits for an arrival to take. Cancel-safe; who has taken one is not free any more.
    pub async fn next(&self) -> Instant {
        loop {
            let taken = self.0.due.borrow_mut().pop_front();
            if let Some(intended) = taken {
                if !self.0.due.borrow().is_empty() {
                    self.0.called.notify_one();
                }
                return intended;
            }
            self.0.called.notified().await;
        }
    }
}

impl Drop for Free {
    fn drop(&mut self) {
        self.0.free.set(self.0.free.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn all(mut due: Due, random: &mut StdRng) -> Vec<Duration> {
        std::iter::from_fn(|| {
            let at = due.at()?;
            due.advance(random);
            Some(at)
        })
        .collect()
    }

    #[test]
    fn threads_take_turns() {
        let mut random = StdRng::seed_from_u64(1);
        let rate = Curve::constant(10.0, Duration::from_secs(1));
        let mut of = |thread| {
            let due = Due::new(rate.clone(), Arrivals::Constant, thread, 2, &mut random.clone());
            all(due, &mut random)
        };
        let millis =
            |all: Vec<Duration>| -> Vec<u128> { all.iter().map(Duration::as_millis).collect() };
        assert_eq!(millis(of(0)), [0, 200, 400, 600, 800]);
        assert_eq!(millis(of(1)), [100, 300, 500, 700, 900]);
    }

    #[test]
    fn a_changed_rate_counts_from_the_change_and_zero_stands_still() {
        let mut random = StdRng::seed_from_u64(1);
        let rate = Curve::constant(10.0, Duration::from_secs(10));
        let mut due = Due::new(rate, Arrivals::Constant, 0, 1, &mut random);
        for _ in 0..10 {
            due.advance(&mut random);
        }
        assert_eq!(due.at(), Some(Duration::from_secs(1)));
        due.change(0.0, Duration::from_secs(1));
        assert_eq!(due.at(), None);
        due.change(2.0, Duration::from_secs(5));
        assert_eq!(all(due, &mut random).len(), 100, "five seconds at twice the rate");
    }

    #[tokio::test]
    async fn an_arrival_is_taken_by_one_who_is_free_and_by_nobody_else() {
        let counter = Rc::new(Counter::default());
        let now = Instant::now();
        assert!(!counter.call(now), "nobody is free");
        let free = Free::at(&counter);
        assert!(counter.call(now) && !counter.call(now));
        assert_eq!(free.next().await, now);
        drop(free);
        assert_eq!((counter.free.get(), counter.call(now)), (0, false));
    }
}
