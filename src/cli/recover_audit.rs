//! What security audits wrote whose engines were killed: removed by `recover`, and by the next engine
//! that starts here, which names what else earlier runs may have left.

use super::exit::{CliError, say, say_error};
use super::order::EngineOrder;
use super::recover::{Undone, left_documents};
use super::report;
use crate::config::PhaseKind;
use crate::run::event::{EventBody, SecurityEvent, Written};
use crate::run::folder::RunFolder;
use crate::run::recovery::{self, RecordedRun};
use crate::run::state::RunState;
use crate::security;
use crate::slo::SloJudge;

/// Earlier runs that an engine looks at when it starts; `recover` looks at all.
const LATEST: usize = 20;

/// What became of what an audit left.
const UNDONE: &str = "things that its audit wrote or replaced are undone now";

/// What an audit wrote or replaced and has not shown to be undone.
pub fn left_by_audit(state: &RunState) -> Vec<Written> {
    let audits = state.phases.iter().filter_map(|phase| phase.security.as_ref());
    audits.flat_map(|audit| audit.residue.clone()).collect()
}

fn still_there((one, reason): &(Written, String)) -> String {
    format!("still there: {} at {}: {reason}", one.name, one.place)
}

/// Undoes what an audit left, and says so; returns how much of it is not shown to be undone.
///
/// # Errors
/// When it cannot be tried, or put on record.
pub async fn recover_audit(
    run: &RunFolder,
    state: &mut RunState,
    written: &[Written],
) -> Result<u64, CliError> {
    let left = remove(run, state, written).await?;
    let (id, n) = (run.id(), written.len());
    say(format_args!("run {id}, security: {} of {n} {UNDONE}", n - left.len()));
    left.iter().for_each(|left| say_error(&still_there(left)));
    Ok(left.len() as u64)
}

/// Removes what the latest audits beside a run wrote and did not remove, and names the runs that may have
/// left more. One that cannot be cleaned keeps nobody from starting.
pub async fn clean_earlier(own: &RunFolder) -> Undone {
    let mut all = Undone::default();
    let Some(runs) = own.path().parent() else { return all };
    let mut earlier = RunFolder::list(runs);
    earlier.retain(|run| run.id() != own.id());
    // Those that go on are none of these, however many there are.
    for run in earlier.iter().rev().filter(|run| !run.has_live_engine()).take(LATEST) {
        let recorded = recovery::open(run, &SloJudge).map(RecordedRun::on_record);
        let Ok(Ok(mut state)) = recorded else { continue };
        let (id, written) = (run.id(), left_by_audit(&state));
        let n = written.len();
        match remove(run, &mut state, &written).await {
            Ok(left) => {
                let undone = n - left.len();
                all.healed.extend((undone > 0).then(|| format!("run {id}: {undone} {UNDONE}")));
                let left = left.iter().map(|left| format!("run {id}: {}", still_there(left)));
                all.unhealed.extend(left);
            }
            Err(error) => all.unhealed.push(format!("run {id}: what its audit left: {error}")),
        }
        if left_documents(run, &state) {
            all.unhealed.push(format!(
                "run {id} may have left documents: `shakedown recover {id}` removes them"
            ));
        }
    }
    all
}

/// Removes what was written and puts that on record; returns what is left, with the reason.
async fn remove(
    run: &RunFolder,
    state: &mut RunState,
    written: &[Written],
) -> Result<Vec<(Written, String)>, CliError> {
    if written.is_empty() {
        return Ok(Vec::new());
    }
    let order: EngineOrder = run.read_order().map_err(CliError::usage)?;
    let (left, detail) = if order.sandbox {
        (Vec::new(), "it went with its sandbox")
    } else {
        let left = security::remove_leftovers(&order.config, written).await;
        (left.map_err(CliError::usage)?, "")
    };
    let reason = |one: &Written| {
        left.iter().find(|(name, _)| *name == one.name).map(|(_, reason)| reason.clone())
    };
    for one in written {
        let why = reason(one);
        let removed = SecurityEvent::Removed {
            name: one.name.clone(),
            gone: why.is_none(),
            detail: why.unwrap_or_else(|| detail.to_owned()),
        };
        recovery::add(run, state, PhaseKind::Security, EventBody::Security(removed))
            .map_err(CliError::usage)?;
    }
    report::rebuild(run, state)?;
    Ok(written.iter().filter_map(|one| Some((one.clone(), reason(one)?))).collect())
}
