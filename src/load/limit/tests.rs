//! Searches on a server whose capacity is known: how often the interval that they state is true.

use std::collections::BinaryHeap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp1};

use super::*;
use crate::config::{PhaseKind, ServiceKind};
use crate::load::tests::platform;
use crate::run::event::{
    ErrorKind, GeneratorHealth, Iterations, Measurements, SeriesInterval, SeriesKey,
};

/// Searches of a kind. Seeds are fixed, so that the outcome is.
const SEARCHES: u64 = 60;
/// A search that takes longer than this never ends.
const PATIENCE: u64 = 4 * 3600;

/// What serves: so many at a time, in the order in which they came, each as long, or exponentially.
#[derive(Clone, Copy, Debug)]
struct Kind {
    servers: usize,
    capacity: f64,
    exponential: bool,
}

/// A queue, in nanoseconds.
struct Queue {
    kind: Kind,
    random: StdRng,
    now: u64,
    /// When each server is free, the soonest first.
    free: BinaryHeap<std::cmp::Reverse<u64>>,
    /// When answers come, and how long they took.
    pending: BinaryHeap<std::cmp::Reverse<(u64, u64)>>,
    max_users: usize,
}

const SECOND: u64 = 1_000_000_000;

impl Queue {
    fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            random: StdRng::seed_from_u64(seed),
            now: 0,
            free: (0..kind.servers).map(|_| std::cmp::Reverse(0)).collect(),
            pending: BinaryHeap::new(),
            max_users: 2000,
        }
    }

    fn draw(&mut self, mean: f64) -> u64 {
        let drawn: f64 = Exp1.sample(&mut self.random);
        (drawn * mean * SECOND as f64) as u64
    }

    /// A second of Poisson arrivals at this rate.
    fn second(&mut self, rate: f64) -> IntervalReport {
        let end = self.now + SECOND;
        let (mut iterations, mut measured) = (Iterations::default(), Measurements::default());
        let mut at = self.now;
        loop {
            // Without a rate the next one never comes.
            at = at.saturating_add(self.draw(1.0 / rate));
            if at >= end {
                break;
            }
            self.answer_until(at, &mut measured, &mut iterations);
            iterations.arrived += 1;
            if self.pending.len() >= self.max_users {
                iterations.dropped += 1;
                continue;
            }
            let mean = self.kind.servers as f64 / self.kind.capacity;
            let service =
                if self.kind.exponential { self.draw(mean) } else { (mean * SECOND as f64) as u64 };
            let free = self.free.pop().map_or(0, |free| free.0);
            let done = free.max(at) + service;
            self.free.push(std::cmp::Reverse(done));
            self.pending.push(std::cmp::Reverse((done, done - at)));
        }
        self.answer_until(end, &mut measured, &mut iterations);
        self.now = end;
        interval(measured, iterations, self.pending.len() as u32)
    }

    fn answer_until(&mut self, at: u64, measured: &mut Measurements, iterations: &mut Iterations) {
        while let Some(next) = self.pending.peek().filter(|next| next.0.0 <= at) {
            measured.response.record_us(next.0.1 / 1000, 1);
            iterations.finished += 1;
            self.pending.pop();
        }
    }
}

fn interval(measured: Measurements, iterations: Iterations, in_flight: u32) -> IntervalReport {
    let key = SeriesKey { service: ServiceKind::Rag, scenario: "ask".into(), step: "query".into() };
    IntervalReport {
        length_us: 1_000_000,
        users: [("ask".to_owned(), 10)].into(),
        series: vec![SeriesInterval { key, measured }],
        iterations: [("ask".to_owned(), iterations)].into(),
        generator: GeneratorHealth { in_flight, ..GeneratorHealth::default() },
    }
}

fn search(rules: FindLimit, p99_limit: Option<Duration>) -> (Search, Course) {
    let config = platform(
        "users: 1
think_time: { min: 0s, max: 0s }
scenarios:
  - name: ask
    service: rag
    flows: [{ name: ask, steps: [{ query: { question: why } }] }]
",
    );
    let workload = config.workloads.of(PhaseKind::Mixed).expect("there");
    let course = Course::new(workload, &config, Duration::from_secs(3600)).expect("no feeders");
    (Search::new(rules, workload, &course, p99_limit), course)
}

/// A search to its end, and how many seconds it took.
fn searched(
    rules: FindLimit,
    p99_limit: Option<Duration>,
    mut second: impl FnMut(f64) -> IntervalReport,
) -> (LimitReport, u64) {
    let (mut search, course) = search(rules, p99_limit);
    let mut rate = rules.start_rate;
    for at in 1..PATIENCE {
        match search.observe(&second(rate), &course) {
            Wanted::Same => {}
            Wanted::Rate(percent) => rate = f64::from(percent) * rules.start_rate / 100.0,
            Wanted::End => return (search.report().clone(), at),
        }
    }
    panic!("it never ends: {:?}", search.report());
}

