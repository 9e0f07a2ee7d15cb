//! Control groups, version 1 and 2: where a process is, what it uses, and how another joins it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::procfs::Process;

const ROOT: &str = "/sys/fs/cgroup";

/// A control group as the memory and CPU controllers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Folder with the memory files.
    pub memory: PathBuf,
    /// Folder with the CPU files.
    pub cpu: PathBuf,
    /// Version of the hierarchy, 1 or 2.
    pub version: u8,
}

impl Cgroup {
    /// The group of a process; none where there are no control groups to be seen.
    pub fn of(process: Process) -> Option<Self> {
        Self::below(Path::new(ROOT), |controller| process.cgroup(controller))
    }

    /// As [`Self::of`], for any tree.
    fn below(root: &Path, path: impl Fn(Option<&str>) -> Option<PathBuf>) -> Option<Self> {
        let join =
            |base: PathBuf, path: PathBuf| base.join(path.strip_prefix("/").unwrap_or(&path));
        if root.join("cgroup.controllers").exists() {
            let folder = join(root.to_owned(), path(None)?);
            return Some(Self { memory: folder.clone(), cpu: folder, version: 2 });
        }
        let memory = join(root.join("memory"), path(Some("memory"))?);
        let cpu = join(root.join("cpu"), path(Some("cpu"))?);
        (memory.exists() && cpu.exists()).then_some(Self { memory, cpu, version: 1 })
    }

    /// Files to which a process writes its number to be accounted in this group.
    pub fn entrances(&self) -> Vec<PathBuf> {
        let mut files = vec![self.memory.join("cgroup.procs"), self.cpu.join("cgroup.procs")];
        files.dedup();
        files
    }

    /// Memory in use, in bytes, without what the kernel would give back at once.
    pub fn memory_in_use(&self) -> Option<u64> {
        let (file, key) = match self.version {
            2 => ("memory.current", "inactive_file"),
            _ => ("memory.usage_in_bytes", "total_inactive_file"),
        };
        let used = number(&self.memory.join(file))?;
        let reclaimable = field(&self.memory.join("memory.stat"), key).unwrap_or(0);
        Some(used.saturating_sub(reclaimable))
    }

    /// The limit on memory, in bytes; none without one.
    pub fn memory_limit(&self) -> Option<u64> {
        let file = if self.version == 2 { "memory.max" } else { "memory.limit_in_bytes" };
        // Version 1 has no word for none, but the largest page-aligned number.
        number(&self.memory.join(file)).filter(|limit| *limit < 1 << 60)
    }

    /// How often the kernel killed something in this group for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let file = if self.version == 2 { "memory.events" } else { "memory.oom_control" };
        field(&self.memory.join(file), "oom_kill").unwrap_or(0)
    }

    /// CPUs' worth of time that the group may use; none without a limit.
    pub fn cpu_quota(&self) -> Option<f64> {
        if self.version == 2 {
            return share_in(&fs::read_to_string(self.cpu.join("cpu.max")).ok()?);
        }
        let quota: i64 =
            fs::read_to_string(self.cpu.join("cpu.cfs_quota_us")).ok()?.trim().parse().ok()?;
        let period = number(&self.cpu.join("cpu.cfs_period_us"))?;
        (quota > 0).then(|| quota as f64 / period as f64)
    }

    /// Periods in which the group wanted more CPU than its quota, and all periods.
    pub fn throttled(&self) -> (u64, u64) {
        let stat = self.cpu.join("cpu.stat");
        (field(&stat, "nr_throttled").unwrap_or(0), field(&stat, "nr_periods").unwrap_or(0))
    }
}

/// Lets a process be accounted in the group to which these files belong.
///
/// # Errors
/// When this user may not.
pub fn enter(entrances: &[PathBuf], pid: u32) -> io::Result<()> {
    entrances.iter().try_for_each(|file| fs::write(file, pid.to_string()))
}

/// Lets this process be accounted there: a number of 0 is whoever writes it, whatever number this
/// process has where the files are.
///
/// # Errors
/// When this user may not.
pub fn enter_by_oneself(entrances: &[PathBuf]) -> io::Result<()> {
    entrances.iter().try_for_each(|file| fs::write(file, "0"))
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn field(path: &Path, key: &str) -> Option<u64> {
    field_in(&fs::read_to_string(path).ok()?, key)
}

/// The number of a line such as `oom_kill 3`.
pub(super) fn field_in(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// CPUs' worth of time of a line such as `50000 100000`; none for `max`.
pub(super) fn share_in(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.trim().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0).then(|| quota as f64 / period as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let temp = tempfile::tempdir().expect("temporary folder");
        for (path, content) in files {
            let path = temp.path().join(path);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, content).expect("written");
        }
        temp
    }

    #[test]
    fn version_1_is_read() {
        let tree = tree(&[
            ("memory/docker/c1/memory.usage_in_bytes", "3000\n"),
            ("memory/docker/c1/memory.stat", "cache 5\ntotal_inactive_file 1000\n"),
            ("memory/docker/c1/memory.limit_in_bytes", "9223372036854771712\n"),
            (
                "memory/docker/c1/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            ),
            ("cpu/docker/c1/cpu.cfs_quota_us", "50000\n"),
            ("cpu/docker/c1/cpu.cfs_period_us", "100000\n"),
            ("cpu/docker/c1/cpu.stat", "nr_periods 43\nnr_throttled 40\nthrottled_time 7\n"),
        ]);
        let group = Cgroup::below(tree.path(), |_| Some("/docker/c1".into())).expect("there");
        assert_eq!((group.version, group.memory_in_use()), (1, Some(2000)));
        assert_eq!((group.memory_limit(), group.oom_kills()), (None, 2));
        assert_eq!((group.cpu_quota(), group.throttled()), (Some(0.5), (40, 43)));
        assert_eq!(group.entrances().len(), 2);
    }

    #[test]
    fn version_2_is_read() {
        let tree = tree(&[
            ("cgroup.controllers", "cpu memory\n"),
            ("system.slice/c1/memory.current", "3000\n"),
            ("system.slice/c1/memory.stat", "anon 5\ninactive_file 500\n"),
            ("system.slice/c1/memory.max", "4096\n"),
            ("system.slice/c1/memory.events", "low 0\noom 3\noom_kill 1\n"),
            ("system.slice/c1/cpu.max", "max 100000\n"),
            ("system.slice/c1/cpu.stat", "usage_usec 9\nnr_periods 7\nnr_throttled 3\n"),
        ]);
        let group = Cgroup::below(tree.path(), |_| Some("/system.slice/c1".into())).expect("there");
        assert_eq!((group.version, group.memory_in_use()), (2, Some(2500)));
        assert_eq!((group.memory_limit(), group.oom_kills()), (Some(4096), 1));
        assert_eq!((group.cpu_quota(), group.throttled()), (None, (3, 7)));
        assert_eq!(group.entrances().len(), 1);
    }
}
