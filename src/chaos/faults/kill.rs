//! Killing: several containers one after the other, which their restart policy has to bring back.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::chaos::plan::{Experiment, Impossible, blast};
use crate::chaos::runtime::{Fault, Target};
use crate::config::{Chaos, ExperimentKind};

/// Kills as many as are asked for and as the blast radius allows, of those that would come back.
///
/// # Errors
/// When there is none.
pub fn plan(
    chaos: &Chaos,
    eligible: &[&Target],
    random: &mut StdRng,
) -> Result<Experiment, Impossible> {
    let mut chosen: Vec<&Target> =
        eligible.iter().copied().filter(|target| target.unkillable.is_none()).collect();
    let allowed = chaos.blast_radius.of(eligible.len());
    let wanted = chaos.kill.count;
    if chosen.is_empty() || wanted == 0 {
        return Err((ExperimentKind::Kill, "there is no target that may be killed".into()));
    }
    chosen.shuffle(random);
    let may_be = chosen.len();
    chosen.truncate(wanted.min(allowed));
    let names: Vec<&str> = chosen.iter().map(|target| target.name.as_str()).collect();
    let mut notes = Vec::new();
    if chosen.len() < wanted {
        let why = if may_be > allowed {
            format!("chaos.blast_radius allows {allowed} of {} targets", eligible.len())
        } else {
            "no more targets may be killed".to_owned()
        };
        notes.push(format!("{} of {wanted}: {why}", chosen.len()));
    }
    Ok(Experiment {
        kind: ExperimentKind::Kill,
        title: format!("kill {}", names.join(", ")),
        blast: blast(chaos, &chosen),
        strikes: chosen.into_iter().map(|target| (target.clone(), Fault::Kill)).collect(),
        notes,
    })
}
