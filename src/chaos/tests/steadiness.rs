//! What hangs is not steady; what operators wish ends one fault and nothing after it, and keeps the lease.

use std::sync::atomic::Ordering;

use super::*;
use crate::chaos::course::Interrupt;
use crate::chaos::phase::all;
use crate::config::{Cpu, ExperimentKind, SteadyRules, TimeSpan};
use crate::run::event::{ExperimentResult, Verdict};
use crate::run::phase::{PhaseCommand, Wish};

/// Chat under these experiments, beside whatever `others` sets going.
async fn made(
    experiments: Vec<ExperimentKind>,
    others: impl FnOnce(&Stage),
) -> (Vec<ExperimentResult>, Option<Interrupt>) {
    let (baseline, within) = (TimeSpan::secs(2), TimeSpan::secs(5));
    let chaos = Chaos {
        experiments,
        cpu: Cpu { length: TimeSpan::secs(4) },
        steady: SteadyRules { baseline, within, ..SteadyRules::default() },
        ..Chaos::default()
    };
    let mut stage = Stage::new(Told::serving(&[ServiceKind::Chat]), chaos);
    stage.answers(ServiceKind::Chat, "health", true);
    others(&stage);
    let targets = stage.told.targets.clone();
    all(&mut stage.course(), targets, Duration::from_secs(900)).await
}

#[tokio::test(start_paused = true)]
async fn nothing_is_broken_while_a_service_hangs_for_longer_than_it_is_measured() {
    let hangs = |stage: &Stage| stage.hangs_after(ServiceKind::Rag, Duration::ZERO);
    let (results, _) = made(vec![ExperimentKind::Cpu], hangs).await;
    assert_eq!((results[0].verdict, results[0].effective), (Verdict::Inconclusive, None));
    let reason = &results[0].reason;
    assert!(reason.contains("not steady before (rag answered 0.0 % of "), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_afterwards_is_not_steady_again() {
    // The fault is over after six seconds, and the platform measured from the seventh to the tenth.
    let hangs = |stage: &Stage| stage.hangs_after(ServiceKind::Rag, Duration::from_millis(8500));
    let (results, _) = made(vec![ExperimentKind::Cpu], hangs).await;
    assert_eq!(results[0].verdict, Verdict::Fail, "{}", results[0].reason);
    let reason = &results[0].reason;
    assert!(reason.starts_with("not steady afterwards: rag answered "), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn healing_by_hand_more_than_once_ends_one_fault_and_nothing_after_it() {
    let thrice = |stage: &Stage| {
        let control = Arc::clone(&stage.control);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            (0..3).for_each(|_| assert!(control.send(PhaseCommand::Heal)));
        });
    };
    let both = vec![ExperimentKind::Cpu, ExperimentKind::Memory];
    let (results, ended) = made(both, thrice).await;
    assert_eq!(ended, None);
    assert_eq!(results[0].verdict, Verdict::Inconclusive);
    assert!(results[0].reason.contains("an operator asked for it"), "{}", results[0].reason);
    assert_eq!(results[1].verdict, Verdict::Pass, "{}", results[1].reason);
}

#[tokio::test(start_paused = true)]
async fn a_pause_does_not_outlast_the_lease() {
    let mut told = None;
    let pause = |stage: &Stage| {
        told = Some(Arc::clone(&stage.told));
        let control = Arc::clone(&stage.control);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            control.want(Wish::Pause);
            tokio::time::sleep(Duration::from_secs(3660)).await;
            control.want(Wish::Work);
        });
    };
    let (results, _) = made(vec![ExperimentKind::Cpu], pause).await;
    assert_eq!(results[0].verdict, Verdict::Pass, "{}", results[0].reason);
    let claims = told.map(|told| told.claims.load(Ordering::Relaxed));
    assert_eq!(claims, Some(31), "every two minutes, and before anything is broken again");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_broken_after_a_pause_in_which_another_run_came() {
    let pause = |stage: &Stage| {
        let (told, control) = (Arc::clone(&stage.told), Arc::clone(&stage.control));
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            control.want(Wish::Pause);
            tokio::time::sleep(Duration::from_secs(60)).await;
            told.taken.store(true, Ordering::Relaxed);
            control.want(Wish::Work);
        });
    };
    let (results, ended) = made(vec![ExperimentKind::Cpu, ExperimentKind::Memory], pause).await;
    assert!(matches!(ended, Some(Interrupt::Displaced(_))), "{ended:?}");
    assert_eq!(results.len(), 2);
    for result in &results {
        assert_eq!((result.verdict, result.effective), (Verdict::Inconclusive, None));
        assert!(result.reason.contains("another run has it"), "{}", result.reason);
    }
}
