//! A target that somebody removes is no restarted one, and nothing more is planned for it.

use super::*;
use crate::chaos::course::Interrupt;
use crate::chaos::phase::next;
use crate::chaos::plan::{Experiment, Impossible};
use crate::chaos::runtime::told::serving;
use crate::chaos::runtime::{Fault, Instance, Target};
use crate::config::ExperimentKind;
use crate::run::phase::Wish;

#[tokio::test(start_paused = true)]
async fn who_ends_and_is_gone_soon_after_was_removed_and_not_restarted() {
    let chat = serving(ServiceKind::Chat);
    let ended = Instance { pid: None, ..chat.instance.clone() };
    let gone = Instance { gone: true, ..Instance::default() };
    let fault = Fault::Cpu { length: Duration::from_secs(20) };
    let mut stage = Stage::new(Told::default(), Chaos::default());
    let here = || Ok(chat.instance.clone());
    stage.told.show([here(), Ok(ended.clone()), Ok(ended.clone()), Ok(gone)]);
    let struck = stage.course().strike(&chat, &fault).await;
    assert_eq!((struck.removed, struck.restarted), (true, false));
    assert_eq!(struck.notes, ["chat was removed during the fault"]);
    let reasons = |event: &ChaosEvent| match event {
        ChaosEvent::Healing { reason } => Some(reason.clone()),
        _ => None,
    };
    assert_eq!(stage.heard(reasons), ["its target was removed"]);

    stage.told.show([here(), Ok(ended)]);
    let struck = stage.course().strike(&chat, &fault).await;
    assert_eq!((struck.removed, struck.restarted), (false, true));
    assert_eq!(struck.notes, ["chat was stopped during the fault"]);
    assert_eq!(stage.heard(reasons), ["its target was restarted or stopped"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_injected_into_what_was_removed_since_it_was_planned() {
    let chat = serving(ServiceKind::Chat);
    let mut stage = Stage::new(Told::default(), Chaos::default());
    stage.told.remove("chat");
    let fault = Fault::Cpu { length: Duration::from_secs(20) };
    let struck = stage.course().strike(&chat, &fault).await;
    assert_eq!(struck.refused.as_deref(), Some("chat was removed"));
    let injected = |event: &ChaosEvent| matches!(event, ChaosEvent::Injecting { .. }).then_some(());
    assert!(stage.heard(injected).is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_kill_for_want_of_memory_is_waited_for_where_nobody_is_left_to_be_killed() {
    let chat = serving(ServiceKind::Chat);
    let mut stage = Stage::new(Told::default(), Chaos::default());
    let gone = Instance { gone: true, ..Instance::default() };
    stage.told.show([Ok(chat.instance.clone()), Ok(gone)]);
    stage.told.measure([false]);
    let length = Duration::from_secs(20);
    let fault = Fault::Memory { bytes: 1 << 20, length, allow_oom: true };
    let struck = stage.course().strike(&chat, &fault).await;
    assert!(struck.removed);
    let took = stage.heard(|event| match event {
        ChaosEvent::Healed { took_us, .. } => Some(*took_us),
        _ => None,
    });
    assert!(matches!(took[..], [took] if took < 1_000_000), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_ends_the_phase_is_heeded_while_its_targets_are_looked_at() {
    let mut stage = Stage::new(Told::serving(&[ServiceKind::Chat]), Chaos::default());
    let mut targets = stage.told.targets.clone();
    stage.control.want(Wish::Stop);
    let ended = next(&mut stage.course(), &mut targets, 0).await;
    assert_eq!(ended.err(), Some(Interrupt::Stop));
}

async fn planned(
    course: &mut Course<'_>,
    targets: &mut [Target],
    at: usize,
) -> Option<Result<Experiment, Impossible>> {
    next(course, targets, at).await.expect("nobody ends it")
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_is_left_alone_by_the_rest_of_the_plan() {
    let all = [ServiceKind::Chat, ServiceKind::Rag, ServiceKind::Mcp];
    let experiments = vec![ExperimentKind::Kill, ExperimentKind::Partition];
    let depends_on = [(ServiceKind::Rag, vec![ServiceKind::Chat])].into();
    let chaos = Chaos { experiments, depends_on, ..Chaos::default() };
    let mut stage = Stage::new(Told::serving(&all), chaos);
    let mut targets = stage.told.targets.clone();
    let mut course = stage.course();
    let kill = planned(&mut course, &mut targets, 0).await.expect("planned").expect("possible");
    assert_eq!(kill.strikes.len(), 3);
    drop(course);
    stage.told.remove("chat");
    let mut course = stage.course();
    let kill = planned(&mut course, &mut targets, 0).await.expect("planned").expect("possible");
    let names: Vec<&str> = kill.needs().into_iter().map(|target| target.name.as_str()).collect();
    assert!(names.len() == 2 && !names.contains(&"chat"), "{names:?}");
    // As a peer it is missed too.
    let (_, why) = planned(&mut course, &mut targets, 1).await.expect("planned").expect_err("not");
    assert_eq!(why, "not every peer of rag is a target");
    assert!(planned(&mut course, &mut targets, 2).await.is_none(), "the plan is over");
    drop(course);
    let told = stage.heard(|event| match event {
        ChaosEvent::Excluded { target, why } => Some((target.clone(), why.clone())),
        _ => None,
    });
    assert_eq!(told, [("chat".into(), "it was removed during the run".into())]);
}
