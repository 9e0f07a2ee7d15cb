//! What an experiment amounts to.

use std::time::Duration;

use tokio::time::Instant;

use super::board::{Board, unsteady};
use super::plan::Experiment;
use super::runtime::Fault;
use super::score;
use super::strike::Struck;
use crate::config::{ExperimentKind, SteadyRules};
use crate::platform::probe::{Answered, HANGS_AFTER, Sample};
use crate::run::event::{ExperimentResult, Verdict};

/// Failures that take less than this did not wait for anybody.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Retries that multiply what is usual by more than this are a storm.
const STORM_FACTOR: f64 = 3.0;

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
        residue: result.residue.join(", "),
        effective: result.effective == Some(true),
        restarted: struck.iter().any(|one| one.restarted),
        recovery: slowest,
        limit: Duration::from_micros(result.recovery_limit_us),
        cascade: cascade.join(", "),
        suffering,
        bad_conduct: conduct.and_then(|(words, bad)| bad.then_some(words)),
        unsteady_after: after.join(", "),
        evidence: result.evidence.join("; "),
    });
    (result.verdict, result.reason) = (verdict, reason);
    result.points = score::points(result, after.is_empty());
}

struct Facts {
    residue: String,
    effective: bool,
    restarted: bool,
    recovery: Option<Duration>,
    limit: Duration,
    cascade: String,
    suffering: Option<String>,
    bad_conduct: Option<String>,
    unsteady_after: String,
    evidence: String,
}

fn decide(facts: &Facts) -> (Verdict, String) {
    if !facts.residue.is_empty() {
        return (Verdict::Fail, format!("could not be undone: {}", facts.residue));
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
        let reason = format!("not steady again within {} s", facts.limit.as_secs());
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

/// How the side that lost its peer behaved, and whether that is a failure.
fn conduct(experiment: &Experiment, struck: &[Struck], board: &Board) -> Option<(String, bool)> {
    let (target, fault) = experiment.strikes.first()?;
    let first = struck.first()?;
    let (from, to): (Instant, Instant) = first.lasted?;
    if !matches!(fault, Fault::Cut { .. }) {
        return None;
    }
    let samples = board.requests(target.service?, from, to);
    let asked = samples.len() as f64 / (to - from).as_secs_f64().max(1.0);
    let storm = first.connections.and_then(|connections| retry_storm(connections, asked));
    let (words, bad) = classify(&samples).unzip();
    let words: Vec<String> = words.into_iter().chain(storm.clone()).collect();
    if words.is_empty() {
        return None;
    }
    let bad = bad.unwrap_or(false) || storm.is_some();
    Some((format!("{}: {}", target.name, words.join("; ")), bad))
}

/// Whether a service without its peer tries it much more often than before: (connections begun a
/// second before, and since), and how often it was asked something each second.
fn retry_storm((before, since): (f64, f64), asked: f64) -> Option<String> {
    let usual = before.max(asked).max(1.0);
    (since > usual * STORM_FACTOR).then(|| {
        format!("retry storm: {since:.0} connections begun each second, {before:.0} before")
    })
}

/// What requests to a service say of how it bears the loss of a peer.
fn classify(samples: &[Sample]) -> Option<(String, bool)> {
    let n = samples.len();
    if n == 0 {
        return None;
    }
    let failed: Vec<&Sample> =
        samples.iter().filter(|s| matches!(s.answered, Answered::Failed(_))).collect();
    let degraded = samples.iter().filter(|s| s.answered == Answered::Degraded).count();
    let hung = failed.iter().filter(|s| s.latency >= HANGS_AFTER).count();
    let speeds_up = speeds_up(samples);
    if degraded * 2 > n {
        let breaker = if speeds_up { ", breaker open" } else { "" };
        return Some((format!("fallback used{breaker} ({degraded} of {n} answers)"), false));
    }
    if hung * 2 > n {
        return Some((format!("it hangs ({hung} of {n} requests)"), true));
    }
    if failed.len() * 2 > n && speeds_up {
        let failed = failed.len();
        return Some((
            format!("breaker open, no fallback ({failed} of {n} failed at once)"),
            false,
        ));
    }
    if failed.len() * 2 > n {
        return Some((format!("timeouts only ({} of {n} failed)", failed.len()), false));
    }
    Some((format!("it went on without its peer ({} of {n} failed)", failed.len()), false))
}

/// Whether answers came at once in the end, after they had to wait in the beginning.
fn speeds_up(samples: &[Sample]) -> bool {
    let third = samples.len() / 3;
    let median = |part: &[Sample]| {
        let mut latencies: Vec<Duration> = part.iter().map(|s| s.latency).collect();
        latencies.sort_unstable();
        latencies.get(latencies.len() / 2).copied().unwrap_or_default()
    };
    let slowest_first = samples[..third].iter().map(|s| s.latency).max().unwrap_or_default();
    third > 0 && slowest_first > AT_ONCE * 3 && median(&samples[third * 2..]) < AT_ONCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceKind;

    fn samples(answers: &[(Answered, u64)]) -> Vec<Sample> {
        let due = Instant::now();
        let sample = |(answered, ms): &(Answered, u64)| Sample {
            service: ServiceKind::Rag,
            probe: "ask".into(),
            due,
            latency: Duration::from_millis(*ms),
            answered: answered.clone(),
        };
        answers.iter().map(sample).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn conduct_is_told_from_answers_and_how_long_they_took() {
        let failed = |ms| (Answered::Failed("down".into()), ms);
        let words = |answers: &[_]| classify(&samples(answers)).expect("samples").0;
        let degraded: Vec<_> =
            [1200, 1200, 1200, 60, 60, 60, 60, 60, 60].map(|ms| (Answered::Degraded, ms)).to_vec();
        assert!(
            words(&degraded).starts_with("fallback used, breaker open"),
            "{}",
            words(&degraded)
        );
        let opened = [1200, 1200, 1200, 1200, 5, 5, 5, 5, 5].map(failed);
        assert!(words(&opened).starts_with("breaker open"), "{}", words(&opened));
        assert!(words(&[1200; 9].map(failed)).starts_with("timeouts only"));
        let (hangs, bad) = classify(&samples(&[3000; 9].map(failed))).expect("samples");
        assert!(hangs.starts_with("it hangs") && bad);
        assert!(words(&vec![(Answered::Well, 60); 9]).starts_with("it went on"));
        assert_eq!(classify(&[]), None);
    }

    #[test]
    fn retries_are_a_storm_only_beyond_what_is_asked_anyway() {
        assert_eq!(retry_storm((0.0, 14.0), 5.0), None, "less than three tries a request");
        assert_eq!(retry_storm((10.0, 25.0), 5.0), None);
        assert!(retry_storm((0.5, 60.0), 5.0).expect("a storm").contains("60 connections"));
    }

    #[test]
    fn the_worst_fact_decides() {
        let good = || Facts {
            residue: String::new(),
            effective: true,
            restarted: false,
            recovery: Some(Duration::from_secs(3)),
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
        let ended = Facts { restarted: true, effective: false, ..good() };
        assert_eq!(decide(&ended).0, Verdict::Invalid);
        assert_eq!(decide(&Facts { recovery: None, ..good() }).0, Verdict::Fail);
        assert_eq!(decide(&Facts { cascade: "mcp".into(), ..good() }).0, Verdict::Fail);
        let residue = Facts { residue: "a table".into(), effective: false, ..good() };
        assert_eq!(decide(&residue).0, Verdict::Fail);
    }
}
