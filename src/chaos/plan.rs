//! Which experiments are made on what: seeded choices among the targets that may be broken.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::faults::{cpu, kill, memory, partition};
use super::runtime::{Fault, Target};
use crate::config::{Chaos, ExperimentKind, ServiceKind};

/// One experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// Which kind.
    pub kind: ExperimentKind,
    /// What it does, in words.
    pub title: String,
    /// The faults, one after the other.
    pub strikes: Vec<(Target, Fault)>,
    /// The services that may suffer: those of the targets, and those that depend on them.
    pub blast: BTreeSet<ServiceKind>,
    /// What should be known about the choice.
    pub notes: Vec<String>,
}

impl Experiment {
    /// The least that it takes: with less time left it is not begun.
    pub fn least_time(&self, chaos: &Chaos) -> Duration {
        let strikes: Duration = self.strikes.iter().map(|(_, fault)| least_of(fault)).sum();
        chaos.steady.baseline.get() + strikes
    }

    /// Every target that it needs: those that are struck, and those that they are cut off from.
    pub fn needs(&self) -> Vec<&Target> {
        let peers = self.strikes.iter().flat_map(|(_, fault)| match fault {
            Fault::Cut { peers, .. } => peers.as_slice(),
            _ => &[],
        });
        self.strikes.iter().map(|(target, _)| target).chain(peers).collect()
    }
}

/// The least that a fault takes.
pub fn least_of(fault: &Fault) -> Duration {
    fault.length() + Duration::from_secs(1)
}

/// Why an experiment that takes at least so long is not begun any more.
pub fn out_of_time(needed: Duration) -> String {
    format!("it needs {} s, and the phase's time is over", needed.as_secs())
}

/// Names everything that a fault creates, by the run and the number of the fault in it.
pub fn token(run_id: &str, number: u32) -> String {
    format!("shakedown-{run_id}-{number}")
}

/// How long a target has to have been up before this fault: one that has just been started would show
/// its engine's restart delay when it is killed.
pub fn least_uptime(chaos: &Chaos, fault: &Fault) -> Duration {
    if *fault == Fault::Kill { chaos.kill.min_uptime.get() } else { Duration::ZERO }
}

/// For how long a target that has been up for so long has to be waited for before this fault.
pub fn missing_uptime(chaos: &Chaos, uptime: Duration, fault: &Fault) -> Duration {
    least_uptime(chaos, fault).saturating_sub(uptime)
}

/// A kind of experiment that cannot be made, and why.
pub type Impossible = (ExperimentKind, String);

/// Mixed into the run's seed, so that the choice of targets is not the load's.
const SEED_OF_CHOICES: u64 = 0xc4a0_5eed;

/// The experiments that are asked for, in order, on these targets; `seed` is the run's.
pub fn experiments(
    chaos: &Chaos,
    targets: &[Target],
    seed: u64,
) -> Vec<Result<Experiment, Impossible>> {
    let mut random = StdRng::seed_from_u64(seed ^ SEED_OF_CHOICES);
    let mut eligible: Vec<&Target> = targets.iter().filter(|t| t.excluded.is_none()).collect();
    // A runtime lists in an order of its own, such as what is newest first.
    eligible.sort_by(|one, other| one.name.cmp(&other.name));
    let mut planned = Vec::new();
    for kind in &chaos.experiments {
        match kind {
            ExperimentKind::Kill => planned.push(kill::plan(chaos, &eligible, &mut random)),
            ExperimentKind::Cpu => planned.push(cpu::plan(chaos, &eligible, &mut random)),
            ExperimentKind::Memory => planned.push(memory::plan(chaos, &eligible, &mut random)),
            ExperimentKind::Partition => planned.extend(partition::plan(chaos, &eligible)),
        }
    }
    planned
}

/// A fault of one target, chosen at random.
pub(super) fn single(
    chaos: &Chaos,
    kind: ExperimentKind,
    fault: Fault,
    eligible: &[&Target],
    random: &mut StdRng,
) -> Result<Experiment, Impossible> {
    // What the fault does to a service that nobody asks cannot be seen.
    let served: Vec<&Target> = eligible.iter().copied().filter(|t| t.service.is_some()).collect();
    let target = served.choose(random).or_else(|| eligible.choose(random)).copied();
    let target = target.ok_or((kind, "there is no target that may be disturbed".to_owned()))?;
    Ok(Experiment {
        kind,
        title: fault.words(target),
        blast: blast(chaos, &[target]),
        strikes: vec![(target.clone(), fault)],
        notes: Vec::new(),
    })
}

