//! How many virtual users each scenario has at a moment of the plan clock.

use std::time::Duration;

use super::curve::Curve;
use super::schedule::{Model, Schedule};

/// Most users of one scenario, whatever an operator asks for.
const MAX_USERS: u32 = 100_000;

/// The course of users over a phase.
#[derive(Clone, Debug)]
pub struct Population {
    courses: Vec<(Schedule, Course)>,
    spawn_rate: u32,
}

#[derive(Clone, Debug)]
enum Course {
    /// A constant number, reached at the spawn rate.
    Share { users: u32, share: u32, shares: u32 },
    /// A ramp, with what operators added to it.
    Ramp { curve: Curve, offset: i64 },
    /// A number that the model gives; an open one has further users as it needs them.
    Given { users: u32, open: bool },
}

impl Population {
    /// The course of scenarios by their schedules; `users` are shared among those that share.
    pub fn new(schedules: &[Schedule], users: u32, spawn_rate: u32) -> Self {
        let weight = |schedule: &Schedule| match schedule.model {
            Model::Share { weight } => weight,
            _ => 0,
        };
        let weights: Vec<u32> = schedules.iter().map(weight).collect();
        let parts = split(users, &weights);
        let shares: u32 = parts.iter().sum();
        let courses = schedules.iter().zip(parts).map(|(schedule, share)| {
            let course = match &schedule.model {
                Model::Share { .. } => Course::Share { users: share, share, shares },
                Model::Users(curve) => Course::Ramp { curve: curve.clone(), offset: 0 },
                Model::Arrivals { users, .. } => Course::Given { users: *users, open: true },
                Model::Iterations { users, .. } => Course::Given { users: *users, open: false },
            };
            (schedule.clone(), course)
        });
        Self { courses: courses.collect(), spawn_rate }
    }

    /// Users by scenario at a time of the plan clock.
    pub fn at(&self, elapsed: Duration) -> Vec<u32> {
        let users = |(schedule, course): &(Schedule, Course)| {
            if !schedule.works_at(elapsed) {
                return 0;
            }
            let since = elapsed.saturating_sub(schedule.start);
            match course {
                Course::Share { users, share, shares } => {
                    let spawned = f64::from(self.spawn_rate) * since.as_secs_f64() + 1.0;
                    let part = spawned * f64::from(*share) / f64::from((*shares).max(1));
                    (*users).min(part.ceil() as u32)
                }
                Course::Ramp { curve, offset } => clamp(curve.value(since).round() as i64 + offset),
                Course::Given { users, .. } => *users,
            }
        };
        self.courses.iter().map(users).collect()
    }

    /// When the next scenario begins or ends.
    pub fn next_change(&self, elapsed: Duration) -> Option<Duration> {
        let moments = |(schedule, _): &(Schedule, Course)| [Some(schedule.start), schedule.end];
        self.courses.iter().flat_map(moments).flatten().filter(|at| *at > elapsed).min()
    }

    /// Most users that there can be at a time, as planned.
    pub fn most(&self) -> u64 {
        let most = |(schedule, course): &(Schedule, Course)| match (course, &schedule.model) {
            (_, Model::Arrivals { max_users, .. }) => u64::from(*max_users),
            (Course::Share { users, .. } | Course::Given { users, .. }, _) => u64::from(*users),
            (Course::Ramp { curve, .. }, _) => u64::from(clamp(curve.highest().ceil() as i64)),
        };
        self.courses.iter().map(most).sum()
    }

