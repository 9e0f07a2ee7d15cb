//! What a helper says to the engine that started it: one line of JSON a message.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Said {
    /// The fault is there.
    Ready {},
    /// The fault is not there, and why.
    Failed {
        /// In words.
        why: String,
    },
    /// What the fault does at the moment.
    Measured(Measured),
    /// The fault is over and everything is put back.
    Over {
        /// How long after the end of a cut every peer that could be connected to before could be
        /// connected to again, microseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reconnected_us: Option<u64>,
    },
}

/// What a fault does, since it is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Time since the fault is there, microseconds.
    pub passed_us: u64,
    /// CPU time that the helper had, microseconds.
    pub burned_us: u64,
    /// Time that its threads were ready to run and had to wait for it, microseconds.
    pub waited_us: u64,
    /// Threads that burn.
    pub workers: u64,
    /// CPUs' worth of time that the target's group may use; none without a limit.
    pub quota: Option<f64>,
    /// Periods in which the group was throttled.
    pub throttled: u64,
    /// Periods.
    pub periods: u64,
    /// Memory that the group uses more than before, bytes.
    pub memory_bytes: u64,
    /// Kills for want of memory in the group.
    pub oom_kills: u64,
    /// Packets that a cut has stopped.
    pub packets: u64,
    /// Peers' addresses that could be connected to before the cut.
    pub reachable_before: u64,
    /// And of these now.
    pub reachable: u64,
    /// Connections a second that were begun in the target's network namespace before the cut.
    pub opened_before: f64,
    /// And since.
    pub opened: f64,
}

impl Measured {
    /// A helper that burns has to have run or waited for a CPU for this share of the time, in percent.
    const SATURATED_PERCENT: u64 = 80;

    /// CPU time that it had, in percent of one CPU.
    pub fn burned_percent(&self) -> u64 {
        self.burned_us * 100 / self.passed_us.max(1)
    }

    /// For how much of the time its threads ran or waited for a CPU, in percent: what they got is all
    /// that the kernel granted, however little that is on a machine that is busy otherwise.
    pub fn wanted_percent(&self) -> u64 {
        let wanted = (self.burned_us + self.waited_us) * 100;
        // Its threads begin a moment before the time that is counted.
        (wanted / (self.passed_us * self.workers).max(1)).min(100)
    }

    /// Whether the CPU is used up: its threads never had enough of it, or a quota was used up in most
    /// periods (kernels differ in whether they count being throttled as waiting).
    pub fn saturates(&self) -> bool {
        let throttled = self.throttled * 100 >= self.periods * Self::SATURATED_PERCENT;
        self.wanted_percent() >= Self::SATURATED_PERCENT
            || (self.quota.is_some() && self.periods > 0 && throttled)
    }
}

impl Said {
    /// Says it. Nobody may be there to hear it any more; the lease tells.
    pub fn say(&self) {
        let Ok(mut line) = serde_json::to_vec(self) else { return };
        line.push(b'\n');
        let mut out = io::stdout().lock();
        let _ = out.write_all(&line).and_then(|()| out.flush());
    }
}
