//! CPU and memory used up, in the target's own control group if that is asked for.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Measured, Task, Work};
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

    /// Lets the fault act for as long as `held` takes, which is given what there is to do until a
    /// moment and what to measure it by.
    pub fn hold(&self, held: impl FnOnce(&mut dyn FnMut(Instant), &dyn Fn() -> Measured)) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..self.workers() {
                scope.spawn(|| burn(&over));
            }
            let mut filling = match *self.work {
                Work::Fill { bytes, .. } => Filling::of(bytes),
                _ => None,
            };
            let mut work = |until| {
                if let Some(filling) = &mut filling {
                    filling.go_on(until);
                }
            };
            held(&mut work, &|| self.measure());
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

/// Memory that is written, from one thread.
struct Filling {
    memory: Vec<u8>,
    bytes: usize,
    next: usize,
    round: u64,
    /// When the pages that are there are written anew.
    touched_at: Instant,
}

impl Filling {
    /// Nothing when there is not even room for the addresses.
    fn of(bytes: u64) -> Option<Self> {
        let mut memory = Vec::new();
        let bytes = usize::try_from(bytes).ok()?;
        memory.try_reserve_exact(bytes).ok()?;
        Some(Self { memory, bytes, next: 0, round: 1, touched_at: Instant::now() })
    }

    /// Writes until that moment, or until every page was written in this round.
    fn go_on(&mut self, until: Instant) {
        while self.touched_at <= Instant::now() && Instant::now() < until {
            self.write_page();
            if self.next >= self.bytes {
                self.next = 0;
                self.round += 1;
                self.touched_at = Instant::now() + TOUCH_EVERY;
            }
        }
        std::hint::black_box(&self.memory);
    }

    /// Every page gets a number of its own, so that the kernel cannot share or compress it away.
    fn write_page(&mut self) {
        let start = self.next;
        self.next = (start + PAGE).min(self.bytes);
        if self.memory.len() <= start {
            self.memory.resize(self.next, 0xa5);
        }
        let number = (self.round.wrapping_mul(0x9e37_79b9) ^ start as u64).to_le_bytes();
        let end = (start + number.len()).min(self.memory.len());
        self.memory[start..end].copy_from_slice(&number[..end - start]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_written_by_the_page_until_all_of_it_is_there() {
        let bytes = 5 * PAGE + 3;
        let mut filling = Filling::of(bytes as u64).expect("memory");
        let now = Instant::now();
        filling.go_on(now);
        assert_eq!(filling.memory.len(), 0, "its time was over before it began");
        filling.go_on(now + TOUCH_EVERY * 60);
        assert_eq!((filling.memory.len(), filling.round, filling.next), (bytes, 2, 0));
        assert_ne!(filling.memory[..8], filling.memory[PAGE..PAGE + 8]);
        let first = filling.memory.clone();
        filling.go_on(Instant::now() + TOUCH_EVERY / 100);
        assert_eq!(filling.memory, first, "it was written a moment ago");
    }

    #[test]
    fn the_only_cpu_of_a_machine_is_not_taken_by_who_has_no_quota() {
        assert!(spares_a_cpu(None, 1).is_err());
        assert!(spares_a_cpu(Some(0.5), 1).is_ok() && spares_a_cpu(None, 2).is_ok());
    }
}
