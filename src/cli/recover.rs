//! `shakedown recover`: removes what runs left behind whose engine was killed.

use std::fmt;

use super::exit::{CliError, Exit, say, say_error};
use super::order::EngineOrder;
use super::recover_audit::{left_by_audit, recover_audit};
use super::{ConfigArgs, report, runs, runtime};
use crate::backup;
use crate::chaos;
use crate::config::PhaseKind;
use crate::load;
use crate::run::event::{CleanupReport, EventBody, LoadEvent, StoreEvent};
use crate::run::folder::RunFolder;
use crate::run::recovery;
use crate::run::state::RunState;
use crate::run::state_dir::StateDir;
use crate::slo::{self, SloJudge};

/// Options of `recover`.
#[derive(clap::Args)]
pub struct RecoverArgs {
    /// Id of the run (or its beginning or end), or its folder; without one all runs here
    id: Option<String>,
}

/// Runs the command.
pub fn run(config: &ConfigArgs, args: &RecoverArgs) -> Result<Exit, CliError> {
    let undone = runtime(2)?.block_on(undo_leftovers())?;
    undone.lines().for_each(|line| say_error(&line));
    let folder = runs::folder(config)?;
    let chosen = match &args.id {
        Some(id) => vec![RunFolder::named(&folder, &[], id).map_err(CliError::usage)?],
        None => RunFolder::list(&folder),
    };
    let mut left = undone.unhealed.len() as u64;
    let mut found = undone.lines().next().is_some();
    for run in chosen.iter().filter(|run| !run.has_live_engine()) {
        let parts = or_all(vec![1], format_args!("run {}", run.id()), recover_run(run));
        found |= !parts.is_empty();
        left += parts.iter().sum::<u64>();
    }
    if !found {
        say("nothing to recover: no run here left anything behind");
    }
    Ok(if left == 0 { Exit::Pass } else { Exit::Fail })
}

/// Removes what a run left; returns of each part of it how much could not be removed.
fn recover_run(run: &RunFolder) -> Result<Vec<u64>, CliError> {
    let recorded = recovery::open(run, &SloJudge).map_err(CliError::usage)?;
    let mut state = recorded.on_record().map_err(CliError::usage)?;
    let (id, mut left) = (run.id(), Vec::new());
    for (phase, last) in leftovers(&state) {
        let recovered = recover(run, &mut state, phase, last);
        left.push(or_all(last, format_args!("run {id}, {phase}"), recovered));
    }
    let made = state.stores.made.len() as u64;
    if made > 0 {
        let recovered = recover_stores(run, &mut state);
        left.push(or_all(made, format_args!("run {id}, stores"), recovered));
    }
    let written = left_by_audit(&state);
    if !written.is_empty() {
        let recovered = runtime(2)?.block_on(recover_audit(run, &mut state, &written));
        left.push(or_all(written.len() as u64, format_args!("run {id}, security"), recovered));
    }
    Ok(left)
}

/// What is left; all of it where an error came between, which is said and keeps nothing else from being
/// recovered.
fn or_all<T>(all: T, whose: fmt::Arguments<'_>, recovered: Result<T, CliError>) -> T {
    recovered.unwrap_or_else(|error| {
        say_error(&format_args!("{whose}: {error}"));
        all
    })
}

/// What became of what engines left that were killed, a line for each.
#[derive(Clone, Debug, Default)]
pub struct Undone {
    /// Those of which nothing is left.
    pub healed: Vec<String>,
    /// Those that could not be undone; they stay on record.
    pub unhealed: Vec<String>,
}

impl Undone {
    /// All of it.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.healed.iter().chain(&self.unhealed).cloned()
    }
}

/// Undoes what engines left that were killed, whatever directory they were started from: their faults,
/// and what their drills put into stores.
pub async fn undo_leftovers() -> Result<Undone, CliError> {
    let mut all = heal_faults().await?;
    let drills = clean_drills().await?;
    all.healed.extend(drills.healed);
    all.unhealed.extend(drills.unhealed);
    Ok(all)
}

async fn heal_faults() -> Result<Undone, CliError> {
    let state = StateDir::open().map_err(CliError::usage)?;
    let mut all = Undone::default();
    for one in chaos::heal_leftovers(&state).await.map_err(CliError::usage)? {
        let (run, residue) = (one.run_id, one.residue.join(", "));
        match one.residue.is_empty() {
            true => all.healed.push(format!("run {run}: {}", one.deed)),
            false => all.unhealed.push(format!("run {run}: cannot be healed: {residue}")),
        }
    }
    Ok(all)
}

