//! How often the interval that a search states is true. Seeds are fixed, so that the outcome is.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::queue::{Kind, Queue};
use super::{FindLimit, searched};

/// Searches of a kind in the test that everybody runs.
const FEW: u64 = 60;
/// Searches of a kind behind the figures of docs/load.md.
const MANY: u64 = 400;

const DETERMINISTIC: bool = false;
const EXPONENTIAL: bool = true;

const fn kind(servers: usize, capacity: f64, exponential: bool) -> Kind {
    Kind { servers, capacity, exponential }
}

/// What searches of a kind stated.
#[derive(Default)]
struct Stated {
    searches: u64,
    untrue: u64,
    /// Widths of the intervals, each as a share of the truth.
    widths: Vec<f64>,
}

impl Stated {
    fn true_percent(&self) -> f64 {
        (self.searches - self.untrue) as f64 * 100.0 / self.searches as f64
    }

    fn median_width_percent(&mut self) -> f64 {
        self.widths.sort_by(f64::total_cmp);
        self.widths[self.widths.len() / 2] * 100.0
    }
}

/// One search on a queue: the interval that it states, the capacity, and how many seconds it took.
fn one(kind: Kind, seed: u64, p99_limit: Option<Duration>) -> ((f64, f64), f64, u64) {
    // Where the capacity lies among the rates that are tried must not matter.
    let capacity = match p99_limit {
        None => kind.capacity * StdRng::seed_from_u64(seed).random_range(0.8..1.2),
        Some(_) => kind.capacity,
    };
    let mut queue = Queue::new(Kind { capacity, ..kind }, seed);
    let (report, seconds) = searched(FindLimit::default(), p99_limit, |rate| queue.second(rate));
    let (Some(good), Some(bad)) = (report.sustained, report.not_sustained) else {
        panic!("{kind:?}, seed {seed}: {report:?}");
    };
    ((good, bad), capacity, seconds)
}

fn search_for_capacity(kind: Kind, searches: u64) -> Stated {
    let mut stated = Stated { searches, ..Stated::default() };
    for seed in 0..searches {
        let ((good, bad), capacity, seconds) = one(kind, seed, None);
        stated.untrue += u64::from(good > capacity || bad < capacity);
        stated.widths.push((bad - good) / capacity);
        let near = good > 0.6 * capacity && bad < 1.3 * capacity;
        assert!(near, "{kind:?}, seed {seed}: {good} to {bad} for {capacity}");
        assert!(seconds < 1800, "{kind:?}, seed {seed}: {seconds} s");
    }
    stated
}

#[test]
fn the_interval_holds_the_capacity_in_nineteen_of_twenty_searches() {
    for kind in [
        kind(1, 95.0, DETERMINISTIC),
        kind(4, 60.0, DETERMINISTIC),
        kind(1, 20.0, DETERMINISTIC),
        kind(4, 60.0, EXPONENTIAL),
        kind(100, 50.0, EXPONENTIAL),
    ] {
        let stated = search_for_capacity(kind, FEW);
        assert!(stated.untrue * 20 <= FEW, "{kind:?}: {} of {FEW} untrue", stated.untrue);
    }
}

/// On one server of exponential service every response time is exponential, too: the rate whose P99 is
/// `limit` for ever is that at which ln 100 of its mean are `limit`.
fn rate_with_p99(capacity: f64, limit: Duration) -> f64 {
    capacity - 100.0_f64.ln() / limit.as_secs_f64()
}

#[test]
#[ignore = "minutes: the figures of docs/load.md"]
fn how_often_the_interval_is_true() {
    for (kind, widest) in [
        (kind(1, 20.0, DETERMINISTIC), 23.0),
        (kind(1, 95.0, DETERMINISTIC), 15.0),
        (kind(4, 60.0, DETERMINISTIC), 15.0),
        (kind(400, 300.0, DETERMINISTIC), 15.0),
        (kind(1, 20.0, EXPONENTIAL), 23.0),
        (kind(1, 95.0, EXPONENTIAL), 15.0),
        (kind(4, 60.0, EXPONENTIAL), 15.0),
        (kind(100, 50.0, EXPONENTIAL), 15.0),
        (kind(400, 300.0, EXPONENTIAL), 15.0),
    ] {
        let mut stated = search_for_capacity(kind, MANY);
        let (percent, width) = (stated.true_percent(), stated.median_width_percent());
        println!("{kind:?}: true in {percent:.1} %, width {width:.0} %");
        let least = if kind.exponential { 97.0 } else { 99.0 };
        assert!(percent >= least && width <= widest, "{kind:?}: {percent:.1} %, {width:.1} %");
    }
    for (capacity, millis, least) in
        [(60.0, 1919, 88.0), (60.0, 307, 66.0), (20.0, 5756, 94.0), (20.0, 921, 56.0)]
    {
        let (kind, limit) = (kind(1, capacity, EXPONENTIAL), Duration::from_millis(millis));
        let truth = rate_with_p99(capacity, limit);
        let held = (0..MANY).filter(|seed| {
            let ((good, bad), ..) = one(kind, *seed, Some(limit));
            good <= truth && truth <= bad
        });
        let percent = held.count() as f64 * 100.0 / MANY as f64;
        let share = truth * 100.0 / capacity;
        println!("P99 {millis} ms at {share:.0} % of {kind:?}: true in {percent:.1} %");
        assert!(percent >= least, "{kind:?}: {percent:.1} %");
    }
}