    /// Adds users to one scenario (by position), or to all of them in proportion; returns how many
    /// users are wanted altogether at this time, or none where nothing can be changed now. Open models have
    /// as many as their rate needs.
    pub fn rescale(&mut self, scenario: Option<usize>, by: i32, elapsed: Duration) -> Option<u32> {
        let now = self.at(elapsed);
        let adjustable = |at: &usize| {
            let (schedule, course) = &self.courses[*at];
            !matches!(course, Course::Given { .. }) && schedule.works_at(elapsed)
        };
        let wanted: Vec<usize> = scenario.map_or_else(|| (0..now.len()).collect(), |at| vec![at]);
        let wanted: Vec<usize> = wanted.into_iter().filter(adjustable).collect();
        if wanted.is_empty() {
            return None;
        }
        let weights: Vec<u32> = wanted.iter().map(|at| now[*at].max(1)).collect();
        let parts = split(by.unsigned_abs(), &weights);
        for (at, part) in wanted.into_iter().zip(parts) {
            let change = i64::from(part) * i64::from(by.signum());
            let (schedule, course) = &mut self.courses[at];
            match course {
                Course::Share { users, .. } => *users = clamp(i64::from(*users) + change),
                Course::Ramp { curve, offset } => {
                    let planned =
                        curve.value(elapsed.saturating_sub(schedule.start)).round() as i64;
                    // Below nothing there is nothing that would have to be made up for.
                    *offset = (*offset + change).max(-planned);
                }
                Course::Given { .. } => {}
            }
        }
        Some(self.wanted(elapsed))
    }

    /// Users wanted altogether, those that are still being spawned included.
    pub fn wanted(&self, elapsed: Duration) -> u32 {
        let wanted = |((_, course), now): (&(Schedule, Course), u32)| match course {
            Course::Share { users, .. } => *users,
            Course::Ramp { .. } => now,
            Course::Given { open, .. } => {
                if *open {
                    0
                } else {
                    now
                }
            }
        };
        self.courses.iter().zip(self.at(elapsed)).map(wanted).sum()
    }
}

fn clamp(users: i64) -> u32 {
    users.clamp(0, i64::from(MAX_USERS)) as u32
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
    use proptest::prelude::*;

    fn shipped(kind: crate::config::PhaseKind, length: u64) -> Population {
        let config = crate::sandbox::config(&crate::sandbox::Endpoints::placeholder());
        let loaded = crate::config::apply_overrides(config, &Default::default()).expect("valid");
        let workload = loaded.config.workloads.of(kind).expect("shipped");
        let length = Duration::from_secs(length);
        let schedule = |scenario| Schedule::new(scenario, workload, length);
        let schedules: Vec<Schedule> = workload.scenarios.iter().map(schedule).collect();
        Population::new(&schedules, workload.users.unwrap_or(0), workload.spawn_rate)
    }

    #[test]
    fn the_mixed_workload_is_50_30_20() {
        let population = shipped(crate::config::PhaseKind::Mixed, 60);
        assert_eq!(population.most(), 50);
        assert_eq!(population.at(Duration::from_secs(30)), [25, 15, 10]);
        let early: u32 = population.at(Duration::from_secs(1)).iter().sum();
        assert!((10..=14).contains(&early), "{early} users after a second at 10 a second");
    }

    #[test]
    fn the_ramping_workload_follows_its_lines() {
        let population = shipped(crate::config::PhaseKind::Ramping, 100);
        let at = |secs| population.at(Duration::from_secs(secs));
        assert_eq!(population.most(), 40 + 30 + 20);
        assert_eq!(at(0), [20, 15, 10]);
        assert_eq!(at(35), [30, 23, 15]);
        assert_eq!(at(60), [40, 30, 20]);
        assert_eq!(at(100), [0, 0, 0]);
        let next = |secs| population.next_change(Duration::from_secs(secs));
        assert_eq!([next(0), next(99)], [Some(Duration::from_secs(100)); 2]);
        assert_eq!(next(100), None);
    }

    #[test]
    fn operators_add_in_proportion_and_never_below_nothing() {
        let mut population = shipped(crate::config::PhaseKind::Mixed, 60);
        let late = Duration::from_secs(30);
        assert_eq!(population.rescale(None, 50, late), Some(100));
        assert_eq!(population.at(late), [50, 30, 20]);
        assert_eq!(population.rescale(Some(2), -500, late), Some(80));
        assert_eq!(population.at(late), [50, 30, 0]);
        let mut ramps = shipped(crate::config::PhaseKind::Ramping, 100);
        assert_eq!(ramps.rescale(None, -500, late), Some(0));
        assert_eq!(ramps.rescale(None, 10, late), Some(10), "what was below nothing is forgotten");
        let over = Duration::from_secs(101);
        assert_eq!(ramps.rescale(None, 10, over), None, "nobody is there any more");
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
