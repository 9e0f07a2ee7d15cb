//! Where targets run and how faults get there: one file a runtime. Nothing in an experiment knows
//! which one it works with.

pub mod docker;
pub mod sandbox;
#[cfg(test)]
pub mod told;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::lease::Lease;
use super::undo::Undo;
use crate::config::ServiceKind;
use crate::platform::text::excerpt;
use crate::run::event::{Life, MomentKind};

/// Something that faults can be injected into.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What the runtime calls it.
    pub id: String,
    /// Its name on screens and in reports.
    pub name: String,
    /// Where it runs, as its runtime says; empty where there is one place only.
    pub place: String,
    /// The service that it serves, if it is known to.
    pub service: Option<ServiceKind>,
    /// Why nothing is done to it, if nothing is.
    pub excluded: Option<String>,
    /// Why it is not killed, if it is not: nothing would bring it back.
    pub unkillable: Option<String>,
    /// Whether it must not even change by accident: a database, or declared critical.
    pub protected: bool,
    /// As it was found.
    pub instance: Instance,
}

/// What tells one life of a target from the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Its main process, as this machine numbers it; none while it does not run.
    pub pid: Option<u32>,
    /// When it was started last, as its runtime says.
    pub started: String,
    /// How long it has run.
    pub uptime: Duration,
    /// How often its restart policy started it.
    pub restarts: u64,
    /// What its own health check says, if it has one.
    pub healthy: Option<bool>,
    /// Whether there is no such target any more.
    pub gone: bool,
}

impl Instance {
    /// Whether both are the same life of a target.
    pub fn same_life(&self, other: &Self) -> bool {
        (self.pid, &self.started, self.restarts) == (other.pid, &other.started, other.restarts)
    }

    /// It as evidence; what the runtime says is no more than words.
    pub fn life(&self) -> Life {
        Life { pid: self.pid, started: excerpt(&self.started), restarts: self.restarts }
    }

    /// What became of a target that must not change, if it is not as it was.
    pub fn change(&self, now: &Self) -> Option<&'static str> {
        if now.gone {
            return Some("was removed");
        }
        if !self.same_life(now) {
            return Some(if now.pid.is_some() { "was restarted" } else { "was stopped" });
        }
        let worse = self.healthy == Some(true) && now.healthy == Some(false);
        worse.then_some("does not pass its own health check any more")
    }
}

/// A fault.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// SIGKILL from outside, so that the restart policy acts.
    Kill,
    /// Its CPU is used up.
    Cpu {
        /// How long.
        length: Duration,
    },
    /// Memory is used up beside it.
    Memory {
        /// How much.
        bytes: u64,
        /// How long.
        length: Duration,
        /// Whether the kernel may come to kill something.
        allow_oom: bool,
    },
    /// It is cut off from others.
    Cut {
        /// From whom.
        peers: Vec<Target>,
        /// Whether connections are refused at once rather than left unanswered.
        reject: bool,
        /// How long.
        length: Duration,
    },
}

impl Fault {
    /// How long it lasts by itself; nothing for one that is over at once.
    pub const fn length(&self) -> Duration {
        match self {
            Self::Kill => Duration::ZERO,
            Self::Cpu { length } | Self::Memory { length, .. } | Self::Cut { length, .. } => {
                *length
            }
        }
    }

    /// The fault in words.
    pub fn words(&self, target: &Target) -> String {
        let name = &target.name;
        match self {
            Self::Kill => format!("kill {name}"),
            Self::Cpu { length } => {
                format!("saturate the CPU of {name} for {} s", length.as_secs())
            }
            Self::Memory { bytes, length, .. } => {
                format!("use up {} MiB beside {name} for {} s", bytes >> 20, length.as_secs())
            }
            Self::Cut { peers, reject, length } => {
                let names: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
                let how = if *reject { "refuse" } else { "cut" };
                format!(
                    "{how} the network {name} - {} for {} s",
                    names.join(", "),
                    length.as_secs()
                )
            }
        }
    }
}

/// Why a runtime cannot be used, or something in it failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RuntimeError(pub String);

impl RuntimeError {
    /// An error in words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

/// A fault that can be injected: how it will be undone is known.
pub struct Prepared {
    /// What is done, by whom and to what exactly, in words.
    pub deed: String,
    /// What undoes it.
    pub undo: Undo,
    /// What that does, in words.
    pub undo_words: String,
    /// What should be known beforehand, such as whom the kernel would kill.
    pub prediction: Option<String>,
}

/// A fault that is there.
pub struct Injection {
    /// Ends the fault when it is dropped, if the fault depends on a helper.
    pub lease: Option<Lease>,
    /// What the effect is measured against.
    pub baseline: Baseline,
    /// When it came to be there.
    pub since: Instant,
}

/// What the effect of a fault is measured against.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// CPU time, waiting time, throttled periods, memory or packets, depending on the fault.
    pub counters: Vec<u64>,
    /// Out-of-memory kills so far.
    pub oom_kills: u64,
}

/// Whether a fault has its effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Whether it has.
    pub effective: bool,
    /// What was measured.
    pub evidence: String,
    /// Connections that the target began each second, before the fault and since.
    pub connections: Option<(f64, f64)>,
}

impl Effect {
    /// An effect, or none, by this evidence.
    pub fn new(effective: bool, evidence: impl Into<String>) -> Self {
        Self { effective, evidence: evidence.into(), connections: None }
    }
}

/// Where targets run.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// What has to be undone when the phase is over, or has died; nothing is done yet.
    fn claims(&self, _run_id: &str) -> Vec<Undo> {
        Vec::new()
    }

    /// Takes the place for this run and for no longer than this, so that no other run breaks
    /// anything there meanwhile.
    async fn claim(&self, _run_id: &str, _length: Duration) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// What there is, and what of it is left alone.
    async fn targets(&self) -> Result<Vec<Target>, RuntimeError>;

    /// A target as it is now.
    async fn look(&self, target: &Target) -> Result<Instance, RuntimeError>;

    /// Says how a fault would be undone, or why it is not possible or not safe. Changes nothing.
    /// `token` names everything that the fault will create.
    async fn prepare(
        &self,
        target: &Target,
        fault: &Fault,
        token: &str,
    ) -> Result<Prepared, RuntimeError>;

    /// Injects a fault whose undo is on disk.
    async fn inject(
        &self,
        target: &Target,
        fault: &Fault,
        undo: &Undo,
    ) -> Result<Injection, RuntimeError>;

    /// Moments of a target since then that the runtime itself reports.
    fn moments(&self, _target: &Target, _since: Instant) -> Vec<(MomentKind, Instant)> {
        Vec::new()
    }

    /// Waits until what a fault used up is free again, for a fault that used something up: whether it
    /// came to be, and the figures in words.
    async fn settled(
        &self,
        _target: &Target,
        _fault: &Fault,
        _baseline: &Baseline,
    ) -> Option<(bool, String)> {
        None
    }

    /// Measures whether the fault has its effect.
    async fn effect(
        &self,
        target: &Target,
        fault: &Fault,
        undo: &Undo,
        injection: &Injection,
    ) -> Effect;
}
