//! Verdicts and outcomes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::PhaseKind;

/// How something ended. The words stand on screens and in reports as they are.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything that was asked for holds.
    Pass,
    /// Left out on purpose, or because something that it needs is missing.
    Skipped,
    /// The measurement does not decide.
    Inconclusive,
    /// The measurement cannot be trusted.
    Invalid,
    /// Something that was asked for does not hold.
    Fail,
    /// Ended by an operator, a signal or a crash before its time.
    Aborted,
}

impl Verdict {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skipped => "skipped",
            Self::Inconclusive => "inconclusive",
            Self::Invalid => "invalid",
            Self::Fail => "fail",
            Self::Aborted => "aborted",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How a phase ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseOutcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// For a skipped phase: whether an operator asked for it. A phase that was skipped because
    /// something is missing makes the run inconclusive.
    #[serde(default)]
    pub by_request: bool,
}

impl PhaseOutcome {
    /// An outcome that nobody asked to skip.
    pub fn new(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { verdict, reason: reason.into(), by_request: false }
    }

    /// Whether something that it needs was missing.
    pub fn could_not_run(&self) -> bool {
        self.verdict == Verdict::Skipped && !self.by_request
    }

    /// A phase that an operator left out.
    pub fn skipped_by_request(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, reason: reason.into(), by_request: true }
    }
}

/// One objective, measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Stable id, such as `availability`.
    pub id: String,
    /// What is asked for, in words, such as `>= 99.5 %`.
    pub objective: String,
    /// What was measured, in words; `-` without data.
    pub measured: String,
    /// Samples behind the measurement.
    pub n: u64,
    /// Samples that count against it.
    #[serde(default)]
    pub bad: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is neither pass nor fail; empty otherwise.
    #[serde(default)]
    pub reason: String,
    /// The bounds behind the verdict, in words; empty where there are none.
    #[serde(default)]
    pub bound: String,
    /// How it was computed, for the explain key.
    pub method: String,
    /// Whether a run can only pass when it is met.
    #[serde(default = "yes")]
    pub gate: bool,
    /// What is left of its error budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What the platform's own monitoring says about its whole window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_window: Option<WholeWindow>,
}

/// An objective over its whole window, by the platform's own monitoring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WholeWindow {
    /// The window, such as `30d`.
    pub window: String,
    /// Whether it is met; inconclusive when too little was scraped, or the buckets cannot say.
    pub verdict: Verdict,
    /// Why it is inconclusive, or what was found.
    pub reason: String,
    /// Events in the window.
    pub total: Option<f64>,
    /// Share of bad ones, 0-1: the least and the most that the data allow.
    pub bad_share: Option<(f64, f64)>,
    /// Share of the window that was scraped, in percent.
    pub coverage_percent: Option<f64>,
    /// What is left of the budget, in percent; below 0 when it is overspent.
    pub budget_left_percent: Option<f64>,
    /// Burn rate over the last hour.
    pub burn_rate: Option<f64>,
    /// When the rest of the budget is gone at that rate, seconds; none while nothing burns.
    pub exhausted_after_seconds: Option<f64>,
}

const fn yes() -> bool {
    true
}

/// An error budget as a run leaves it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// How long everything may be down in the window, seconds.
    pub allowed_seconds: f64,
    /// Share of bad requests over the allowed share, over the whole run.
    pub burn_rate: f64,
    /// What the run's load phases themselves cost of the window's budget, in percent.
    pub run_cost_percent: f64,
    /// What the faults of the chaos phase cost besides, in percent; none without that phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chaos_cost_percent: Option<f64>,
    /// What all other phases and the time between them cost besides, by the health checks, in percent;
    /// none where nothing was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_cost_percent: Option<f64>,
    /// How long a full budget lasts at this rate, seconds; none while nothing burns.
    pub exhausted_after_seconds: Option<f64>,
    /// The burn alerts on what the run measured.
    pub alerts: Vec<BurnRate>,
}

impl Budget {
    /// What the whole run cost of the window's budget, in percent.
    pub fn whole_cost_percent(&self) -> f64 {
        let besides = [self.chaos_cost_percent, self.rest_cost_percent];
        self.run_cost_percent + besides.into_iter().flatten().sum::<f64>()
    }
}

/// A burn alert on what a run measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BurnRate {
    /// Whether it wakes somebody.
    pub page: bool,
    /// Its long window.
    pub long: String,
    /// Its short window.
    pub short: String,
    /// The rate above which it fires.
    pub factor: f64,
    /// The rate over the long window; none when less than half of it was measured.
    pub long_burn: Option<f64>,
    /// The rate over the short window.
    pub short_burn: Option<f64>,
    /// Whether it fires.
    pub fires: bool,
}

impl BurnRate {
    /// Whether what was measured says that it does not fire: both windows were measured, or one of them
    /// is not above the rate. Neither this nor [`Self::fires`]: not decided.
    pub fn is_quiet(&self) -> bool {
        let burns = [self.long_burn, self.short_burn];
        let below = burns.iter().flatten().any(|burn| *burn <= self.factor);
        !self.fires && (below || burns.iter().all(Option::is_some))
    }
}

/// How the run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunVerdict {
    /// The worst verdict of the planned phases.
    pub verdict: Verdict,
    /// What decided it, one sentence each.
    pub reasons: Vec<String>,
    /// Phases left out by request; they are named with the verdict.
    pub without: Vec<PhaseKind>,
}

impl fmt::Display for RunVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict.word())?;
        if !self.without.is_empty() {
            let names: Vec<&str> = self.without.iter().map(|phase| phase.name()).collect();
            write!(f, " (without {})", names.join(", "))?;
        }
        Ok(())
    }
}
