//! Pauses of virtual users.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::timespan::TimeSpan;

/// How pauses are spread. Values outside of `min` and `max` are moved to the nearer of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThinkDistribution {
    /// Evenly between `min` and `max`.
    #[default]
    Uniform,
    /// Around `mean` with `deviation`.
    Normal,
    /// Exponentially around `mean`: many short pauses and a few long ones.
    Exponential,
    /// Log-normally with this `mean` and `deviation`: as people read.
    Lognormal,
}

/// A pause: bounds, and how it is spread between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThinkTime {
    /// Shortest pause.
    pub min: TimeSpan,
    /// Longest pause.
    pub max: TimeSpan,
    /// How pauses are spread between them.
    #[serde(default, skip_serializing_if = "is_uniform")]
    pub distribution: ThinkDistribution,
    /// Mean before the bounds, for all but `uniform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<TimeSpan>,
    /// Standard deviation, for `normal` and `lognormal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<TimeSpan>,
}

fn is_uniform(distribution: &ThinkDistribution) -> bool {
    *distribution == ThinkDistribution::Uniform
}

impl ThinkTime {
    /// No pause at all.
    pub const NONE: Self = Self {
        min: TimeSpan::millis(0),
        max: TimeSpan::millis(0),
        distribution: ThinkDistribution::Uniform,
        mean: None,
        deviation: None,
    };

    /// What contradicts itself in it.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        use ThinkDistribution::{Exponential, Lognormal, Normal, Uniform};
        let positive = |span: Option<TimeSpan>| span.is_some_and(|span| !span.get().is_zero());
        match self.distribution {
            _ if self.min > self.max => Some("expected min not to be above max"),
            Uniform if self.mean.is_some() || self.deviation.is_some() => {
                Some("`mean` and `deviation` need a `distribution` that is not uniform")
            }
            Exponential if self.deviation.is_some() => Some("exponential has no `deviation`"),
            Exponential | Normal | Lognormal if !positive(self.mean) => {
                Some("expected a `mean` above 0s")
            }
            Normal | Lognormal if !positive(self.deviation) => {
                Some("expected a `deviation` above 0s")
            }
            _ => None,
        }
    }
}
