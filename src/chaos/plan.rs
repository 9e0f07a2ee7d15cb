//! Which experiments are made on what: seeded choices among the targets that may be broken.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::runtime::{Fault, Target};
use crate::config::{Chaos, CutKind, ExperimentKind, ServiceKind};

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

/// A kind of experiment that cannot be made, and why.
pub type Impossible = (ExperimentKind, String);

/// The experiments that are asked for, in order, on these targets.
pub fn experiments(
    chaos: &Chaos,
    targets: &[Target],
    seed: u64,
) -> Vec<Result<Experiment, Impossible>> {
    let mut random = StdRng::seed_from_u64(seed);
    let eligible: Vec<&Target> = targets.iter().filter(|t| t.excluded.is_none()).collect();
    let mut planned = Vec::new();
    for kind in &chaos.experiments {
        match kind {
            ExperimentKind::Kill => planned.push(kill(chaos, &eligible, &mut random)),
            ExperimentKind::Cpu => {
                let fault = Fault::Cpu { length: chaos.cpu.length.get() };
                planned.push(single(chaos, *kind, fault, &eligible, &mut random));
            }
            ExperimentKind::Memory => {
                let fault = Fault::Memory {
                    bytes: chaos.memory.mebibytes << 20,
                    length: chaos.memory.length.get(),
                    allow_oom: chaos.memory.allow_oom,
                };
                planned.push(single(chaos, *kind, fault, &eligible, &mut random));
            }
            ExperimentKind::Partition => planned.extend(partitions(chaos, &eligible)),
        }
    }
    planned
}

fn kill(
    chaos: &Chaos,
    eligible: &[&Target],
    random: &mut StdRng,
) -> Result<Experiment, Impossible> {
    let mut chosen: Vec<&Target> =
        eligible.iter().copied().filter(|target| target.unkillable.is_none()).collect();
    let wanted = chaos.kill.count;
    if chosen.is_empty() || wanted == 0 {
        return Err((ExperimentKind::Kill, "there is no target that may be killed".into()));
    }
    chosen.shuffle(random);
    chosen.truncate(wanted);
    let names: Vec<&str> = chosen.iter().map(|target| target.name.as_str()).collect();
    let mut notes = Vec::new();
    if chosen.len() < wanted {
        notes.push(format!("{} of {wanted}: no more targets may be killed", chosen.len()));
    }
    Ok(Experiment {
        kind: ExperimentKind::Kill,
        title: format!("kill {}", names.join(", ")),
        blast: blast(chaos, &chosen),
        strikes: chosen.into_iter().map(|target| (target.clone(), Fault::Kill)).collect(),
        notes,
    })
}

fn single(
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

fn partitions(chaos: &Chaos, eligible: &[&Target]) -> Vec<Result<Experiment, Impossible>> {
    let dependencies =
        chaos.depends_on.iter().flat_map(|(from, to)| to.iter().map(|to| [*from, *to]));
    let pairs: Vec<[ServiceKind; 2]> = if chaos.partition.pairs.is_empty() {
        dependencies.collect()
    } else {
        chaos.partition.pairs.clone()
    };
    let impossible = |why: String| Err((ExperimentKind::Partition, why));
    if pairs.is_empty() {
        let why = "expected pairs of services in chaos.partition.pairs, or chaos.depends_on";
        return vec![impossible(why.into())];
    }
    let of = |service: ServiceKind| -> Vec<&Target> {
        eligible.iter().copied().filter(|target| target.service == Some(service)).collect()
    };
    let mut cuts: Vec<(ServiceKind, Vec<ServiceKind>, bool)> = Vec::new();
    for scenario in &chaos.partition.scenarios {
        match scenario {
            CutKind::Pair | CutKind::Reject => {
                let reject = *scenario == CutKind::Reject;
                cuts.extend(pairs.iter().map(|[from, to]| (*from, vec![*to], reject)));
            }
            CutKind::Isolate => {
                let callers: BTreeSet<ServiceKind> = pairs.iter().map(|[from, _]| *from).collect();
                cuts.extend(callers.into_iter().map(|from| {
                    let peers = pairs.iter().filter(|[of, _]| *of == from).map(|[_, to]| *to);
                    (from, peers.collect(), false)
                }));
            }
        }
    }
    cuts.into_iter()
        .map(|(from, peers, reject)| {
            let target = match of(from)[..] {
                [target] => target,
                [] => {
                    let why = format!("no target serves {from}, or it may not be disturbed");
                    return impossible(why);
                }
                // A cut of one of them would be hidden by the others.
                ref several => {
                    let names: Vec<&str> = several.iter().map(|one| one.name.as_str()).collect();
                    let names = names.join(", ");
                    return impossible(format!(
                        "{names} all serve {from}: expected one of them in chaos.serves"
                    ));
                }
            };
            let found: Vec<Vec<&Target>> = peers.iter().map(|peer| of(*peer)).collect();
            if found.iter().any(Vec::is_empty) {
                return impossible(format!("not every peer of {from} is a target"));
            }
            let peers = found.into_iter().flatten().cloned().collect();
            let fault = Fault::Cut { peers, reject, length: chaos.partition.length.get() };
            Ok(Experiment {
                kind: ExperimentKind::Partition,
                title: fault.words(target),
                blast: blast(chaos, &[target]),
                strikes: vec![(target.clone(), fault)],
                notes: Vec::new(),
            })
        })
        .collect()
}

/// The services of the targets, and whatever depends on them, directly or not.
fn blast(chaos: &Chaos, targets: &[&Target]) -> BTreeSet<ServiceKind> {
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
            assert_eq!(plan, experiments(&chaos(), &targets(), seed));
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
