//! How the load of a scenario is modelled: k6's executors under k6's names, and which keys each has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::timespan::TimeSpan;
use super::workload::Scenario;

/// A model of load, with the meaning that k6 gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutorKind {
    /// Closed: `vus` users for `duration`.
    ConstantVus,
    /// Closed: users follow straight lines from `startVUs` through `stages`.
    RampingVus,
    /// Open: `rate` iterations begin every `timeUnit`, whatever the answers take.
    ConstantArrivalRate,
    /// Open: the rate follows straight lines from `startRate` through `stages`.
    RampingArrivalRate,
    /// `iterations` altogether, taken by whichever of `vus` users is free.
    SharedIterations,
    /// `iterations` for each of `vus` users.
    PerVuIterations,
}

/// How arrivals are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Evenly, as k6 does.
    #[default]
    Constant,
    /// As independent users arrive: a Poisson process of the same rate.
    Poisson,
}

/// One line of a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Length of the line; 0s is a jump.
    pub duration: TimeSpan,
    /// Users (or iterations per `timeUnit`) at its end.
    pub target: u32,
}

impl ExecutorKind {
    /// The name used in configuration, screens and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConstantVus => "constant-vus",
            Self::RampingVus => "ramping-vus",
            Self::ConstantArrivalRate => "constant-arrival-rate",
            Self::RampingArrivalRate => "ramping-arrival-rate",
            Self::SharedIterations => "shared-iterations",
            Self::PerVuIterations => "per-vu-iterations",
        }
    }

    /// Whether iterations begin by the clock rather than when a user is free.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::ConstantArrivalRate | Self::RampingArrivalRate)
    }

    /// Keys that it needs, and those that it may have besides.
    const fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::ConstantVus => (&["vus"], &["duration"]),
            Self::RampingVus => (&["stages"], &["startVUs", "gracefulRampDown"]),
            Self::ConstantArrivalRate => {
                (&["rate", "preAllocatedVUs"], &["timeUnit", "duration", "maxVUs", "arrivals"])
            }
            Self::RampingArrivalRate => {
                (&["stages", "preAllocatedVUs"], &["startRate", "timeUnit", "maxVUs", "arrivals"])
            }
            Self::SharedIterations | Self::PerVuIterations => {
                (&["iterations"], &["vus", "maxDuration"])
            }
        }
    }
}

/// Everything that is wrong with a scenario's model of load: the key, and why.
pub(super) fn contradictions(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    let (needed, allowed) = scenario.executor.map_or((&[][..], &[][..]), ExecutorKind::keys);
    for (key, given) in given(scenario) {
        if given && !needed.contains(&key) && !allowed.contains(&key) {
            wrong.push((key, foreign(scenario.executor, key)));
        }
        if !given && needed.contains(&key) {
            let name = scenario.executor.map_or("", ExecutorKind::name);
            wrong.push(("executor", format!("{name} needs `{key}`")));
        }
    }
    let mut check = |holds: bool, key, why: &str| {
        if !holds {
            wrong.push((key, why.to_owned()));
        }
    };
    check(scenario.vus != Some(0), "vus", "expected at least 1");
    check(scenario.iterations != Some(0), "iterations", "expected at least 1");
    let rate = |rate: Option<f64>| rate.is_none_or(|rate| rate.is_finite() && rate >= 0.0);
    check(rate(scenario.rate) && scenario.rate != Some(0.0), "rate", "expected a number above 0");
    check(rate(scenario.start_rate), "startRate", "expected a number that is not below 0");
    let unit = scenario.time_unit.is_none_or(|unit| !unit.get().is_zero());
    check(unit, "timeUnit", "expected more than 0s");
    let (few, most) = (scenario.pre_allocated_vus, scenario.max_vus);
    let most_holds = most.is_none_or(|most| most > 0 && few.is_none_or(|few| few <= most));
    check(most_holds, "maxVUs", "expected at least 1 and not less than preAllocatedVUs");
    let stages = scenario
        .stages
        .as_ref()
        .is_none_or(|stages| stages.iter().any(|stage| !stage.duration.get().is_zero()));
    check(stages, "stages", "expected stages that last longer than 0s together");
    let open = scenario.executor.is_some_and(ExecutorKind::is_open);
    let why = "iterations of an open model begin by the clock: they have no pacing";
    check(!(open && scenario.pacing.is_some()), "pacing", why);
    wrong
}

fn given(scenario: &Scenario) -> [(&'static str, bool); 13] {
    [
        ("vus", scenario.vus.is_some()),
        ("duration", scenario.duration.is_some()),
        ("startVUs", scenario.start_vus.is_some()),
        ("stages", scenario.stages.is_some()),
        ("gracefulRampDown", scenario.graceful_ramp_down.is_some()),
        ("rate", scenario.rate.is_some()),
        ("timeUnit", scenario.time_unit.is_some()),
        ("startRate", scenario.start_rate.is_some()),
        ("preAllocatedVUs", scenario.pre_allocated_vus.is_some()),
        ("maxVUs", scenario.max_vus.is_some()),
        ("arrivals", scenario.arrivals.is_some()),
        ("iterations", scenario.iterations.is_some()),
        ("maxDuration", scenario.max_duration.is_some()),
    ]
}

fn foreign(executor: Option<ExecutorKind>, key: &str) -> String {
    let Some(executor) = executor else {
        return format!("`{key}` needs an `executor` beside it, such as ramping-vus");
    };
    let (needed, allowed) = executor.keys();
    let keys: Vec<&str> = needed.iter().chain(allowed).copied().collect();
    format!("{} has no `{key}`: it has {}", executor.name(), keys.join(", "))
}
