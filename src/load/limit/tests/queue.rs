//! A queue whose capacity is known, second by second.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Exp1};

use crate::config::ServiceKind;
use crate::run::event::{
    GeneratorHealth, IntervalReport, Iterations, Measurements, SeriesInterval, SeriesKey,
};

/// What serves: so many at a time, in the order in which they came, each as long, or exponentially.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub servers: usize,
    /// Flows per second.
    pub capacity: f64,
    pub exponential: bool,
}

/// A queue, in nanoseconds.
pub struct Queue {
    kind: Kind,
    random: StdRng,
    now: u64,
    /// When each server is free, the soonest first.
    free: BinaryHeap<Reverse<u64>>,
    /// When answers come, and how long they took.
    pending: BinaryHeap<Reverse<(u64, u64)>>,
    max_users: usize,
}

const SECOND: u64 = 1_000_000_000;

impl Queue {
    pub fn new(kind: Kind, seed: u64) -> Self {
        Self {
            kind,
            random: StdRng::seed_from_u64(seed),
            now: 0,
            free: (0..kind.servers).map(|_| Reverse(0)).collect(),
            pending: BinaryHeap::new(),
            max_users: 2000,
        }
    }

    fn draw(&mut self, mean: f64) -> u64 {
        let drawn: f64 = Exp1.sample(&mut self.random);
        (drawn * mean * SECOND as f64) as u64
    }

    /// A second of Poisson arrivals at this rate.
    pub fn second(&mut self, rate: f64) -> IntervalReport {
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
            self.free.push(Reverse(done));
            self.pending.push(Reverse((done, done - at)));
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

/// A second in which this was measured.
pub fn interval(measured: Measurements, iterations: Iterations, in_flight: u32) -> IntervalReport {
    let key = SeriesKey { service: ServiceKind::Rag, scenario: "ask".into(), step: "query".into() };
    IntervalReport {
        length_us: 1_000_000,
        users: [("ask".to_owned(), 10)].into(),
        series: vec![SeriesInterval { key, measured }],
        iterations: [("ask".to_owned(), iterations)].into(),
        generator: GeneratorHealth { in_flight, ..GeneratorHealth::default() },
    }
}
