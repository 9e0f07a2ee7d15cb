//! How long a run may still take, and what of its plan is still to come.

use std::time::Duration;

use super::{PhaseStatus, RunState, RunStatus};
use crate::config::PhaseKind;

impl RunState {
    /// The longest that what is left of the plan may take from `now_us` on, cooldowns included and
    /// pauses not counted. Judging takes no time to speak of, so its time box does not count.
    pub fn longest_left(&self, now_us: u64) -> Duration {
        let timed = self.phases.iter().filter(|phase| phase.kind != PhaseKind::Slo);
        let (mut left_us, mut pending, mut running) = (0u64, 0u64, false);
        for phase in timed {
            match phase.status {
                PhaseStatus::Pending if !phase.skip_requested => {
                    left_us += phase.planned_us;
                    pending += 1;
                }
                PhaseStatus::Running => {
                    left_us += phase.planned_us.saturating_sub(phase.elapsed_us(now_us));
                    running = true;
                }
                PhaseStatus::Pending | PhaseStatus::Finished => {}
            }
        }
        // One cooldown before every phase, but for the first and the one that cools already.
        let cooldowns = if running { pending } else { pending.saturating_sub(1) };
        let cooldown_us = self.plan.as_ref().map_or(0, |plan| plan.cooldown_us);
        if let Some(cooldown) = &self.cooldown {
            let passed = cooldown.passed_us(now_us);
            left_us += cooldown.max_us.saturating_sub(passed);
        }
        Duration::from_micros(left_us + cooldowns * cooldown_us)
    }

    /// The phase that a skip would end, or leave out where the run is held before it; none when nothing
    /// would be, as in a cooldown.
    pub fn phase_to_skip(&self) -> Option<PhaseKind> {
        match (self.running_phase(), &self.status) {
            (Some(phase), _) => Some(phase.kind),
            (None, RunStatus::Held(_)) => self.to_come().next(),
            (None, _) => None,
        }
    }

    /// The phase with which the plan goes on after this one; none after the last.
    pub fn follows(&self, phase: PhaseKind) -> Option<PhaseKind> {
        self.to_come().find(|kind| *kind != phase)
    }

    fn to_come(&self) -> impl Iterator<Item = PhaseKind> {
        let pending = self.phases.iter().filter(|phase| phase.status == PhaseStatus::Pending);
        pending.filter(|phase| !phase.skip_requested).map(|phase| phase.kind)
    }
}

impl super::Cooldown {
    /// How long it has lasted at `now_us`, pauses not counted, microseconds.
    pub fn passed_us(&self, now_us: u64) -> u64 {
        self.paused_since_us.unwrap_or(now_us).saturating_sub(self.since_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::{Plan, PlannedPhase};
    use crate::run::state::{Cooldown, PhaseState};

    const SECOND: u64 = 1_000_000;

    fn state() -> RunState {
        let kinds = [PhaseKind::Mixed, PhaseKind::Chaos, PhaseKind::Backup, PhaseKind::Slo];
        let phase = |kind| PhaseState { planned_us: 40 * SECOND, ..PhaseState::new(kind) };
        let planned = |kind| PlannedPhase { kind, length_us: 40 * SECOND, skip: false };
        RunState {
            phases: kinds.map(phase).to_vec(),
            plan: Some(Plan {
                name: "test".into(),
                note: None,
                phases: kinds.map(planned).to_vec(),
                cooldown_us: 10 * SECOND,
            }),
            ..RunState::default()
        }
    }

    #[test]
    fn what_is_left_shrinks_with_the_run() {
        let mut state = state();
        let left = |state: &RunState, now: u64| state.longest_left(now * SECOND).as_secs();
        assert_eq!(left(&state, 0), 140, "three phases and two cooldowns; judging takes no time");
        state.phases[0].status = PhaseStatus::Running;
        state.phases[0].started_us = Some(0);
        assert_eq!(left(&state, 30), 110);
        assert_eq!(left(&state, 300), 100, "a phase that takes longer owes nothing");
        state.phases[0].status = PhaseStatus::Finished;
        state.cooldown =
            Some(Cooldown { since_us: 40 * SECOND, paused_since_us: None, max_us: 10 * SECOND });
        assert_eq!(left(&state, 44), 96);
        state.phases[1].skip_requested = true;
        assert_eq!(left(&state, 44), 46);
    }
}
