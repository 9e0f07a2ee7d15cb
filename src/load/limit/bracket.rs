//! Which rate comes next: the gap between rates that were borne and rates that were not, as it closes.

use crate::config::FindLimit;

/// A rate below this one is none.
const LEAST_RATE: f64 = 0.1;

/// Rates that were tried, flows per second.
#[derive(Clone, Debug)]
pub struct Bracket {
    rules: FindLimit,
    /// Largest rate that was borne; 0 while none was.
    pub good: f64,
    /// Smallest rate that was not.
    pub bad: Option<f64>,
}

impl Bracket {
    /// Nothing is known yet.
    pub const fn new(rules: FindLimit) -> Self {
        Self { rules, good: 0.0, bad: None }
    }

    /// The rate to begin with.
    pub const fn first(&self) -> f64 {
        self.rules.start_rate
    }

    /// Takes in whether a rate was borne; returns the next one to try, or none when the gap is closed.
    pub fn tell(&mut self, rate: f64, borne: bool) -> Option<f64> {
        if borne {
            self.good = self.good.max(rate);
            // What it failed at before was a bad moment.
            self.bad = self.bad.filter(|bad| *bad > rate);
        } else {
            self.fail(rate);
        }
        self.next(rate)
    }

    /// Takes in that the largest rate that was borne was not for long; returns the next smaller one to
    /// hold, or none when there is none.
    pub fn tell_not_held(&mut self) -> Option<f64> {
        self.fail(self.good);
        let lower = self.on_grid(self.good * (1.0 - self.rules.precision_percent / 100.0));
        self.good = if lower < self.good { lower } else { 0.0 };
        (self.good >= LEAST_RATE).then_some(self.good)
    }

    /// The nearest rate that an operator's percent of the first one can be.
    pub fn on_grid(&self, rate: f64) -> f64 {
        f64::from(self.percent(rate)) * self.rules.start_rate / 100.0
    }

    /// A rate in percent of the first one, never above the largest that may be tried but for what is lost in
    /// computing it.
    pub fn percent(&self, rate: f64) -> u32 {
        let percent = |rate: f64| rate * 100.0 / self.rules.start_rate;
        percent(rate).round().min((percent(self.rules.max_rate) + 1e-6).floor()) as u32
    }

    fn fail(&mut self, rate: f64) {
        self.bad = Some(self.bad.map_or(rate, |bad| bad.min(rate)));
    }

    fn next(&self, rate: f64) -> Option<f64> {
        let next = match self.bad {
            None if rate >= self.on_grid(self.rules.max_rate) => return None,
            None => (rate * self.rules.growth).min(self.rules.max_rate),
            Some(bad) if bad < LEAST_RATE => return None,
            Some(bad) if (bad - self.good) * 100.0 <= self.rules.precision_percent * bad => {
                return None;
            }
            Some(bad) => (self.good + bad) / 2.0,
        };
        let next = self.on_grid(next);
        let is_new = next > self.good && self.bad.is_none_or(|bad| next < bad);
        is_new.then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn searched(capacity: f64, rules: FindLimit) -> (Bracket, usize) {
        let mut bracket = Bracket::new(rules);
        let (mut rate, mut steps) = (bracket.first(), 1);
        while let Some(next) = bracket.tell(rate, rate <= capacity) {
            (rate, steps) = (next, steps + 1);
            assert!(steps < 100, "it never ends");
        }
        (bracket, steps)
    }

    #[test]
    fn a_search_that_never_breaks_ends_at_its_largest_rate() {
        let rules = FindLimit { max_rate: 100.0, ..FindLimit::default() };
        let (bracket, _) = searched(1e9, rules);
        assert_eq!((bracket.good, bracket.bad), (100.0, None));
        let rules = FindLimit { start_rate: 30.0, max_rate: 50.0, ..FindLimit::default() };
        let (bracket, _) = searched(1e9, rules);
        assert_eq!(bracket.good, 49.8, "166 % of the first; 167 % would be above 50/s");
    }

    #[test]
    fn rates_that_cannot_be_told_apart_close_the_gap() {
        let rules = FindLimit { start_rate: 1000.0, ..FindLimit::default() };
        let (bracket, _) = searched(52.0, rules);
        assert_eq!(
            (bracket.good, bracket.bad),
            (50.0, Some(60.0)),
            "a percent of the first is 10/s"
        );
    }

    #[test]
    fn what_is_not_held_is_lowered_until_nothing_is_left() {
        let mut bracket =
            Bracket { good: 10.0, bad: Some(10.4), ..Bracket::new(FindLimit::default()) };
        assert_eq!(bracket.tell_not_held(), Some(9.5));
        assert_eq!((bracket.good, bracket.bad), (9.5, Some(10.0)));
        let mut lowered = 0;
        while bracket.tell_not_held().is_some() {
            lowered += 1;
            assert!(lowered < 200, "it never ends");
        }
        assert!(bracket.bad < Some(1.1), "{bracket:?}");
    }

    proptest! {
        #[test]
        fn the_gap_closes_around_the_capacity(capacity in 1.0f64..5000.0) {
            let (bracket, steps) = searched(capacity, FindLimit::default());
            let bad = bracket.bad.expect("broken somewhere");
            prop_assert!(bracket.good <= capacity && capacity < bad);
            // Below 1/s the grid of the rates is coarser than the precision.
            prop_assert!((bad - bracket.good) / bad <= 0.0501 || bad - bracket.good < 0.051);
            prop_assert!(steps <= 30, "{steps} steps");
        }
    }
}
