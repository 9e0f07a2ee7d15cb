//! What a fault is going to do to a container's memory, and what proves that a fault has its effect.

use std::time::Duration;

use tokio::time::Instant;

use super::DockerRuntime;
use super::happenings::What;
use crate::chaos::cgroup::Cgroup;
use crate::chaos::helper::Measured;
use crate::chaos::lease::Lease;
use crate::chaos::runtime::{Effect, Fault, Injection, Runtime, RuntimeError, Target};

/// Memory has to be back within this time of the healing ...
const FREED_WITHIN: Duration = Duration::from_secs(10);
/// ... but for a tenth of what it was, or this if that is more.
const FREED_SLACK_BYTES: u64 = 32 << 20;
const FREED_LOOK: Duration = Duration::from_millis(500);

impl DockerRuntime {
    pub(super) async fn measured(
        &self,
        target: &Target,
        fault: &Fault,
        injection: &Injection,
    ) -> Effect {
        let measured = injection.lease.as_ref().and_then(Lease::measured);
        match (fault, measured) {
            (Fault::Kill, _) => {
                let other = self.look(target).await.is_ok_and(|now| now.pid != target.instance.pid);
                let evidence = if other { "its process ended" } else { "its process is alive" };
                Effect::new(other, evidence)
            }
            (Fault::Cpu { .. }, Some(measured)) => burned(&measured),
            (Fault::Memory { bytes, allow_oom, .. }, measured) => {
                let mut measured = measured.unwrap_or_default();
                measured.oom_kills = measured.oom_kills.max(self.oom_kills(target, injection));
                filled(&measured, *bytes, *allow_oom)
            }
            (Fault::Cut { .. }, Some(measured)) => cut_off(&measured),
            _ => Effect::new(false, "the helper has not measured anything yet"),
        }
    }

    /// Waits until a container uses about as much memory as before again.
    pub(super) async fn freed(&self, target: &Target, before: u64) -> (bool, String) {
        let most = before + (before / 10).max(FREED_SLACK_BYTES);
        let until = Instant::now() + FREED_WITHIN;
        loop {
            let used = match self.memory(target).await {
                Ok((_, used)) => used,
                Err(error) => return (false, format!("its memory cannot be read: {error}")),
            };
            let words = format!("{} MiB in use, {} MiB before", used >> 20, before >> 20);
            if used <= most || Instant::now() >= until {
                return (used <= most, words);
            }
            tokio::time::sleep(FREED_LOOK).await;
        }
    }

    /// Kills for want of memory since the fault: by the target's control group where that is to be
    /// seen, and by its engine's events. A helper that was killed cannot tell any more.
    fn oom_kills(&self, target: &Target, injection: &Injection) -> u64 {
        let group = self.process_here(target).and_then(Cgroup::of);
        let counted = group.map_or(0, |group| group.oom_kills());
        let happened = self.place(target).map(|place| {
            let happened = place.happenings.since(&target.id, injection.since);
            happened.iter().filter(|one| one.what == What::OutOfMemory).count() as u64
        });
        counted.saturating_sub(injection.baseline.oom_kills).max(happened.unwrap_or(0))
    }
}

fn burned(measured: &Measured) -> Effect {
    let Measured { throttled, periods, workers, .. } = measured;
    let (burned, wanted) = (measured.burned_percent(), measured.wanted_percent());
    let evidence = match measured.quota {
        Some(quota) => format!(
            "{burned} % of a CPU burned ({:.0} % of the quota), throttled in {throttled} of {periods} \
             periods",
            burned as f64 / quota.max(0.01)
        ),
        None => format!("{burned} % of a CPU burned on {workers} threads; it has no quota"),
    };
    let evidence = format!("{evidence}; ran or waited for a CPU {wanted} % of the time");
    Effect::new(measured.saturates(), evidence)
}

fn filled(measured: &Measured, bytes: u64, allow_oom: bool) -> Effect {
    let (used, kills) = (measured.memory_bytes, measured.oom_kills);
    let evidence = format!("{} MiB more in use, {kills} killed for want of memory", used >> 20);
    Effect::new(used >= bytes / 10 * 9 || (allow_oom && kills > 0), evidence)
}

fn cut_off(measured: &Measured) -> Effect {
    let Measured { packets, reachable, reachable_before, .. } = measured;
    let mut evidence = format!("{packets} packets stopped");
    if *reachable_before > 0 {
        let reached = format!("{reachable} of {reachable_before} addresses can be connected to");
        evidence = format!("{evidence}, {reached}");
    }
    let connections = Some((measured.opened_before, measured.opened));
    Effect { effective: *packets > 0 && *reachable == 0, evidence, connections }
}

/// What the kernel is going to do about memory, in words: of a group with this limit, of which so
/// much is in use.
///
/// # Errors
/// When it would kill something, and that is not allowed.
pub fn predict(
    limit: Option<u64>,
    used: u64,
    bytes: u64,
    allow_oom: bool,
) -> Result<String, RuntimeError> {
    let Some(limit) = limit else {
        return Ok(
            "it has no memory limit: it cannot run out of memory by itself, but others can \
                   because of it"
                .into(),
        );
    };
    let room = limit.saturating_sub(used);
    let free = format!("{} MiB are free below its limit of {} MiB", room >> 20, limit >> 20);
    if room >= bytes + bytes / 10 {
        return Ok(format!("{free}: nothing is killed"));
    }
    if allow_oom {
        return Ok(format!("only {free}: the kernel kills the helper first"));
    }
    Err(RuntimeError::new(format!(
        "only {free}: the kernel would kill something; allow it with chaos.memory.allow_oom"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_will_do_is_said_beforehand() {
        const MIB: u64 = 1 << 20;
        let words = |limit, allow| predict(limit, 50 * MIB, 100 * MIB, allow);
        assert!(words(None, false).expect("allowed").contains("no memory limit"));
        assert!(words(Some(200 * MIB), false).expect("room").contains("nothing is killed"));
        assert!(words(Some(120 * MIB), false).is_err());
        assert!(words(Some(120 * MIB), true).expect("allowed").contains("kills the helper"));
    }

    #[test]
    fn an_effect_needs_its_proof() {
        let burning = |burned_us, waited_us, throttled| Measured {
            passed_us: 1_000_000,
            burned_us,
            waited_us,
            workers: 1,
            quota: Some(0.5),
            throttled,
            periods: 10,
            ..Measured::default()
        };
        assert!(burned(&burning(480_000, 510_000, 9)).effective);
        assert!(burned(&burning(480_000, 0, 9)).effective, "throttled time is not always counted");
        assert!(burned(&burning(150_000, 840_000, 1)).effective, "a busy machine gives no more");
        assert!(!burned(&burning(480_000, 0, 1)).effective, "it wanted no more");
        assert!(!burned(&burning(0, 0, 0)).effective, "it did not run");
        let free = Measured { quota: None, periods: 0, ..burning(150_000, 840_000, 0) };
        assert!(burned(&free).effective);
        assert!(!burned(&Measured { workers: 2, ..free }).effective, "one of two did not run");
        let full = Measured { memory_bytes: 95, ..Measured::default() };
        assert!(filled(&full, 100, false).effective);
        let killed = Measured { oom_kills: 1, ..Measured::default() };
        assert!(filled(&killed, 100, true).effective && !filled(&killed, 100, false).effective);
        let cut = Measured { packets: 3, reachable_before: 1, ..Measured::default() };
        assert!(cut_off(&cut).effective);
        assert!(!cut_off(&Measured { reachable: 1, ..cut }).effective, "it gets through");
    }
}
