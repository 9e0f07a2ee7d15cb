//! The plan of a run: which phases, in which order, for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Lengths, PhaseKind, Phases, TimeSpan};

/// Why a phase did not run that the plan leaves out.
pub const LEFT_OUT: &str = "left out of the plan";
/// Least time box of a backup drill for each document that it puts into the stores: several times what
/// it takes on two cores.
const DRILL_PER_DOCUMENT_US: u64 = 20_000;

/// What a run is going to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// `full`, `quick`, `demo` or the names of single phases.
    pub name: String,
    /// A remark that the screen shows, such as that the lengths are compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The phases in order.
    pub phases: Vec<PlannedPhase>,
    /// Longest cooldown between two phases, microseconds.
    pub cooldown_us: u64,
}

/// One phase of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPhase {
    /// Which.
    pub kind: PhaseKind,
    /// Its length (load) or time box (everything else), microseconds.
    pub length_us: u64,
    /// Left out by request.
    #[serde(default)]
    pub skip: bool,
}

impl PlannedPhase {
    /// Its length or time box.
    pub const fn length(&self) -> Duration {
        Duration::from_micros(self.length_us)
    }
}

impl Plan {
    /// Position of a phase in the plan.
    pub fn position(&self, kind: PhaseKind) -> Option<usize> {
        self.phases.iter().position(|phase| phase.kind == kind)
    }
}

/// Which phases are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Full,
    /// Without chaos and ramping load, with short lengths.
    Quick,
    /// All of them, for hours: a soak.
    Extended,
    /// The drill of the platform's own backups alone, with time for them to come back.
    Dr,
    /// These only (and the SLOs of what they measure).
    Only(Vec<PhaseKind>),
    /// The search for the largest sustained rate alone: it breaks what is promised on purpose, and judges
    /// by it step by step.
    Limit,
    /// All of them, compressed to about three minutes.
    Demo,
}

impl Plan {
    /// The plan for what is asked: every phase is in it, those not asked for as left out by
    /// request, so that the verdict can name them.
    pub fn new(phases: &Phases, scope: &Scope, skip: &[PhaseKind]) -> Self {
        let asked = |kind: PhaseKind| match scope {
            Scope::Full | Scope::Extended | Scope::Demo => true,
            Scope::Dr => kind == PhaseKind::Backup,
            Scope::Limit => kind == PhaseKind::Mixed,
            Scope::Quick => !matches!(kind, PhaseKind::Chaos | PhaseKind::Ramping),
            Scope::Only(only) => {
                only.contains(&kind)
                    || (kind == PhaseKind::Slo && only.iter().any(|phase| phase.is_load()))
            }
        };
        // What is asked for by name runs, whatever the configuration leaves out of its plans.
        let named = |kind: PhaseKind| match scope {
            Scope::Only(only) => only.contains(&kind),
            Scope::Limit => kind == PhaseKind::Mixed,
            _ => false,
        };
        let configured = |kind| phases.order.contains(&kind) && !phases.skip.contains(&kind);
        let left_out =
            |kind| !asked(kind) || skip.contains(&kind) || !(named(kind) || configured(kind));
        let missing = PhaseKind::ALL.into_iter().filter(|kind| !phases.order.contains(kind));
        let planned = phases.order.iter().copied().chain(missing).map(|k| (k, left_out(k)));
        Self {
            name: scope.name(),
            note: (*scope == Scope::Demo).then(|| {
                "demo: the full plan compressed to about three minutes, on the embedded sandbox"
                    .into()
            }),
            phases: planned
                .map(|(kind, skip)| PlannedPhase {
                    kind,
                    length_us: micros(scope.lengths(phases).of(kind)),
                    skip,
                })
                .collect(),
            cooldown_us: micros(phases.cooldown),
        }
    }
}

impl Plan {
    /// The same with a time box in which a backup drill of so many documents, done so many times, can
    /// end: a large one is not cut off by the length that is right for a small one.
    #[must_use]
    pub fn with_room_for(mut self, documents: u64, times: u64) -> Self {
        let least = documents.saturating_mul(DRILL_PER_DOCUMENT_US).saturating_mul(times);
        for phase in &mut self.phases {
            if phase.kind == PhaseKind::Backup {
                phase.length_us = phase.length_us.max(least);
            }
        }
        self
    }
}

