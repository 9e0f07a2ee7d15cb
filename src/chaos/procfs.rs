//! What `/proc` says of a process, and of the one that has its number now.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process, told from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it was started, in clock ticks since boot.
    pub start_ticks: u64,
}

impl Process {
    /// The process that has this number now.
    pub fn now(pid: u32) -> Option<Self> {
        Some(Self { pid, start_ticks: start_ticks(pid)? })
    }

    /// Whether it is still there.
    pub fn is_alive(self) -> bool {
        start_ticks(self.pid) == Some(self.start_ticks)
    }

    /// Sends SIGKILL to this process and to no other, even if its number is used again meanwhile.
    ///
    /// # Errors
    /// When it is gone, or this user may not.
    pub fn kill(self) -> io::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        // The descriptor is of whoever has the number now: only if that is still the same one.
        if !self.is_alive() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the process is gone"));
        }
        Ok(pidfd_send_signal(descriptor, Signal::KILL)?)
    }

    /// Its threads.
    pub fn threads(self) -> Vec<u32> {
        let entries = fs::read_dir(format!("/proc/{}/task", self.pid));
        let names = entries.into_iter().flatten().flatten();
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// Time on a CPU and time ready to run but waiting for one, of all its threads together.
    pub fn cpu_and_waiting(self) -> (Duration, Duration) {
        let mut sums = (Duration::ZERO, Duration::ZERO);
        for thread in self.threads() {
            let path = format!("/proc/{}/task/{thread}/schedstat", self.pid);
            let (ran, waited) = scheduled(&fs::read_to_string(path).unwrap_or_default());
            sums.0 += ran;
            sums.1 += waited;
        }
        sums
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(self) -> Option<u64> {
        bytes_of(&fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?, "VmRSS:")
    }

    /// Where a control group controller sees it; `None` as controller asks for version 2.
    pub fn cgroup(self, controller: Option<&str>) -> Option<PathBuf> {
        let text = fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).ok()?;
        cgroup_in(&text, controller).map(PathBuf::from)
    }

    /// Whether its control group is that of a container (or below it).
    pub fn belongs_to(self, container: &str) -> bool {
        let path = self.cgroup(Some("memory")).or_else(|| self.cgroup(None));
        path.is_some_and(|path| path.to_string_lossy().contains(container))
    }

    /// Numbers of its sockets; none of a process that this user may not look into.
    pub fn sockets(self) -> Vec<u64> {
        let open = fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten();
        let links = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        let socket = |link: PathBuf| {
            link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        };
        links.filter_map(socket).collect()
    }

    /// Identity of its network namespace.
    pub fn network_namespace(self) -> Option<String> {
        let link = fs::read_link(format!("/proc/{}/ns/net", self.pid)).ok()?;
        Some(link.to_string_lossy().into_owned())
    }
}

/// The processes whose command line has this exact argument.
pub fn with_argument(argument: &str) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|one| one == argument.as_bytes())
    })
    .filter_map(Process::now)
    .collect()
}

/// Whether this machine has memory to spare beside what is to be used up.
///
/// # Errors
/// In words, when it has not.
pub fn enough_memory(bytes: u64) -> Result<(), String> {
    let needed = bytes + bytes / 2 + (1 << 30);
    match available_memory() {
        Some(available) if available >= needed => Ok(()),
        _ => Err(format!("this machine has less than {} MiB of memory to spare", needed >> 20)),
    }
}

/// Memory that can be had without swapping, in bytes.
fn available_memory() -> Option<u64> {
    bytes_of(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

fn start_ticks(pid: u32) -> Option<u64> {
    started_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `stat`, counted after the command's closing bracket: the command itself may hold
/// anything. A zombie has ended.
pub(super) fn started_in(stat: &str) -> Option<u64> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Time on a CPU, and time ready to run but waiting for one, of `schedstat`.
pub(super) fn scheduled(schedstat: &str) -> (Duration, Duration) {
    let mut fields = schedstat.split(' ').map(|field| field.trim().parse().unwrap_or(0));
    let mut next = || Duration::from_nanos(fields.next().unwrap_or(0));
    (next(), next())
}

/// The bytes that a line such as `VmRSS:  123 kB` names.
pub(super) fn bytes_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The path that a controller's line names; `None` as controller asks for version 2.
pub(super) fn cgroup_in<'a>(text: &'a str, controller: Option<&str>) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let found = match controller {
            Some(name) => controllers.split(',').any(|of| of == name),
            None => hierarchy == "0" && controllers.is_empty(),
        };
        found.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_number() {
        let mut child =
            std::process::Command::new("sleep").arg("1000").spawn().expect("sleep starts");
        let process = Process::now(child.id()).expect("it runs");
        assert!(process.is_alive());
        let later = Process { start_ticks: process.start_ticks + 1, ..process };
        assert!(!later.is_alive() && later.kill().is_err(), "another process has this number");
        assert!(process.is_alive(), "and it was not killed");
        process.kill().expect("killed");
        child.wait().expect("ended");
        assert!(!process.is_alive());
    }

    #[test]
    fn what_it_says_of_itself_is_read() {
        let own = Process::now(std::process::id()).expect("it runs");
        assert!(own.resident_bytes() > Some(1 << 20));
        assert!(!own.threads().is_empty());
        assert!(own.network_namespace().expect("has one").starts_with("net:"));
        assert!(available_memory() > Some(1 << 20));
    }
}
