//! CPU and memory used up in a container's own control group, by a helper of ours.

use crate::chaos::cgroup::Cgroup;
use crate::chaos::helper::{Task, Work};
use crate::chaos::lease::Lease;
use crate::chaos::procfs::{Process, available_memory};
use crate::chaos::runtime::{Effect, Fault, Injection, RuntimeError};

/// A helper must have had this share of what it could get.
const SATURATED_PERCENT: u64 = 80;

/// What a helper has to do for a fault.
pub fn helper_task(fault: &Fault, target: Process, group: &Cgroup) -> Task {
    let work = match fault {
        Fault::Memory { bytes, .. } => Work::Fill { bytes: *bytes },
        _ => Work::Burn { workers: workers(group) },
    };
    Task {
        target,
        length_ms: fault.length().as_millis() as u64,
        work,
        enter: group.entrances(),
        pin: None,
        group: None,
    }
}

/// As many threads as the container may use CPUs; without a quota one CPU is left to the rest of
/// the machine.
fn workers(group: &Cgroup) -> usize {
    let online = std::thread::available_parallelism().map_or(1, usize::from);
    match group.cpu_quota() {
        Some(quota) => (quota.ceil() as usize).clamp(1, online),
        None => (online - 1).max(1),
    }
}

/// Whether a helper's fault has its effect on its target.
pub fn helper_effect(target: Option<Process>, fault: &Fault, injection: &Injection) -> Effect {
    let gone = |what: &str| Effect { effective: false, evidence: format!("{what} is gone") };
    let Some(helper) = injection.lease.as_ref().and_then(Lease::process) else {
        return gone("the helper");
    };
    let Some(group) = target.and_then(|process| group_of(process).ok()) else {
        return gone("the target");
    };
    let before = &injection.baseline;
    let kills = group.oom_kills().saturating_sub(before.oom_kills);
    if let Fault::Memory { bytes, allow_oom, .. } = fault {
        let used = group.memory_in_use().unwrap_or(0).saturating_sub(before.counters[2]);
        let evidence = format!("{} MiB more in use, {kills} killed for want of memory", used >> 20);
        return Effect { effective: used >= bytes / 10 * 9 || (*allow_oom && kills > 0), evidence };
    }
    let passed = injection.since.elapsed().as_micros().max(1) as u64;
    let burned = helper.cpu_and_waiting().0.as_micros() as u64 * 100 / passed;
    let (throttled, periods) = group.throttled();
    let throttled = throttled.saturating_sub(before.counters[0]);
    let periods = periods.saturating_sub(before.counters[1]);
    let wanted = group.cpu_quota().map_or(workers(&group) as f64, |quota| quota);
    let percent = (burned as f64 / wanted) as u64;
    let evidence = match group.cpu_quota() {
        Some(_) => format!(
            "{burned} % of a CPU burned ({percent} % of the quota), throttled in {throttled} of \
             {periods} periods"
        ),
        None => format!("{burned} % of a CPU burned on {wanted} threads; it has no quota"),
    };
    let throttling = group.cpu_quota().is_none() || throttled * 2 >= periods;
    Effect { effective: percent >= SATURATED_PERCENT && throttling, evidence }
}

/// What the kernel is going to do about memory, in words.
///
/// # Errors
/// When it would kill something, or the machine itself has too little.
pub fn predict(group: &Cgroup, bytes: u64, allow_oom: bool) -> Result<String, RuntimeError> {
    let needed = bytes + bytes / 2 + (1 << 30);
    if available_memory().is_none_or(|available| available < needed) {
        return Err(RuntimeError::new(format!(
            "this machine has less than {} MiB of memory to spare",
            needed >> 20
        )));
    }
    let Some(limit) = group.memory_limit() else {
        return Ok(
            "it has no memory limit: it cannot run out of memory by itself, but others can \
                   because of it"
                .into(),
        );
    };
    let room = limit.saturating_sub(group.memory_in_use().unwrap_or(0));
    if room >= bytes + bytes / 10 {
        return Ok(format!("{} MiB are free below its limit: nothing is killed", room >> 20));
    }
    if allow_oom {
        return Ok(format!(
            "only {} MiB are free below its limit: the kernel kills the helper first",
            room >> 20
        ));
    }
    Err(RuntimeError::new(format!(
        "only {} MiB are free below its memory limit of {} MiB: the kernel would kill something; \
         allow it with chaos.memory.allow_oom",
        room >> 20,
        limit >> 20
    )))
}

/// The control group of a process.
///
/// # Errors
/// When it is not to be seen.
pub fn group_of(process: Process) -> Result<Cgroup, RuntimeError> {
    Cgroup::of(process).ok_or_else(|| RuntimeError::new("its control group is not to be seen"))
}
