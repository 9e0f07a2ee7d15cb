//! CPU and memory used up, in the target's own control group if that is asked for.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{LOOK_EVERY, Measured, Task, Work};
use crate::chaos::cgroup::{self, Cgroup};
use crate::chaos::confine::Pinned;
use crate::chaos::procfs::Process;

/// Written page by page, so that memory grows and does not jump.
const PAGE: usize = 4096;
/// Pages are written anew this often, so that the kernel does not put them aside.
const TOUCH_EVERY: Duration = Duration::from_secs(1);

/// A fault that is set up.
pub struct Pressure<'a> {
    work: &'a Work,
    own: Process,
    group: Option<Cgroup>,
    before: Counters,
}

#[derive(Clone, Copy, Default)]
struct Counters {
    throttled: u64,
    periods: u64,
    memory: u64,
    oom_kills: u64,
}

impl<'a> Pressure<'a> {
    /// Goes where the fault is to act.
    ///
    /// # Errors
    /// When this user may not; something may be left to put back.
    pub fn set_up(task: &'a Task, target: Process) -> io::Result<Self> {
        let own = Process::now(std::process::id()).ok_or(io::ErrorKind::NotFound)?;
        // The kernel takes the helper first, should memory run out.
        std::fs::write("/proc/self/oom_score_adj", "1000")?;
        let in_its_group = matches!(
            task.work,
            Work::Burn { in_its_group: true, .. } | Work::Fill { in_its_group: true, .. }
        );
        let mut group = None;
        if in_its_group {
            let unseen = || io::Error::other("the target's control group is not to be seen");
            group = Some(Cgroup::of(target).ok_or_else(unseen)?);
        }
        if let (Work::Burn { workers: None, .. }, Some(group)) = (&task.work, &group) {
            spares_a_cpu(group.cpu_quota(), online_cpus())?;
        }
        let before = group.as_ref().map(Counters::of).unwrap_or_default();
        if let Some(group) = &group {
            cgroup::enter_by_oneself(&group.entrances())?;
        }
        if let Some(group) = &task.group {
            group.apply()?;
            cgroup::enter_by_oneself(&[group.folder.join("cgroup.procs")])?;
        }
        if let Some(pin) = &task.pin {
            pin.apply()?;
            Pinned { process: own, ..pin.clone() }.apply()?;
        }
        Ok(Self { work: &task.work, own, group, before })
    }

    /// Lets the fault act for as long as `held` takes, which is given what to measure it by.
    pub fn hold(&self, held: impl FnOnce(&dyn Fn() -> Measured)) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            match *self.work {
                Work::Burn { .. } => {
                    for _ in 0..self.workers() {
                        scope.spawn(|| burn(&over));
                    }
                }
                Work::Fill { bytes, .. } => {
                    let over = &over;
                    scope.spawn(move || fill(bytes, over));
                }
                _ => {}
            }
            held(&|| self.measure());
            over.store(true, Ordering::Relaxed);
        });
    }

    /// As many threads as the group may use CPUs; without a quota one CPU is left to the rest of
    /// the machine.
    fn workers(&self) -> usize {
        let Work::Burn { workers, .. } = self.work else { return 0 };
        let online = online_cpus();
        let quota = self.group.as_ref().and_then(Cgroup::cpu_quota);
        workers.unwrap_or_else(|| match quota {
            Some(quota) => (quota.ceil() as usize).clamp(1, online),
            None => (online - 1).max(1),
        })
    }

    fn measure(&self) -> Measured {
        let now = self.group.as_ref().map(Counters::of).unwrap_or_default();
        let (burned, waited) = self.own.cpu_and_waiting();
        Measured {
            burned_us: burned.as_micros() as u64,
            waited_us: waited.as_micros() as u64,
            workers: self.workers() as u64,
            quota: self.group.as_ref().and_then(Cgroup::cpu_quota),
            throttled: now.throttled.saturating_sub(self.before.throttled),
            periods: now.periods.saturating_sub(self.before.periods),
            memory_bytes: now.memory.saturating_sub(self.before.memory),
            oom_kills: now.oom_kills.saturating_sub(self.before.oom_kills),
            ..Measured::default()
        }
    }
}

fn online_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Without a quota the only CPU of a machine is that of its databases too.
fn spares_a_cpu(quota: Option<f64>, online: usize) -> io::Result<()> {
    if quota.is_some() || online > 1 {
        return Ok(());
    }
    Err(io::Error::other(
        "the target has no CPU quota and its machine one CPU: all else there would be saturated too",
    ))
}

impl Counters {
    fn of(group: &Cgroup) -> Self {
        let (throttled, periods) = group.throttled();
        let (memory, oom_kills) = (group.memory_in_use().unwrap_or(0), group.oom_kills());
        Self { throttled, periods, memory, oom_kills }
    }
}

fn burn(over: &AtomicBool) {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    while !over.load(Ordering::Relaxed) {
        for _ in 0..100_000 {
            x = x.rotate_left(7).wrapping_mul(0x2545_f491_4f6c_dd1d);
        }
        std::hint::black_box(x);
    }
}

/// Every page gets a number of its own, so that the kernel cannot share or compress it away.
fn fill(bytes: u64, over: &AtomicBool) {
    let mut memory: Vec<u8> = Vec::new();
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    if memory.try_reserve_exact(bytes).is_err() {
        return;
    }
    let mut round = 1_u64;
    while !over.load(Ordering::Relaxed) {
        for start in (0..bytes).step_by(PAGE) {
            if over.load(Ordering::Relaxed) {
                return;
            }
            if memory.len() <= start {
                memory.resize((start + PAGE).min(bytes), 0xa5);
            }
            let number = (round.wrapping_mul(0x9e37_79b9) ^ start as u64).to_le_bytes();
            let end = (start + number.len()).min(memory.len());
            memory[start..end].copy_from_slice(&number[..end - start]);
        }
        round += 1;
        std::hint::black_box(&memory);
        let pause = Instant::now() + TOUCH_EVERY;
        while Instant::now() < pause && !over.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_cpu_of_a_machine_is_not_taken_by_who_has_no_quota() {
        assert!(spares_a_cpu(None, 1).is_err());
        assert!(spares_a_cpu(Some(0.5), 1).is_ok() && spares_a_cpu(None, 2).is_ok());
    }
}
