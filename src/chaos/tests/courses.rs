//! Kills and pressure: what proves them, what each moment is known from, and what was missing.

use super::*;
use crate::chaos::runtime::told::serving;
use crate::chaos::runtime::{Fault, Instance, Target};
use crate::config::{Kill, SteadyRules, TimeSpan};
use crate::run::event::{MomentKind, MomentSource};

fn shown(pid: Option<u32>, started: &str, restarts: u64) -> Result<Instance, String> {
    let uptime = Duration::from_secs(3600);
    let started = started.into();
    Ok(Instance { pid, started, restarts, uptime, ..Instance::default() })
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_proven_by_the_life_that_it_ended_and_the_one_after_it() {
    let chat = serving(ServiceKind::Chat);
    let mut stage = Stage::new(Told::default(), Chaos::default());
    stage.told.show([
        shown(Some(7), "then", 0),
        shown(Some(7), "then", 0),
        shown(None, "then", 0),
        shown(Some(9), "now", 1),
    ]);
    stage.answers(ServiceKind::Chat, "health", true);
    let struck = stage.course().strike(&chat, &Fault::Kill).await;
    let evidence = "the process of chat ended: pid 7, started then, restart count 0; then pid 9, \
                    started now, restart count 1";
    assert_eq!(struck.evidence.as_deref(), Some(evidence));
    let lives = struck.lives.expect("told");
    assert_eq!((lives.before.pid, lives.after.map(|life| life.restarts)), (Some(7), Some(1)));
    let sources: Vec<_> = struck.timeline.moments.iter().map(|m| (m.kind, m.source)).collect();
    let known = |kind, source| (kind, Some(source));
    let expected = [
        known(MomentKind::Injected, MomentSource::Act),
        known(MomentKind::Died, MomentSource::Inspect),
        known(MomentKind::Started, MomentSource::Inspect),
        known(MomentKind::FirstSuccess, MomentSource::Probe),
        known(MomentKind::Stable, MomentSource::Probe),
    ];
    assert_eq!(sources, expected);
    let told = stage.heard(|event| match event {
        ChaosEvent::Moment { kind, source, .. } => Some((*kind, *source)),
        _ => None,
    });
    assert_eq!(told, expected, "the screen gets what the report gets");
}

#[tokio::test(start_paused = true)]
async fn who_has_a_health_check_has_recovered_when_that_passes_too() {
    let chat = serving(ServiceKind::Chat);
    let mut stage = Stage::new(Told::default(), Chaos::default());
    let up = |healthy| shown(Some(9), "now", 1).map(|up| Instance { healthy, ..up });
    let starting = std::iter::repeat_n(up(Some(false)), 30);
    let before = [shown(Some(7), "then", 0)];
    stage.told.show(before.into_iter().chain(starting).chain([up(Some(true))]));
    stage.answers(ServiceKind::Chat, "health", true);
    let struck = stage.course().strike(&chat, &Fault::Kill).await;
    let kinds: Vec<_> = struck.timeline.moments.iter().map(|m| m.kind).collect();
    assert_eq!(
        kinds[kinds.len() - 3..],
        [MomentKind::FirstSuccess, MomentKind::Healthy, MomentKind::Stable]
    );
    let last = struck.timeline.moments.last().and_then(|moment| moment.source);
    assert_eq!(last, Some(MomentSource::Inspect), "by the health check");
    assert!(struck.recovery >= Some(Duration::from_secs(3)), "{:?}", struck.recovery);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_stable_in_time_is_named_with_what_was_missing() {
    let chat = serving(ServiceKind::Chat);
    let within = TimeSpan::secs(5);
    let kill = Kill { within, ..Kill::default() };
    let steady = SteadyRules { within, ..SteadyRules::default() };
    let mut stage = Stage::new(Told::default(), Chaos { kill, steady, ..Chaos::default() });
    stage.answers(ServiceKind::Chat, "health", true);
    stage.answers(ServiceKind::Chat, "/ask", false);
    let missing = "chat (/ask): 0 of 5 good answers in a row, before that down";
    let fault = Fault::Cpu { length: Duration::from_secs(2) };
    let struck = stage.course().strike(&chat, &fault).await;
    assert_eq!((struck.recovery, struck.unstable.as_deref()), (None, Some(missing)));

    stage.told.show([shown(Some(7), "then", 0), shown(Some(9), "now", 1)]);
    let struck = stage.course().strike(&chat, &Fault::Kill).await;
    assert_eq!((struck.recovery, struck.unstable.as_deref()), (None, Some(missing)));

    stage.told.show([shown(Some(7), "then", 0), shown(None, "then", 0)]);
    let struck = stage.course().strike(&chat, &Fault::Kill).await;
    assert_eq!(struck.unstable.as_deref(), Some("chat was not started again"));
}

#[tokio::test(start_paused = true)]
async fn who_serves_nothing_and_has_not_run_for_long_enough_is_told_as_that() {
    let worker = Target { service: None, name: "worker".into(), ..serving(ServiceKind::Chat) };
    let kill = Kill { within: TimeSpan::secs(1), ..Kill::default() };
    let mut stage = Stage::new(Told::default(), Chaos { kill, ..Chaos::default() });
    stage.told.show([shown(Some(7), "then", 0), shown(Some(9), "now", 1)]);
    let struck = stage.course().strike(&worker, &Fault::Kill).await;
    let missing = "worker has not run for 2 s";
    assert_eq!((struck.recovery, struck.unstable.as_deref()), (None, Some(missing)));
}

#[tokio::test(start_paused = true)]
async fn a_kill_for_want_of_memory_counts_though_it_is_counted_after_the_last_measurement() {
    let length = Duration::from_millis(1500);
    let fault = |allow_oom| Fault::Memory { bytes: 1 << 20, length, allow_oom };
    let chat = serving(ServiceKind::Chat);
    let mut stage = Stage::new(Told::default(), Chaos::default());
    stage.answers(ServiceKind::Chat, "health", true);
    // One measurement in the fault's time sees nothing, nor do the first ones after it.
    stage.told.measure([false, false, false, true]);
    let struck = stage.course().strike(&chat, &fault(true)).await;
    assert_eq!(struck.effective, Some(true));
    assert_eq!(struck.evidence.as_deref(), Some("measured: true"));
    let told = stage.heard(|event| match event {
        ChaosEvent::Effect { effective, .. } => Some(*effective),
        _ => None,
    });
    assert_eq!(told, [false, true]);
    // Where nothing may be killed nothing is waited for.
    stage.told.measure([false, false, false, true]);
    let struck = stage.course().strike(&chat, &fault(false)).await;
    assert_eq!(struck.effective, Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_does_not_answer_is_told_once_and_so_is_its_return() {
    let chat = serving(ServiceKind::Chat);
    let mut stage = Stage::new(Told::default(), Chaos::default());
    stage.answers(ServiceKind::Chat, "health", true);
    let silent = || Err("Docker engine: connection refused".to_owned());
    let here = || shown(Some(7), "then", 0);
    stage.told.show([here(), silent(), silent(), silent(), here()]);
    let fault = Fault::Cpu { length: Duration::from_secs(8) };
    stage.course().strike(&chat, &fault).await;
    let told = stage.heard(|event| match event {
        ChaosEvent::RuntimeTrouble { why } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(told, [silent().err(), None]);
}
