//! What is changed about a process that is not ours for the length of a fault, and how it is put
//! back: the CPUs that it may use, and the memory group in which it is accounted.

use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

use super::cgroup;
use super::procfs::Process;

/// A process is kept on one CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The process.
    pub process: Process,
    /// The CPU on which it is kept.
    pub cpu: usize,
    /// The CPUs that it could use before.
    pub before: Vec<usize>,
}

impl Pinned {
    /// What pinning this process would be; nothing is changed yet.
    ///
    /// # Errors
    /// When its CPUs cannot be read.
    pub fn plan(process: Process) -> io::Result<Self> {
        let set = sched_getaffinity(pid_of(process.pid))?;
        let before: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect();
        // The last one: the first has the most to do with interrupts.
        let cpu = before.last().copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { process, cpu, before })
    }

    /// Keeps it there.
    ///
    /// # Errors
    /// When this user may not.
    pub fn apply(&self) -> io::Result<()> {
        self.set(&[self.cpu])
    }

    /// Lets it go where it could before. A process that is gone needs nothing.
    ///
    /// # Errors
    /// When this user may not.
    pub fn restore(&self) -> io::Result<()> {
        if self.process.is_alive() { self.set(&self.before) } else { Ok(()) }
    }

    /// Whether it is still kept there.
    pub fn is_there(&self) -> bool {
        self.before.len() > 1
            && self.process.is_alive()
            && self
                .process
                .threads()
                .iter()
                .any(|thread| sched_getaffinity(pid_of(*thread)).is_ok_and(|set| set.count() == 1))
    }

    fn set(&self, cpus: &[usize]) -> io::Result<()> {
        let mut set = CpuSet::new();
        cpus.iter().for_each(|cpu| set.set(*cpu));
        for thread in self.process.threads() {
            match sched_setaffinity(pid_of(thread), &set) {
                // A thread that ended meanwhile.
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A process is accounted in a memory group of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnGroup {
    /// The process.
    pub process: Process,
    /// Our group.
    pub folder: PathBuf,
    /// Where the process is accounted otherwise.
    pub home: PathBuf,
    /// The group's limit in bytes.
    pub limit_bytes: u64,
}

impl OwnGroup {
    /// Makes the group and moves the process there.
    ///
    /// # Errors
    /// When this user may not.
    pub fn apply(&self) -> io::Result<()> {
        fs::create_dir(&self.folder)?;
        fs::write(self.folder.join("memory.limit_in_bytes"), self.limit_bytes.to_string())?;
        cgroup::enter(&[self.folder.join("cgroup.procs")], self.process.pid)
    }

    /// Moves everything in the group back to where the process was, and removes the group.
    ///
    /// # Errors
    /// When this user may not.
    pub fn restore(&self) -> io::Result<()> {
        let home = [self.home.join("cgroup.procs")];
        let inside = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
        for pid in inside.lines().filter_map(|line| line.parse().ok()) {
            match cgroup::enter(&home, pid) {
                Err(error) if Process::now(pid).is_some() => return Err(error),
                _ => {}
            }
        }
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether the group is still there.
    pub fn is_there(&self) -> bool {
        self.folder.exists()
    }
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_process_gets_its_cpus_back() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("starts");
        let pinned = Pinned::plan(Process::now(child.id()).expect("runs")).expect("readable");
        pinned.apply().expect("allowed");
        assert_eq!(pinned.is_there(), pinned.before.len() > 1);
        pinned.restore().expect("allowed");
        assert!(!pinned.is_there());
        child.kill().expect("killed");
        child.wait().expect("ended");
        pinned.restore().expect("a process that is gone needs nothing");
    }
}