impl Scope {
    const fn lengths(&self, phases: &Phases) -> Lengths {
        match self {
            Self::Quick => phases.quick,
            Self::Extended => phases.extended,
            Self::Dr => phases.dr,
            Self::Full | Self::Only(_) | Self::Limit | Self::Demo => phases.full,
        }
    }

    /// Length (load) or time box (everything else) of a phase in it.
    pub const fn length(&self, phases: &Phases, phase: PhaseKind) -> Duration {
        self.lengths(phases).of(phase).get()
    }

    fn name(&self) -> String {
        match self {
            Self::Full => "full".into(),
            Self::Quick => "quick".into(),
            Self::Extended => "extended".into(),
            Self::Dr => "dr".into(),
            Self::Limit => "limit".into(),
            Self::Demo => "demo".into(),
            Self::Only(only) => only.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" + "),
        }
    }
}

fn micros(span: TimeSpan) -> u64 {
    u64::try_from(span.get().as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_kinds(scope: &Scope, skip: &[PhaseKind]) -> Vec<PhaseKind> {
        let plan = Plan::new(&Phases::default(), scope, skip);
        assert_eq!(plan.phases.len(), PhaseKind::ALL.len(), "every phase is in the plan");
        plan.phases.iter().filter(|phase| !phase.skip).map(|phase| phase.kind).collect()
    }

    #[test]
    fn scopes_choose_phases() {
        use PhaseKind::{Backup, Chaos, Mixed, Security, Slo};
        assert_eq!(run_kinds(&Scope::Full, &[]), PhaseKind::ALL);
        assert_eq!(run_kinds(&Scope::Quick, &[]), [Mixed, Security, Backup, Slo]);
        assert_eq!(run_kinds(&Scope::Limit, &[]), [Mixed], "no objective is judged by it");
        assert_eq!(run_kinds(&Scope::Extended, &[Chaos]).len(), PhaseKind::ALL.len() - 1);
        assert_eq!(run_kinds(&Scope::Dr, &[]), [Backup]);
        assert_eq!(run_kinds(&Scope::Only(vec![Mixed]), &[]), [Mixed, Slo]);
        assert_eq!(run_kinds(&Scope::Only(vec![Chaos]), &[]), [Chaos]);
        assert_eq!(run_kinds(&Scope::Quick, &[Mixed, Backup]), [Security, Slo]);
    }

    #[test]
    fn the_time_box_of_a_drill_follows_its_size() {
        let plan = || Plan::new(&Phases::default(), &Scope::Only(vec![PhaseKind::Backup]), &[]);
        let of = |plan: Plan, kind| plan.phases.iter().find(|p| p.kind == kind).map(|p| p.length());
        let small = of(plan().with_room_for(1000, 2), PhaseKind::Backup);
        assert_eq!(small, of(plan(), PhaseKind::Backup), "as configured");
        let large = of(plan().with_room_for(100_000, 2), PhaseKind::Backup);
        assert_eq!(large, Some(Duration::from_secs(4000)));
        let others = of(plan().with_room_for(100_000, 2), PhaseKind::Chaos);
        assert_eq!(others, of(plan(), PhaseKind::Chaos));
    }

    #[test]
    fn a_phase_that_is_asked_for_by_name_runs_whatever_is_configured() {
        use PhaseKind::{Backup, Chaos, Mixed, Slo};
        let phases =
            Phases { order: vec![Mixed, Chaos, Slo], skip: vec![Chaos], ..Phases::default() };
        let kinds = |scope: &Scope, skip: &[PhaseKind]| -> Vec<PhaseKind> {
            let plan = Plan::new(&phases, scope, skip);
            plan.phases.iter().filter(|phase| !phase.skip).map(|phase| phase.kind).collect()
        };
        assert_eq!(kinds(&Scope::Full, &[]), [Mixed, Slo]);
        assert_eq!(kinds(&Scope::Only(vec![Chaos, Backup]), &[]), [Chaos, Backup]);
        assert_eq!(kinds(&Scope::Only(vec![Chaos, Backup]), &[Backup]), [Chaos]);
    }
}
