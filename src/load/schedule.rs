//! When a scenario works, and by which model: the keys of its executor, made ready for a phase.

use std::time::Duration;

use super::curve::Curve;
use crate::config::{Arrivals, Durations, ExecutorKind, Scenario, TimeSpan, Workload};

/// Length of iteration executors without `maxDuration`, as in k6.
const MAX_DURATION: Duration = Duration::from_secs(600);

/// A scenario's model of load, made ready.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// When it begins, on the plan clock.
    pub start: Duration,
    /// When it ends; with the phase when none.
    pub end: Option<Duration>,
    /// How long flows that have begun may take to end then.
    pub graceful_stop: Duration,
    /// The same for users that ramp down.
    pub graceful_ramp_down: Duration,
    /// The model.
    pub model: Model,
}

/// A model of load.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// A share of the workload's users.
    Share {
        /// Its weight among those that share.
        weight: u32,
    },
    /// Users over time.
    Users(Curve),
    /// Arrivals over time, per second.
    Arrivals {
        /// The rate.
        rate: Curve,
        /// How they are spread.
        spread: Arrivals,
        /// Users that are there from the start.
        users: u32,
        /// Most users.
        max_users: u32,
    },
    /// A number of iterations.
    Iterations {
        /// Users that take them.
        users: u32,
        /// How many: altogether, or each user.
        count: u64,
        /// Whether all users share them.
        shared: bool,
    },
}

impl Schedule {
    /// A scenario's schedule in a phase of this length.
    pub fn new(scenario: &Scenario, workload: &Workload, phase: Duration) -> Self {
        let stretch = stretch(workload, phase);
        let span = |span: Option<TimeSpan>| span.unwrap_or_default().get();
        let stretched = |length: Duration| length.mul_f64(stretch);
        let start = stretched(span(scenario.start_time));
        let rest = phase.saturating_sub(start);
        let length = scenario.duration.map_or(rest, |length| stretched(length.get()));
        let model = model(scenario, length, stretch);
        let end = match &model {
            Model::Share { .. } => None,
            Model::Users(curve) | Model::Arrivals { rate: curve, .. } => {
                Some(start + curve.length())
            }
            Model::Iterations { .. } => {
                Some(start + scenario.max_duration.map_or(MAX_DURATION, TimeSpan::get))
            }
        };
        let graceful_stop = scenario.graceful_stop.unwrap_or(workload.graceful_stop).get();
        Self {
            start,
            end,
            graceful_stop,
            graceful_ramp_down: scenario.graceful_ramp_down.map_or(graceful_stop, TimeSpan::get),
            model,
        }
    }

    /// Whether it works at a time of the plan clock.
    pub fn works_at(&self, elapsed: Duration) -> bool {
        elapsed >= self.start && !self.is_over(elapsed)
    }

    /// Whether it is over at a time of the plan clock.
    pub fn is_over(&self, elapsed: Duration) -> bool {
        self.end.is_some_and(|end| elapsed >= end)
    }

    /// What it is, in a few words.
    pub fn describe(&self, scenario: &Scenario) -> String {
        let executor = scenario.executor.map_or("users by weight", ExecutorKind::name);
        let after = if self.start.is_zero() {
            String::new()
        } else {
            format!(" after {}", TimeSpan(self.start))
        };
        match &self.model {
            Model::Share { weight } => format!("{executor}, weight {weight}{after}"),
            Model::Users(curve) => format!("{executor}, {}{after}", range(curve, "users")),
            Model::Arrivals { rate, spread, users, max_users } => {
                let poisson = if *spread == Arrivals::Poisson { ", Poisson" } else { "" };
                let rate = range(rate, "/s");
                format!("{executor}, {rate}{poisson}, {users} to {max_users} users{after}")
            }
            Model::Iterations { users, count, .. } => {
                format!("{executor}, {count} by {users} users{after}")
            }
        }
    }
}

/// A curve with more corners than this is told by its ends and its highest value.
const MOST_CORNERS: usize = 6;

fn range(curve: &Curve, unit: &str) -> String {
    let number =
        |value: f64| format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned();
    let corners = curve.corners();
    let [first, .., last] = corners.as_slice() else {
        return number(corners.first().copied().unwrap_or(0.0)) + " " + unit;
    };
    if corners.len() > MOST_CORNERS {
        let highest = number(curve.highest());
        return format!("{} to {} {unit}, at most {highest}", number(*first), number(*last));
    }
    let corners: Vec<String> = corners.into_iter().map(number).collect();
    format!("{} {unit}", corners.join(" to "))
}

/// By how much lengths are stretched so that the longest scenario fills the phase.
pub fn stretch(workload: &Workload, phase: Duration) -> f64 {
    let longest = workload.scenarios.iter().filter_map(Scenario::stated_length).max();
    match (workload.durations, longest) {
        (Durations::Stretched, Some(longest)) if !longest.is_zero() => {
            phase.as_secs_f64() / longest.as_secs_f64()
        }
        _ => 1.0,
    }
}

fn model(scenario: &Scenario, length: Duration, stretch: f64) -> Model {
    let stages = scenario.stages.as_deref().unwrap_or_default();
    let unit = scenario.time_unit.map_or(1.0, |unit| unit.get().as_secs_f64());
    let users = scenario.pre_allocated_vus.unwrap_or(1);
    let arrivals = |rate| Model::Arrivals {
        rate,
        spread: scenario.arrivals.unwrap_or_default(),
        users,
        max_users: scenario.max_vus.unwrap_or(users).max(1),
    };
    let iterations = |shared| Model::Iterations {
        users: scenario.vus.unwrap_or(1),
        count: scenario.iterations.unwrap_or(1),
        shared,
    };
    match scenario.executor {
        None => Model::Share { weight: scenario.weight },
        Some(ExecutorKind::ConstantVus) => {
            Model::Users(Curve::constant(f64::from(scenario.vus.unwrap_or(1)), length))
        }
        Some(ExecutorKind::RampingVus) => {
            let start = f64::from(scenario.start_vus.unwrap_or(1));
            Model::Users(Curve::of_stages(start, stages, 1.0, stretch))
        }
        Some(ExecutorKind::ConstantArrivalRate) => {
            arrivals(Curve::constant(scenario.rate.unwrap_or(1.0) / unit, length))
        }
        Some(ExecutorKind::RampingArrivalRate) => {
            let start = scenario.start_rate.unwrap_or(0.0);
            arrivals(Curve::of_stages(start, stages, unit, stretch))
        }
        Some(ExecutorKind::SharedIterations) => iterations(true),
        Some(ExecutorKind::PerVuIterations) => iterations(false),
    }
}