/// Removes what drills of killed engines put into stores.
pub async fn clean_drills() -> Result<Undone, CliError> {
    let state = StateDir::open().map_err(CliError::usage)?;
    let mut all = Undone::default();
    for one in backup::clean_leftovers(&state).await.map_err(CliError::usage)? {
        let (run, what, residue) = (one.run_id, one.what, one.residue.join(", "));
        match one.residue.is_empty() {
            true => all.healed.push(format!("run {run}: {what}, left by its drill, is removed")),
            false => all.unhealed.push(format!("run {run}: {what} cannot be removed: {residue}")),
        }
    }
    Ok(all)
}

/// Whether a run that is over left anything in the platform that `recover` can still undo. What was left in
/// a practice platform of its own went with it.
pub fn left_anything(run: &RunFolder, state: &RunState) -> bool {
    let audited = !left_by_audit(state).is_empty() && !went_with_its_sandbox(run);
    audited || left_documents(run, state)
}

/// Whether that is documents, or what was made in stores to ask them.
pub fn left_documents(run: &RunFolder, state: &RunState) -> bool {
    let any = !leftovers(state).is_empty() || !state.stores.made.is_empty();
    any && !went_with_its_sandbox(run)
}

fn went_with_its_sandbox(run: &RunFolder) -> bool {
    run.read_order::<EngineOrder>().is_ok_and(|order| order.sandbox)
}

/// Phases that announced documents and did not come to remove all of them.
fn leftovers(state: &RunState) -> Vec<(PhaseKind, u64)> {
    let loads = state.phases.iter().filter_map(|phase| Some((phase.kind, phase.load.as_ref()?)));
    let unclean =
        loads.filter(|(_, load)| load.cleanup.as_ref().is_none_or(|c| c.remaining_count > 0));
    unclean.filter_map(|(kind, load)| Some((kind, load.write_block?))).collect()
}

/// Removes what was made in the stores to ask them; returns how much could not be removed.
fn recover_stores(run: &RunFolder, state: &mut RunState) -> Result<u64, CliError> {
    let id = run.id();
    let order: EngineOrder = run.read_order().map_err(CliError::usage)?;
    let mut left = 0;
    let events = if order.sandbox {
        slo::gone_with_their_stores(state)
    } else {
        runtime(1)?.block_on(slo::remove_leftovers(&order.config, &id, state))
    };
    for event in events {
        if let StoreEvent::Removed { kind, name, residue } = &event {
            match residue {
                None => say(format_args!("run {id}: {kind} `{name}` is removed and absent")),
                Some(why) => {
                    left += 1;
                    say_error(&format_args!("run {id}: {kind} `{name}`: {why}"));
                }
            }
        }
        recovery::add(run, state, PhaseKind::Slo, EventBody::Stores(event))
            .map_err(CliError::usage)?;
    }
    report::rebuild(run, state)?;
    Ok(left)
}

/// Removes the documents of a phase; returns how many could not be removed.
fn recover(
    run: &RunFolder,
    state: &mut RunState,
    phase: PhaseKind,
    last: u64,
) -> Result<u64, CliError> {
    let id = run.id();
    let order: EngineOrder = run.read_order().map_err(CliError::usage)?;
    if order.sandbox {
        say(format_args!("run {id}: its sandbox is gone, and what was written with it"));
        let gone = CleanupReport { written: last, removed: last, ..CleanupReport::default() };
        recovery::add(run, state, phase, EventBody::Load(LoadEvent::Cleanup(gone)))
            .map_err(CliError::usage)?;
        report::rebuild(run, state)?;
        return Ok(0);
    }
    let removal = load::remove_leftovers(&order.config, &id, phase, last);
    let report = runtime(1)?.block_on(removal).map_err(CliError::usage)?;
    say(format_args!(
        "run {id}, {phase}: of the {} document ids on record as possibly written, {} are absent now, \
         {} could not be removed",
        report.written, report.removed, report.remaining_count
    ));
    for document in &report.remaining {
        say_error(&format_args!("still there: {document}"));
    }
    let left = report.remaining_count;
    recovery::add(run, state, phase, EventBody::Load(LoadEvent::Cleanup(report)))
        .map_err(CliError::usage)?;
    report::rebuild(run, state)?;
    Ok(left)
}
