//! What an experiment amounts to.

use std::time::Duration;

use super::board::{Board, unsteady};
use super::faults::partition::conduct;
use super::plan::Experiment;
use super::score;
use super::strike::Struck;
use crate::config::{ExperimentKind, SteadyRules};
use crate::run::event::{ExperimentResult, Verdict};
use crate::run::state::IF_LEFT;

/// Judges an experiment whose faults were injected, healed and measured.
pub fn judge(
    experiment: &Experiment,
    struck: &[Struck],
    rules: &SteadyRules,
    board: &Board,
    result: &mut ExperimentResult,
) {
    let recovered: Option<Vec<Duration>> = struck.iter().map(|one| one.recovery).collect();
    let slowest = recovered.as_ref().and_then(|all| all.iter().max().copied());
    result.recovery_us = slowest.map(|slowest| slowest.as_micros() as u64);
    let before = |row: &crate::run::event::SteadyFigures| {
        result.before.iter().find(|of| of.service == row.service)
    };
    let trouble = |rows: &[crate::run::event::SteadyFigures], all: bool| -> Vec<String> {
        let wanted = rows.iter().filter(|row| all || !experiment.blast.contains(&row.service));
        wanted.filter_map(|row| unsteady(row, before(row), rules)).collect()
    };
    let (cascade, after) = (trouble(&result.during, false), trouble(&result.after, true));
    let unsettled = struck.iter().find_map(|one| one.unsettled.clone());
    let unsettled = unsettled.map(|words| format!("its memory is not back: {words}"));
    let suffering = unresponsive(experiment, rules, result).or(unsettled);
    let conduct = conduct(experiment, struck, board);
    result.notes.extend(conduct.iter().map(|(words, _)| words.clone()));
    let (verdict, reason) = decide(&Facts {
        effective: result.effective == Some(true),
        restarted: struck.iter().any(|one| one.restarted),
        removed: struck.iter().any(|one| one.removed),
        recovery: slowest,
        unstable: struck.iter().rev().find_map(|one| one.unstable.clone()),
        limit: Duration::from_micros(result.recovery_limit_us),
        cascade: cascade.join(", "),
        suffering,
        bad_conduct: conduct.and_then(|(words, bad)| bad.then_some(words)),
        unsteady_after: after.join(", "),
        evidence: result.evidence.join("; "),
    });
    (result.verdict, result.reason) = (verdict, reason);
    result.steady_after = Some(after.is_empty());
    result.points = score::points(result);
}

/// Fails an experiment of which something could not be undone, whatever else ended it: that comes first
/// in what is said of it.
pub fn heed_residue(result: &mut ExperimentResult) {
    if !result.residue.is_empty() {
        result.verdict = Verdict::Fail;
        let left = result.residue.join(", ");
        result.reason = format!("could not be undone: {left}; {IF_LEFT}; {}", result.reason);
    }
}

struct Facts {
    effective: bool,
    restarted: bool,
    removed: bool,
    recovery: Option<Duration>,
    /// What kept a target that did not recover from being stable.
    unstable: Option<String>,
    limit: Duration,
    cascade: String,
    suffering: Option<String>,
    bad_conduct: Option<String>,
    unsteady_after: String,
    evidence: String,
}

fn decide(facts: &Facts) -> (Verdict, String) {
    if facts.removed {
        let reason =
            "the target was removed meanwhile: whether it would have recovered is not known";
        return (Verdict::Inconclusive, reason.into());
    }
    if facts.restarted && facts.effective {
        let reason = "it crashed under the fault: the target was restarted or stopped during it";
        return (Verdict::Fail, format!("{reason} ({})", facts.evidence));
    }
    if facts.restarted {
        let reason = "the target was restarted during the fault before it had a proven effect";
        return (Verdict::Invalid, reason.into());
    }
    if !facts.effective {
        return (Verdict::Invalid, format!("the fault had no proven effect: {}", facts.evidence));
    }
    let Some(recovery) = facts.recovery else {
        let what = facts.unstable.as_deref().unwrap_or("what was missing is not known");
        let reason = format!("not steady again within {} s: {what}", facts.limit.as_secs());
        return (Verdict::Fail, reason);
    };
    if !facts.cascade.is_empty() {
        return (Verdict::Fail, format!("cascading failure: {}", facts.cascade));
    }
    if let Some(suffering) = facts.suffering.as_ref().or(facts.bad_conduct.as_ref()) {
        return (Verdict::Fail, suffering.clone());
    }
    if !facts.unsteady_after.is_empty() {
        return (Verdict::Fail, format!("not steady afterwards: {}", facts.unsteady_after));
    }
    (Verdict::Pass, format!("steady again after {:.1} s", recovery.as_secs_f64()))
}

/// Under CPU and memory pressure the target itself has to go on serving.
fn unresponsive(
    experiment: &Experiment,
    rules: &SteadyRules,
    result: &ExperimentResult,
) -> Option<String> {
    if !matches!(experiment.kind, ExperimentKind::Cpu | ExperimentKind::Memory) {
        return None;
    }
    let own = experiment.strikes.iter().filter_map(|(target, _)| target.service);
    let own: Vec<_> = own.collect();
    // Slower than before is what pressure does; above the limit is not.
    let rows = result.during.iter().filter(|row| own.contains(&row.service));
    let trouble: Vec<String> = rows.filter_map(|row| unsteady(row, None, rules)).collect();
    (!trouble.is_empty()).then(|| format!("not responsive under pressure: {}", trouble.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_fact_decides() {
        let good = || Facts {
            effective: true,
            restarted: false,
            removed: false,
            recovery: Some(Duration::from_secs(3)),
            unstable: None,
            limit: Duration::from_secs(60),
            cascade: String::new(),
            suffering: None,
            bad_conduct: None,
            unsteady_after: String::new(),
            evidence: String::new(),
        };
        assert_eq!(decide(&good()).0, Verdict::Pass);
        assert_eq!(decide(&Facts { effective: false, ..good() }).0, Verdict::Invalid);
        assert_eq!(decide(&Facts { restarted: true, ..good() }).0, Verdict::Fail);
        assert_eq!(decide(&Facts { removed: true, ..good() }).0, Verdict::Inconclusive);
        let ended = Facts { restarted: true, effective: false, ..good() };
        assert_eq!(decide(&ended).0, Verdict::Invalid);
        let what = Some("rag (health): 2 of 5 good answers in a row".to_owned());
        let (verdict, words) = decide(&Facts { recovery: None, unstable: what, ..good() });
        assert_eq!(verdict, Verdict::Fail);
        let whose = "not steady again within 60 s: rag (health): 2 of 5 good answers in a row";
        assert_eq!(words, whose);
        assert_eq!(decide(&Facts { cascade: "mcp".into(), ..good() }).0, Verdict::Fail);
    }
}
