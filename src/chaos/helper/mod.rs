//! The helper: a process of this binary that holds a fault, on this machine or in a container of a
//! Docker engine. It ends the fault by itself when its time is over, when its lease (standard input)
//! ends with the process that holds it, or when its target is gone; then it puts back what it
//! changed and ends.

mod cut;
mod pressure;
mod revive;
mod said;

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use self::cut::CutOff;
use self::pressure::Pressure;
pub use self::said::{Measured, Said};
use super::confine::{OwnGroup, Pinned};
use super::firewall::{self, Firewall};
use super::procfs::{Process, enough_memory};
use super::runtime::docker::Then;

/// How often the helper looks whether its target is still there.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often it says what the fault does.
const SAY_EVERY: Duration = Duration::from_millis(500);

/// What a helper is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The process that suffers; the helper ends with it.
    pub target: TargetProcess,
    /// How long, milliseconds.
    pub length_ms: u64,
    /// What.
    pub work: Work,
    /// The target is kept on one CPU, and the helper with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pinned>,
    /// The target is accounted in a group of ours, and the helper with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<OwnGroup>,
}

/// A process that suffers, as an engine knows it that may be on another machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetProcess {
    /// Its number.
    pub pid: u32,
    /// When it was started, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ticks: Option<u64>,
    /// Id of the container to which it has to belong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

impl From<Process> for TargetProcess {
    fn from(process: Process) -> Self {
        Self { pid: process.pid, start_ticks: Some(process.start_ticks), container: None }
    }
}

impl TargetProcess {
    /// The process, if it is the one that is meant.
    ///
    /// # Errors
    /// When it is gone, or another one has its number.
    pub fn find(&self) -> io::Result<Process> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the target is gone");
        let process = Process::now(self.pid).ok_or_else(gone)?;
        if self.start_ticks.is_some_and(|ticks| ticks != process.start_ticks) {
            return Err(gone());
        }
        match &self.container {
            Some(id) if !process.belongs_to(id) => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("process {} does not belong to the target", self.pid),
            )),
            _ => Ok(process),
        }
    }
}

/// What a helper does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Sends SIGKILL to the target.
    Kill {},
    /// Uses up CPU.
    Burn {
        /// Threads; as many as the target's group may use CPUs when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workers: Option<usize>,
        /// Whether it does so in the target's control group.
        in_its_group: bool,
    },
    /// Uses up memory.
    Fill {
        /// How much.
        bytes: u64,
        /// Whether it does so in the target's control group.
        in_its_group: bool,
    },
    /// Cuts the network namespace of the target off from others.
    Cut {
        /// What it is made by.
        #[serde(default)]
        by: Firewall,
        /// Name of the table.
        table: String,
        /// From whom.
        peers: Vec<IpAddr>,
        /// Where a peer may be listening.
        ports: Vec<SocketAddr>,
        /// Whether connections are refused at once.
        reject: bool,
        /// Whether the helper has to go to that namespace first: it is not there already.
        enter: bool,
    },
    /// Starts a container that was killed, should it stay down and whoever killed it be gone.
    Revive {
        /// The container.
        then: Then,
    },
    /// Removes a table from the network namespace in which it is.
    Uncut {
        /// Name of the table.
        table: String,
    },
}

/// Does a task, and returns when the fault is over and everything is put back.
///
/// # Errors
/// When the fault cannot be set up or put back; what could be put back is.
pub fn run(task: &Task) -> io::Result<()> {
    let done = act(task);
    match &done {
        Ok(reconnected) => {
            Said::Over { reconnected_us: reconnected.map(|took| took.as_micros() as u64) }.say();
        }
        Err(error) => Said::Failed { why: error.to_string() }.say(),
    }
    done.map(drop)
}

fn act(task: &Task) -> io::Result<Option<Duration>> {
    let length = Duration::from_millis(task.length_ms);
    let lease = Lease::of_standard_input();
    match &task.work {
        Work::Kill {} => {
            task.target.find()?.kill()?;
            Said::Ready {}.say();
            Ok(None)
        }
        Work::Revive { then } => {
            Said::Ready {}.say();
            if !lease.ends_well() {
                revive::until_up(then, length)?;
            }
            Ok(None)
        }
        Work::Uncut { table } => {
            Firewall::Nftables.remove(table)?;
            Said::Ready {}.say();
            Ok(None)
        }
        Work::Burn { .. } | Work::Fill { .. } => {
            let target = task.target.find()?;
            if let Work::Fill { bytes, .. } = task.work {
                enough_memory(bytes).map_err(io::Error::other)?;
            }
            let set_up = Pressure::set_up(task, target);
            if let Ok(pressure) = &set_up {
                Said::Ready {}.say();
                pressure.hold(|work, measure| lease.hold(target, length, work, measure));
            }
            set_up.map(drop).and(put_back(task)).map(|()| None)
        }
        Work::Cut { by, table, peers, ports, reject, enter } => {
            let target = task.target.find()?;
            if *enter {
                firewall::enter(target)?;
            }
            let cut = CutOff::set_up(*by, table, peers, ports, *reject, length)?;
            Said::Ready {}.say();
            lease.hold(target, length, |_| (), || cut.measure());
            cut.put_back()
        }
    }
}

fn put_back(task: &Task) -> io::Result<()> {
    let pin = task.pin.as_ref().map_or(Ok(()), Pinned::restore);
    let group = task.group.as_ref().map_or(Ok(()), OwnGroup::restore);
    pin.and(group)
}

/// The helper's end of its lease, which is looked at without a thread: while a process of several
/// threads dies of a full control group, the kernel may already look for the next one to kill.
struct Lease(io::Stdin);

impl Lease {
    fn of_standard_input() -> Self {
        Self(io::stdin())
    }

    /// Waits until the lease ends: well when something was said before, as whoever is alive does.
    fn ends_well(&self) -> bool {
        self.0.lock().bytes().map_while(Result::ok).count() > 0
    }

    /// Whether whoever holds the lease has said something or is gone, looked at until then.
    fn is_over_by(&self, until: Instant) -> bool {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left =
                Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&left)) {
                Ok(0) => return false,
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => return true,
            }
        }
    }

    /// Returns when the time is over, the lease has ended, or the target is gone. What there is to
    /// do in between is done until the moment that it is given.
    fn hold(
        &self,
        target: Process,
        length: Duration,
        mut work: impl FnMut(Instant),
        mut measure: impl FnMut() -> Measured,
    ) {
        let since = Instant::now();
        let mut say_at = since + SAY_EVERY;
        while since.elapsed() < length && target.is_alive() {
            let until = (Instant::now() + LOOK_EVERY).min(since + length);
            work(until);
            if self.is_over_by(until) {
                return;
            }
            if Instant::now() >= say_at {
                say_at += SAY_EVERY;
                let passed_us = since.elapsed().as_micros() as u64;
                Said::Measured(Measured { passed_us, ..measure() }).say();
            }
        }
    }
}
