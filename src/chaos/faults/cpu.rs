//! A target's CPU used up: it has to go on serving with the share that is left.

use rand::rngs::StdRng;

use crate::chaos::plan::{Experiment, Impossible, single};
use crate::chaos::runtime::{Fault, Target};
use crate::config::{Chaos, ExperimentKind};

/// Saturates the CPU of one target.
///
/// # Errors
/// When there is none that may be disturbed.
pub fn plan(
    chaos: &Chaos,
    eligible: &[&Target],
    random: &mut StdRng,
) -> Result<Experiment, Impossible> {
    let fault = Fault::Cpu { length: chaos.cpu.length.get() };
    single(chaos, ExperimentKind::Cpu, fault, eligible, random)
}
