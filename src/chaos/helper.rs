//! The helper: a process of this binary that holds a fault. It ends the fault by itself when its
//! time is over, when its lease (standard input) ends with the process that holds it, or when its
//! target is gone; then it puts back what it changed and ends.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::cgroup;
use super::confine::{OwnGroup, Pinned};
use super::procfs::Process;

/// How often the helper looks whether its target is still there.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Written page by page, so that memory grows and does not jump.
const PAGE: usize = 4096;
/// Pages are written anew this often, so that the kernel does not put them aside.
const TOUCH_EVERY: Duration = Duration::from_secs(1);

/// What a helper is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The process that suffers; the helper ends with it.
    pub target: Process,
    /// How long, milliseconds.
    pub length_ms: u64,
    /// What.
    pub work: Work,
    /// Control group files to which the helper writes its number first.
    pub enter: Vec<PathBuf>,
    /// The target is kept on one CPU, and the helper with it.
    pub pin: Option<Pinned>,
    /// The target is accounted in a group of ours, and the helper with it.
    pub group: Option<OwnGroup>,
}

/// What a helper does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Uses up CPU on so many threads.
    Burn {
        /// Threads.
        workers: usize,
    },
    /// Uses up memory.
    Fill {
        /// How much.
        bytes: u64,
    },
}

/// Does a task, and returns when the fault is over and everything is put back.
///
/// # Errors
/// When the fault cannot be set up or put back; what could be put back is.
pub fn run(task: &Task) -> io::Result<()> {
    let until = Instant::now() + Duration::from_millis(task.length_ms);
    let set_up = set_up(task);
    if set_up.is_ok() {
        // The other end may be gone already; the lease tells.
        let _ = io::stdout().write_all(b"ready\n").and_then(|()| io::stdout().flush());
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            work(&task.work, &over, scope);
            hold(task.target, until);
            over.store(true, Ordering::Relaxed);
        });
    }
    set_up.and(put_back(task))
}

fn set_up(task: &Task) -> io::Result<()> {
    // The kernel takes the helper first, should memory run out.
    std::fs::write("/proc/self/oom_score_adj", "1000")?;
    cgroup::enter(&task.enter, std::process::id())?;
    if let Some(group) = &task.group {
        group.apply()?;
        cgroup::enter(&[group.folder.join("cgroup.procs")], std::process::id())?;
    }
    if let Some(pin) = &task.pin {
        pin.apply()?;
        let own = Process::now(std::process::id()).ok_or(io::ErrorKind::NotFound)?;
        Pinned { process: own, ..pin.clone() }.apply()?;
    }
    Ok(())
}

fn put_back(task: &Task) -> io::Result<()> {
    let pin = task.pin.as_ref().map_or(Ok(()), Pinned::restore);
    let group = task.group.as_ref().map_or(Ok(()), OwnGroup::restore);
    pin.and(group)
}

fn work<'scope>(
    work: &Work,
    over: &'scope AtomicBool,
    scope: &'scope std::thread::Scope<'scope, '_>,
) {
    match *work {
        Work::Burn { workers } => {
            for _ in 0..workers {
                scope.spawn(|| burn(over));
            }
        }
        Work::Fill { bytes } => {
            scope.spawn(move || fill(bytes, over));
        }
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

/// Returns when the time is over, the lease has ended, or the target is gone.
fn hold(target: Process, until: Instant) {
    let (ended, lease) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        let mut byte = [0];
        while matches!(io::stdin().read(&mut byte), Ok(n) if n > 0) {}
        drop(ended);
    });
    while Instant::now() < until && target.is_alive() {
        let left = until.saturating_duration_since(Instant::now()).min(LOOK_EVERY);
        if lease.recv_timeout(left) == Err(std::sync::mpsc::RecvTimeoutError::Disconnected) {
            return;
        }
    }
}