/// How many of the searches state an interval that does not hold the truth.
fn untrue(kind: Kind) -> u64 {
    let mut untrue = 0;
    for seed in 0..SEARCHES {
        // Where the capacity lies among the rates that are tried must not matter.
        let capacity = kind.capacity * StdRng::seed_from_u64(seed).random_range(0.8..1.2);
        let mut queue = Queue::new(Kind { capacity, ..kind }, seed);
        let (report, seconds) = searched(FindLimit::default(), None, |rate| queue.second(rate));
        let (Some(good), Some(bad)) = (report.sustained, report.not_sustained) else {
            panic!("{kind:?}, seed {seed}: {report:?}");
        };
        untrue += u64::from(good > capacity || bad < capacity);
        let near = good > 0.6 * capacity && bad < 1.3 * capacity;
        assert!(near, "{kind:?}, seed {seed}: {good} to {bad} for {capacity}: {report:?}");
        assert!(seconds < 1800, "{kind:?}, seed {seed}: {seconds} s");
    }
    untrue
}

#[test]
fn the_interval_holds_the_capacity_in_nineteen_of_twenty_searches() {
    for (servers, capacity, exponential) in
        [(1, 95.0, false), (4, 60.0, false), (1, 20.0, false), (4, 60.0, true), (100, 50.0, true)]
    {
        let kind = Kind { servers, capacity, exponential };
        let untrue = untrue(kind);
        println!("{kind:?}: {untrue} of {SEARCHES} untrue");
        assert!(untrue * 20 <= SEARCHES, "{kind:?}: {untrue} of {SEARCHES}");
    }
}

#[test]
fn a_server_that_answers_in_its_time_whatever_comes_is_held_at_the_largest_rate() {
    let rules = FindLimit { max_rate: 40.0, ..FindLimit::default() };
    let kind = Kind { servers: 1, capacity: 1e6, exponential: false };
    let mut queue = Queue::new(kind, 1);
    let (report, _) = searched(rules, None, |rate| queue.second(rate));
    assert_eq!((report.held, report.not_sustained), (Some(40.0), None));
    let sustained = report.sustained.expect("held");
    assert!(sustained > 33.0 && sustained <= 40.0, "{report:?}");
    assert_eq!(report.steps.last().map(|step| step.aim), Some(LimitAim::Hold));
}

#[test]
fn a_failure_that_may_be_chance_is_looked_at_twice_and_a_plain_one_once() {
    for (p99_ms, aims) in [(2500, [LimitAim::Try, LimitAim::Again]), (9000, [LimitAim::Try; 2])] {
        let (report, _) = searched(FindLimit::default(), Some(Duration::from_secs(2)), |rate| {
            let mut measured = Measurements::default();
            let n = rate.round() as u64;
            measured.response.record_us(if rate > 20.0 { p99_ms * 1000 } else { 100_000 }, n);
            let iterations = Iterations { arrived: n, finished: n, ..Iterations::default() };
            interval(measured, iterations, 1)
        });
        let at = report.steps.iter().position(|step| step.why_not.is_some()).expect("not borne");
        let seen = [report.steps[at].aim, report.steps[at + 1].aim];
        assert_eq!(seen, aims, "{p99_ms} ms");
        assert!(report.held.is_some_and(|held| held <= 20.0), "{report:?}");
        assert!(report.words().contains("P99"), "{}", report.words());
    }
}

#[test]
fn what_fails_at_any_rate_sustains_none() {
    let (report, seconds) = searched(FindLimit::default(), None, |rate| {
        let n = rate.ceil() as u64;
        let mut measured = Measurements::default();
        measured.response.record_us(1000, n);
        measured.errors.insert(ErrorKind::ServerStatus, n);
        interval(measured, Iterations { arrived: n, finished: n, ..Iterations::default() }, 0)
    });
    assert_eq!((report.sustained, report.held, report.complete), (None, None, true));
    assert!(seconds < 600, "{seconds} s");
}

#[test]
fn a_generator_that_cannot_keep_up_ends_the_search() {
    let (report, _) = searched(FindLimit::default(), None, |rate| {
        let n = rate.ceil() as u64;
        let mut measured = Measurements::default();
        measured.response.record_us(1000, n);
        let iterations = Iterations { arrived: n, finished: n, ..Iterations::default() };
        let mut report = interval(measured, iterations, 1);
        report.generator.busiest_thread_percent = if rate > 30.0 { 99.0 } else { 10.0 };
        report
    });
    assert!(report.invalid.is_some() && !report.complete, "{report:?}");
}