/// The services of the targets, and whatever depends on them, directly or not.
pub(super) fn blast(chaos: &Chaos, targets: &[&Target]) -> BTreeSet<ServiceKind> {
    let mut blast: BTreeSet<ServiceKind> = targets.iter().filter_map(|t| t.service).collect();
    loop {
        let before = blast.len();
        for (service, needs) in &chaos.depends_on {
            if needs.iter().any(|need| blast.contains(need)) {
                blast.insert(*service);
            }
        }
        if blast.len() == before {
            return blast;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::runtime::Instance;
    use crate::config::BlastRadius;

    fn targets() -> Vec<Target> {
        let target = |name: &str, service| Target {
            id: name.into(),
            name: name.into(),
            place: String::new(),
            service,
            excluded: None,
            unkillable: None,
            protected: false,
            instance: Instance::default(),
        };
        let mut store = target("postgres", None);
        store.excluded = Some("its image is a store's".into());
        store.protected = true;
        vec![
            target("chat", Some(ServiceKind::Chat)),
            target("rag", Some(ServiceKind::Rag)),
            target("mcp", Some(ServiceKind::Mcp)),
            target("worker", None),
            store,
        ]
    }

    fn chaos() -> Chaos {
        Chaos {
            depends_on: [(ServiceKind::Rag, vec![ServiceKind::Chat])].into(),
            ..Chaos::default()
        }
    }

    #[test]
    fn the_choice_depends_on_the_seed_alone_and_never_falls_on_a_store() {
        let mut chosen = BTreeSet::new();
        for seed in 0..50 {
            let plan = experiments(&chaos(), &targets(), seed);
            let listed_otherwise: Vec<Target> = targets().into_iter().rev().collect();
            assert_eq!(plan, experiments(&chaos(), &listed_otherwise, seed));
            for experiment in plan.into_iter().flatten() {
                for (target, _) in &experiment.strikes {
                    assert!(!target.protected, "{experiment:?}");
                    chosen.insert(target.name.clone());
                }
            }
        }
        assert_eq!(chosen.len(), 4, "every other target is chosen at some time");
    }

    #[test]
    fn too_few_targets_are_said_so() {
        let mut few = targets();
        few[0].unkillable = Some("it has no restart policy".into());
        few[1].excluded = Some("it is paused".into());
        let plan = experiments(&chaos(), &few, 1);
        let kill = plan[0].as_ref().expect("possible");
        assert_eq!((kill.strikes.len(), kill.notes.len()), (2, 1));
        assert!(plan.iter().any(|one| matches!(one, Err((ExperimentKind::Partition, _)))));
    }

    #[test]
    fn the_blast_radius_limits_how_many_are_killed_and_says_so() {
        let killed = |radius| {
            let chaos = Chaos { blast_radius: radius, ..chaos() };
            let plan = experiments(&chaos, &targets(), 1);
            let kill = plan[0].as_ref().expect("possible").clone();
            (kill.strikes.len(), kill.notes.join(", "))
        };
        assert_eq!(killed(BlastRadius::default()), (3, String::new()));
        let (count, note) = killed(BlastRadius { targets: Some(2), percent: 100.0 });
        assert_eq!((count, note.as_str()), (2, "2 of 3: chaos.blast_radius allows 2 of 4 targets"));
        let share = |percent| killed(BlastRadius { targets: None, percent }).0;
        assert_eq!((share(50.0), share(74.0), share(1.0)), (2, 2, 1));
        assert_eq!(killed(BlastRadius { targets: Some(3), percent: 25.0 }).0, 1, "the smaller one");
    }

    #[test]
    fn one_of_several_that_serve_the_same_is_not_cut_off() {
        let mut several = targets();
        several[3].service = Some(ServiceKind::Rag);
        let plan = experiments(&chaos(), &several, 1);
        let (kind, why) = plan.last().expect("planned").as_ref().expect_err("not possible");
        assert_eq!(*kind, ExperimentKind::Partition);
        assert!(why.contains("rag, worker all serve rag"), "{why}");
        // As peers they are cut off together.
        several[3].service = Some(ServiceKind::Chat);
        let plan = experiments(&chaos(), &several, 1);
        let cut = plan.last().expect("planned").as_ref().expect("possible");
        assert!(matches!(&cut.strikes[0].1, Fault::Cut { peers, .. } if peers.len() == 2));
    }

    #[test]
    fn who_depends_on_a_target_may_suffer_with_it() {
        let plan = experiments(&chaos(), &targets(), 1);
        let cut = plan.last().expect("planned").as_ref().expect("possible");
        assert_eq!(cut.blast, [ServiceKind::Rag].into(), "chat is cut off, and must not notice");
        let chat = &targets()[0];
        assert_eq!(blast(&chaos(), &[chat]), [ServiceKind::Chat, ServiceKind::Rag].into());
    }
}
