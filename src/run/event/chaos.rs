//! What happens in the chaos phase.

use serde::{Deserialize, Serialize};

use super::Verdict;
use super::recovery::{Lives, MomentKind, MomentSource, Timeline};
use crate::config::{ExperimentKind, ServiceKind};

/// What happens in the chaos phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "chaos", rename_all = "snake_case")]
pub enum ChaosEvent {
    /// First event: what may be broken and what may not.
    Started(ChaosStart),
    /// An experiment begins by measuring the platform.
    ExperimentStarted {
        /// Its number, from 1.
        number: u32,
        /// Which kind.
        kind: ExperimentKind,
        /// What it does, in words.
        title: String,
        /// Names of the targets.
        targets: Vec<String>,
    },
    /// The undo is on disk, and the fault is about to be injected.
    Injecting {
        /// The fault, in words.
        fault: String,
        /// What abort would do, in words.
        undo: String,
        /// What the kernel is going to do about it, where that was predicted; in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<String>,
        /// How long the fault lasts by itself, microseconds; 0 for one that is over at once.
        lasts_us: u64,
    },
    /// The fault is there.
    Injected {},
    /// Whether the fault really has its effect.
    Effect {
        /// Whether it has; unknown faults prove nothing.
        effective: bool,
        /// The evidence, in words.
        evidence: String,
    },
    /// The effect as it is measured on, about once a second while the fault lasts.
    EffectNow {
        /// Whether it is there.
        effective: bool,
        /// The evidence, in words.
        evidence: String,
    },
    /// Something happened to a target.
    Moment {
        /// Name of the target.
        target: String,
        /// What.
        kind: MomentKind,
        /// When, microseconds since the run was created.
        at_us: u64,
        /// What it is known from; none in a journal from before that was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<MomentSource>,
    },
    /// The runtime does not do what it is asked while something is broken, or does so again.
    #[serde(rename = "unanswered")]
    RuntimeTrouble {
        /// What came instead, in words: its error, or that it does not answer; none when it is over.
        why: Option<String>,
    },
    /// A target is left alone from now on.
    Excluded {
        /// Name of the target.
        target: String,
        /// Why, in words.
        why: String,
    },
    /// The fault is being undone.
    Healing {
        /// Why: its time is over, or somebody asked.
        reason: String,
    },
    /// The fault is undone.
    Healed {
        /// How long it took, microseconds.
        took_us: u64,
        /// What is still there, in words; empty when nothing is.
        residue: Vec<String>,
    },
    /// A second of probes.
    Probed {
        /// One row a probe.
        probes: Vec<ProbeSecond>,
    },
    /// How every service has fared in a stage of an experiment so far.
    Measured {
        /// The stage.
        stage: Stage,
        /// One row a service.
        figures: Vec<SteadyFigures>,
    },
    /// A protected target is not as it was.
    ProtectedDisturbed {
        /// What changed, in words.
        what: String,
    },
    /// An experiment is over.
    ExperimentFinished(Box<ExperimentResult>),
    /// The score of the phase.
    Scored(ChaosScore),
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

impl ChaosEvent {
    /// The words for the timeline, if it belongs there.
    pub fn mark(&self) -> Option<String> {
        match self {
            Self::Injecting { fault, .. } => Some(fault.clone()),
            Self::Healed { .. } => Some("healed".into()),
            Self::ProtectedDisturbed { what } => Some(format!("disturbed: {what}")),
            _ => None,
        }
    }
}

/// What may be broken and what may not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChaosStart {
    /// The runtime that acts.
    pub runtime: String,
    /// The run's seed, which decides the choice of targets: `--seed` takes it to make the choice again.
    pub seed: u64,
    /// Names of the targets.
    pub targets: Vec<String>,
    /// What is not touched, and why.
    pub excluded: Vec<(String, String)>,
    /// How many experiments are planned.
    pub experiments: u32,
}

/// A second of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSecond {
    /// The service that was asked.
    pub service: ServiceKind,
    /// `health`, or the request that was asked for.
    pub probe: String,
    /// Answered well.
    pub ok: u32,
    /// Not answered, or with a failure.
    pub failed: u32,
    /// Answered well, but without a peer.
    pub degraded: u32,
    /// The slowest answer, microseconds.
    pub slowest_us: u64,
}

/// The stages of an experiment in which the platform is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before anything is broken.
    Before,
    /// From the injection until every target is stable again, or given up.
    During,
    /// Afterwards.
    After,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        }
    }
}

/// How a service fared over a stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SteadyFigures {
    /// The service.
    pub service: ServiceKind,
    /// Probes.
    pub n: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were answered without a peer.
    pub degraded: u64,
    /// 95th percentile in microseconds from the intended start, of answers and failures alike.
    pub p95_us: Option<u64>,
}

impl SteadyFigures {
    /// Share of probes that were answered well, in percent.
    pub fn availability_percent(&self) -> Option<f64> {
        (self.n > 0).then(|| (self.n - self.failed) as f64 * 100.0 / self.n as f64)
    }

    /// Share of probes that failed, in percent.
    pub fn error_percent(&self) -> Option<f64> {
        self.availability_percent().map(|well| 100.0 - well)
    }
}

/// How one experiment ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentResult {
    /// Its number, from 1.
    pub number: u32,
    /// Which kind.
    pub kind: ExperimentKind,
    /// What it did, in words.
    pub title: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Whether the fault had its effect; none when it was not injected.
    pub effective: Option<bool>,
    /// What proves the effect.
    pub evidence: Vec<String>,
    /// What was killed, and what came after it: who counts restarts reads it here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lives: Vec<Lives>,
    /// What was observed besides.
    pub notes: Vec<String>,
    /// Moments by target.
    pub timelines: Vec<Timeline>,
    /// Longest time to recovery of a target, microseconds; none when one did not recover, or
    /// nothing was injected.
    pub recovery_us: Option<u64>,
    /// How long it may take, microseconds.
    pub recovery_limit_us: u64,
    /// Whether the platform was steady before; none when that was not found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady_before: Option<bool>,
    /// Whether it was again afterwards; none when that was not found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady_after: Option<bool>,
    /// Every service before, during and after the fault.
    pub before: Vec<SteadyFigures>,
    /// During.
    pub during: Vec<SteadyFigures>,
    /// After.
    pub after: Vec<SteadyFigures>,
    /// What could not be undone; empty when the undo was verified.
    pub residue: Vec<String>,
    /// Points out of 100; none when the experiment does not count.
    pub points: Option<f64>,
}

impl ExperimentResult {
    /// Of an experiment of which nothing is known yet, and which is not decided.
    pub fn new(number: u32, kind: ExperimentKind, title: impl Into<String>) -> Self {
        Self {
            number,
            kind,
            title: title.into(),
            verdict: Verdict::Inconclusive,
            reason: String::new(),
            effective: None,
            evidence: Vec::new(),
            lives: Vec::new(),
            notes: Vec::new(),
            timelines: Vec::new(),
            recovery_us: None,
            recovery_limit_us: 0,
            steady_before: None,
            steady_after: None,
            before: Vec::new(),
            during: Vec::new(),
            after: Vec::new(),
            residue: Vec::new(),
            points: None,
        }
    }
}

/// The score of the phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChaosScore {
    /// 0-100 over the experiments that count; none when none does.
    pub score: Option<f64>,
    /// Kinds of experiments that count.
    pub covered: u32,
    /// Kinds of experiments that were asked for.
    pub asked: u32,
    /// What limits the score, if anything does.
    pub capped: Option<String>,
}
