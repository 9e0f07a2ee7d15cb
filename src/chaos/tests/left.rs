//! What an experiment leaves that cannot be undone is told whatever ended it, and nothing is broken after it.

use std::path::Path;

use super::*;
use crate::chaos::confine::OwnGroup;
use crate::chaos::course::Interrupt;
use crate::chaos::phase::{all, with_what_is_left};
use crate::chaos::procfs::Process;
use crate::chaos::undo::Undo;
use crate::config::{Cpu, ExperimentKind, SteadyRules, TimeSpan};
use crate::run::event::{ExperimentResult, MomentKind, PhaseOutcome, Verdict};
use crate::run::phase::Wish;

/// Removes a folder as it would a memory group, which fails: something is in it.
fn stuck(folder: &Path) -> Undo {
    let folder = folder.join("group");
    std::fs::create_dir_all(folder.join("inside")).expect("made");
    let process = Process::now(std::process::id()).expect("this one");
    let group = OwnGroup { process, home: folder.clone(), folder, limit_bytes: 1 };
    Undo::EndHelper { token: "nobody-has-this-argument".into(), pinned: None, group: Some(group) }
}

/// Makes three experiments, of which the first cannot be undone; at these seconds this is wished.
async fn made(
    wishes: &[(u64, Wish)],
) -> (Vec<ExperimentResult>, Option<Interrupt>, Vec<ChaosEvent>) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let mut told = Told::serving(&[ServiceKind::Chat]);
    told.undo = Some(stuck(folder.path()));
    let (baseline, within) = (TimeSpan::secs(2), TimeSpan::secs(5));
    let chaos = Chaos {
        experiments: vec![ExperimentKind::Cpu, ExperimentKind::Kill, ExperimentKind::Memory],
        cpu: Cpu { length: TimeSpan::secs(10) },
        steady: SteadyRules { baseline, within, ..SteadyRules::default() },
        ..Chaos::default()
    };
    let mut stage = Stage::new(told, chaos);
    stage.answers(ServiceKind::Chat, "health", true);
    for (at, wish) in wishes.iter().cloned() {
        let control = Arc::clone(&stage.control);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(at)).await;
            control.want(wish);
        });
    }
    let targets = stage.told.targets.clone();
    let (results, ended) = all(&mut stage.course(), targets, Duration::from_secs(900)).await;
    let silent = stage.heard(|event| match event {
        ChaosEvent::RuntimeTrouble { .. } => Some(event.clone()),
        _ => None,
    });
    (results, ended, silent)
}

const LEFT: &str = "could not be undone: cannot remove the memory group";
const NOT_MADE: &str = "not made: what an experiment before it left could not be undone";

#[tokio::test(start_paused = true)]
async fn nothing_more_is_broken_after_what_could_not_be_undone() {
    let (results, ended, silent) = made(&[]).await;
    assert_eq!((results.len(), ended, silent), (3, None, Vec::new()));
    assert_eq!(results[0].verdict, Verdict::Fail);
    assert!(results[0].reason.starts_with(LEFT), "{}", results[0].reason);
    assert_eq!(results[0].timelines[0].at(MomentKind::Healed), None, "it was not");
    for (number, result) in (2..).zip(&results[1..]) {
        assert_eq!((result.number, result.reason.as_str()), (number, NOT_MADE));
    }
    let told = PhaseOutcome::new(Verdict::Fail, results[0].reason.clone());
    let residue = &results[0].residue;
    let outcome = with_what_is_left(told.clone(), residue, residue.clone());
    assert_eq!(outcome, told, "it is told once");
}

#[tokio::test(start_paused = true)]
async fn a_phase_that_is_ended_fails_when_it_leaves_something() {
    let (results, ended, _) = made(&[(5, Wish::Stop)]).await;
    assert_eq!((results.len(), ended), (1, Some(Interrupt::Stop)));
    assert_eq!(results[0].verdict, Verdict::Fail);
    let reason = &results[0].reason;
    assert!(reason.starts_with(LEFT) && reason.contains("the phase is to end"), "{reason}");
    let aborted = || PhaseOutcome::new(Verdict::Aborted, "ended before its time");
    let twice = [results[0].residue.clone(), results[0].residue.clone()].concat();
    let outcome = with_what_is_left(aborted(), &[], twice);
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert_eq!(outcome.reason.matches("cannot remove the memory group").count(), 1);
    assert!(outcome.reason.contains("shakedown recover"), "{}", outcome.reason);
    let outcome = with_what_is_left(aborted(), &[], vec!["a volume".into()]);
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert!(outcome.reason.contains("left behind: a volume; "), "{}", outcome.reason);
    let outcome = with_what_is_left(aborted(), &[], Vec::new());
    let healed = "ended before its time; everything is healed";
    assert_eq!((outcome.verdict, outcome.reason.as_str()), (Verdict::Aborted, healed));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_could_not_heal_keeps_its_experiment_and_is_the_last() {
    let (results, ended, _) = made(&[(5, Wish::Pause), (60, Wish::Work)]).await;
    assert_eq!((results.len(), ended), (3, None));
    assert_eq!((results[0].number, results[0].verdict), (1, Verdict::Fail));
    let reason = &results[0].reason;
    assert!(reason.starts_with(LEFT) && reason.contains("the run is to pause"), "{reason}");
    assert_eq!(results[1].reason, NOT_MADE);
}
