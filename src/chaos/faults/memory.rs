//! Memory used up beside a target: it has to go on serving, and to have its memory back afterwards.

use rand::rngs::StdRng;

use crate::chaos::plan::{Experiment, Impossible, single};
use crate::chaos::runtime::{Fault, Target};
use crate::config::{Chaos, ExperimentKind};

/// Uses up memory in the group of one target.
///
/// # Errors
/// When there is none that may be disturbed.
pub fn plan(
    chaos: &Chaos,
    eligible: &[&Target],
    random: &mut StdRng,
) -> Result<Experiment, Impossible> {
    let fault = Fault::Memory {
        bytes: chaos.memory.mebibytes << 20,
        length: chaos.memory.length.get(),
        allow_oom: chaos.memory.allow_oom,
    };
    // Who may be killed has to be one that comes back, as at a kill.
    let may_die = |target: &&&Target| !chaos.memory.allow_oom || target.unkillable.is_none();
    let eligible: Vec<&Target> = eligible.iter().filter(may_die).copied().collect();
    single(chaos, ExperimentKind::Memory, fault, &eligible, random)
}
