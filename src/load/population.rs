//! How many virtual users each scenario has at a moment of the plan clock.

use std::time::Duration;

use crate::config::{Stages, Workload};

/// Most users of one scenario, whatever an operator asks for.
const MAX_USERS: u32 = 100_000;

/// The course of users over a phase.
#[derive(Clone, Debug)]
pub struct Population {
    courses: Vec<Course>,
    spawn_rate: u32,
    length: Duration,
}

#[derive(Clone, Debug)]
enum Course {
    /// A constant number, reached at the spawn rate.
    Constant { users: u32, share: u32, shares: u32 },
    /// A ramp, with what operators added to it.
    Ramp { stages: Stages, offset: i64 },
}

impl Population {
    /// The course of a workload's scenarios, by their positions in `scenarios`, over a phase.
    pub fn new(workload: &Workload, scenarios: &[usize], length: Duration) -> Self {
        let of = |at: &usize| &workload.scenarios[*at];
        let weights: Vec<u32> = scenarios.iter().map(|at| of(at).weight).collect();
        let shares = split(workload.users.unwrap_or(0), &weights);
        let total: u32 = shares.iter().sum();
        let courses = scenarios.iter().zip(shares).map(|(at, share)| match &of(at).stages {
            Some(stages) => Course::Ramp { stages: stages.clone(), offset: 0 },
            None => Course::Constant { users: share, share, shares: total },
        });
        Self { courses: courses.collect(), spawn_rate: workload.spawn_rate, length }
    }

    /// Users by scenario at a time of the plan clock.
    pub fn at(&self, elapsed: Duration) -> Vec<u32> {
        let spawned = f64::from(self.spawn_rate) * elapsed.as_secs_f64() + 1.0;
        let users = |course: &Course| match course {
            Course::Constant { users, share, shares } => {
                let part = spawned * f64::from(*share) / f64::from((*shares).max(1));
                (*users).min(part.ceil() as u32)
            }
            Course::Ramp { stages, offset } => {
                clamp(i64::from(ramp(stages, elapsed, self.length)) + offset)
            }
        };
        self.courses.iter().map(users).collect()
    }

    /// Adds users to one scenario (by position), or to all of them in proportion; returns how many
    /// users are wanted altogether at this time.
    pub fn rescale(&mut self, scenario: Option<usize>, by: i32, elapsed: Duration) -> u32 {
        let now = self.at(elapsed);
        let wanted: Vec<usize> = scenario.map_or_else(|| (0..now.len()).collect(), |at| vec![at]);
        let weights: Vec<u32> = wanted.iter().map(|at| now[*at].max(1)).collect();
        let parts = split(by.unsigned_abs(), &weights);
        for (at, part) in wanted.into_iter().zip(parts) {
            let change = i64::from(part) * i64::from(by.signum());
            match &mut self.courses[at] {
                Course::Constant { users, .. } => *users = clamp(i64::from(*users) + change),
                Course::Ramp { offset, .. } => *offset += change,
            }
        }
        self.wanted(elapsed)
    }

    /// Users wanted altogether, those that are still being spawned included.
    pub fn wanted(&self, elapsed: Duration) -> u32 {
        let wanted = |(course, now): (&Course, u32)| match course {
            Course::Constant { users, .. } => *users,
            Course::Ramp { .. } => now,
        };
        self.courses.iter().zip(self.at(elapsed)).map(wanted).sum()
    }
}

fn clamp(users: i64) -> u32 {
    users.clamp(0, i64::from(MAX_USERS)) as u32
}

/// Linear interpolation from target to target; the stages are stretched to `length`.
fn ramp(stages: &Stages, elapsed: Duration, length: Duration) -> u32 {
    let total: f64 = stages.steps.iter().map(|stage| stage.duration.get().as_secs_f64()).sum();
    let mut at = elapsed.as_secs_f64() / length.as_secs_f64().max(f64::MIN_POSITIVE) * total;
    let mut from = f64::from(stages.start);
    for stage in &stages.steps {
        let (long, to) = (stage.duration.get().as_secs_f64(), f64::from(stage.target));
        if at < long {
            return (from + (to - from) * at / long).round() as u32;
        }
        at -= long;
        from = to;
    }
    from as u32
}

/// Splits a number by weights so that the parts add up to it (largest remainder).
pub fn split(total: u32, weights: &[u32]) -> Vec<u32> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &u32| u64::from(total) * u64::from(*weight);
    let mut parts: Vec<u32> = weights.iter().map(|weight| (exact(weight) / sum) as u32).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(exact(&weights[*at]) % sum));
    let missing = total - parts.iter().sum::<u32>();
    order.into_iter().take(missing as usize).for_each(|at| parts[at] += 1);
    parts
}

/// The part of a number that one of `threads` threads takes, so that the parts add up to it.
pub const fn stripe(total: u32, thread: u32, threads: u32) -> u32 {
    total / threads + (thread < total % threads) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Stage, TimeSpan};
    use proptest::prelude::*;

    fn shipped(kind: crate::config::PhaseKind, length: u64) -> Population {
        let config = crate::sandbox::config(&crate::sandbox::Endpoints::placeholder());
        let loaded = crate::config::apply_overrides(config, &Default::default()).expect("valid");
        let workload = loaded.config.workloads.of(kind).expect("shipped").clone();
        Population::new(&workload, &[0, 1, 2], Duration::from_secs(length))
    }

    #[test]
    fn the_mixed_workload_is_50_30_20() {
        let population = shipped(crate::config::PhaseKind::Mixed, 60);
        assert_eq!(population.at(Duration::from_secs(30)), [25, 15, 10]);
        let early: u32 = population.at(Duration::from_secs(1)).iter().sum();
        assert!((10..=14).contains(&early), "{early} users after a second at 10 a second");
    }

    #[test]
    fn the_ramping_workload_follows_its_lines() {
        let population = shipped(crate::config::PhaseKind::Ramping, 100);
        let at = |secs| population.at(Duration::from_secs(secs));
        assert_eq!(at(0), [20, 15, 10]);
        assert_eq!(at(35), [30, 23, 15]);
        assert_eq!(at(60), [40, 30, 20]);
        assert_eq!(at(100), [0, 0, 0]);
    }

    #[test]
    fn operators_add_in_proportion_and_never_below_nothing() {
        let mut population = shipped(crate::config::PhaseKind::Mixed, 60);
        let late = Duration::from_secs(30);
        assert_eq!(population.rescale(None, 50, late), 100);
        assert_eq!(population.at(late), [50, 30, 20]);
        assert_eq!(population.rescale(Some(2), -500, late), 80);
        assert_eq!(population.at(late), [50, 30, 0]);
    }

    #[test]
    fn a_stage_of_no_length_is_a_jump() {
        let jump = |duration, target| Stage { duration: TimeSpan::secs(duration), target };
        let stages = Stages { start: 1, steps: vec![jump(0, 9), jump(10, 9)] };
        assert_eq!(ramp(&stages, Duration::ZERO, Duration::from_secs(10)), 9);
    }

    proptest! {
        #[test]
        fn parts_add_up(total in 0u32..100_000, weights in prop::collection::vec(0u32..1000, 1..8)) {
            let parts = split(total, &weights);
            let expected = if weights.iter().all(|weight| *weight == 0) { 0 } else { total };
            prop_assert_eq!(parts.iter().sum::<u32>(), expected);
        }

        #[test]
        fn stripes_add_up(total in 0u32..100_000, threads in 1u32..64) {
            prop_assert_eq!((0..threads).map(|k| stripe(total, k, threads)).sum::<u32>(), total);
        }
    }
}
