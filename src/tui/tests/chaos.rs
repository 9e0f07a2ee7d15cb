//! A run in the middle of chaos, as its events would tell it.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Panel, Story, app_with, press, screen, sent};
use crate::config::{ExperimentKind, PhaseKind, ServiceKind};
use crate::run::client::ClientUpdate;
use crate::run::control::Command;
use crate::run::event::{
    ChaosEvent, ChaosStart, EventBody, ExperimentResult, Life, Lives, Moment, MomentKind,
    MomentSource, PhaseOutcome, ProbeSecond, Stage, SteadyFigures, Timeline, Verdict,
};

impl Story {
    /// One experiment is over, and the network between two services is cut.
    pub(super) fn chaos(mut self) -> Self {
        let outcome = PhaseOutcome::new(Verdict::Pass, "every threshold held");
        self.tell(Some(PhaseKind::Mixed), EventBody::PhaseFinished { outcome });
        self.tell(Some(PhaseKind::Chaos), EventBody::PhaseStarted { planned_us: 900_000_000 });
        let mut tell = |event| self.tell(Some(PhaseKind::Chaos), EventBody::Chaos(event));
        tell(ChaosEvent::Started(ChaosStart {
            runtime: "docker".into(),
            seed: 7,
            targets: vec!["chat-1".into(), "rag-1".into()],
            excluded: vec![("store".into(), "it runs postgres".into())],
            experiments: 4,
        }));
        tell(ChaosEvent::ExperimentFinished(Box::new(killed())));
        tell(ChaosEvent::ExperimentStarted {
            number: 4,
            kind: ExperimentKind::Partition,
            title: "cut the network rag-1 - chat-1 for 30 s".into(),
            targets: vec!["rag-1".into()],
        });
        for second in 0..20 {
            let failed = if second > 12 { 5 } else { 0 };
            let probe = |service, failed, degraded| ProbeSecond {
                service,
                probe: "health".into(),
                ok: 5 - failed - degraded,
                failed,
                degraded,
                slowest_us: 9_000,
            };
            let degraded = if second > 12 { 3 } else { 0 };
            tell(ChaosEvent::Probed {
                probes: vec![
                    probe(ServiceKind::Chat, 0, 0),
                    probe(ServiceKind::Rag, 0, degraded),
                    probe(ServiceKind::Mcp, failed, 0),
                ],
            });
        }
        tell(ChaosEvent::Injecting {
            fault: "cut the network rag-1 - chat-1 for 30 s".into(),
            undo: "remove table shakedown_1 from the namespace of rag-1".into(),
            expected: None,
            lasts_us: 30_000_000,
        });
        let at_us = 60_000_000;
        for (kind, after, source) in [
            (MomentKind::Injected, 0, MomentSource::Act),
            (MomentKind::Detected, 800_000, MomentSource::Probe),
        ] {
            let (at_us, source) = (at_us + after, Some(source));
            tell(ChaosEvent::Moment { target: "rag-1".into(), kind, at_us, source });
        }
        tell(ChaosEvent::Effect { effective: true, evidence: "312 packets stopped".into() });
        let row = |service, n, failed, p95_us| SteadyFigures {
            service,
            n,
            failed,
            degraded: 0,
            p95_us: Some(p95_us),
        };
        tell(ChaosEvent::Measured {
            stage: Stage::Before,
            figures: vec![
                row(ServiceKind::Chat, 100, 0, 9_000),
                row(ServiceKind::Rag, 150, 0, 21_400),
                row(ServiceKind::Mcp, 50, 1, 850),
            ],
        });
        tell(ChaosEvent::Measured {
            stage: Stage::During,
            figures: vec![
                row(ServiceKind::Chat, 70, 0, 9_100),
                row(ServiceKind::Rag, 105, 7, 1_180_000),
                row(ServiceKind::Mcp, 35, 35, 3_000_400),
            ],
        });
        self
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_screen_turns_the_page_by_the_panels_own_key() {
    let (mut app, _peer) = app_with(Story::new().running(3).chaos().state, false);
    app.panel = Panel::Chaos;
    let first = screen(&app, 80, 20);
    assert!(first.contains("during n") && first.contains("page 1 of 2: 3 turns"), "{first}");
    assert!(!first.contains("untouched store"), "{first}");
    let turn = || KeyEvent::new(KeyCode::Char('3'), KeyModifiers::NONE);
    press(&mut app, turn());
    let second = screen(&app, 80, 20);
    assert!(second.contains("untouched store: it runs postgres"), "{second}");
    // What stands above the rows that go on there stands there too.
    assert!(second.contains("experiment 4 of 4   seed 7"), "{second}");
    let head = second.find("experiment                ").expect("the table's head");
    assert!(second.find("chat-1 came back").is_some_and(|row| head < row), "{second}");
    press(&mut app, turn());
    assert!(screen(&app, 80, 20).contains("page 1 of 2"));
}

#[tokio::test(start_paused = true)]
async fn healing_says_for_how_long_and_an_abort_that_it_takes_its_time() {
    let mut story = Story::new().running(3).chaos();
    let (mut app, _peer) = app_with(story.state.clone(), false);
    press(&mut app, KeyEvent::new(KeyCode::Char('A'), KeyModifiers::NONE));
    let asked = screen(&app, 120, 40);
    assert!(asked.contains("heals first (no fault of this run was healed before): "), "{asked}");
    assert!(asked.contains("remove table shakedown_1"), "{asked}");
    let healing = ChaosEvent::Healing { reason: "an operator asked for it".into() };
    story.tell(Some(PhaseKind::Chaos), EventBody::Chaos(healing));
    let (app, _peer) = app_with(story.state, false);
    tokio::time::advance(Duration::from_secs(2)).await;
    let drawn = screen(&app, 120, 40);
    assert!(drawn.contains("healing for 2 s (an operator asked for it): cut the"), "{drawn}");
}

#[tokio::test(start_paused = true)]
async fn an_abort_says_how_long_healing_took_before() {
    let mut story = Story::new().running(3).chaos();
    let healed = ChaosEvent::Healed { took_us: 1_240_000, residue: Vec::new() };
    story.tell(Some(PhaseKind::Chaos), EventBody::Chaos(healed));
    let again = ChaosEvent::Injecting {
        fault: "kill chat".into(),
        undo: "start what stays down".into(),
        expected: None,
        lasts_us: 0,
    };
    story.tell(Some(PhaseKind::Chaos), EventBody::Chaos(again));
    let (mut app, _peer) = app_with(story.state, false);
    press(&mut app, KeyEvent::new(KeyCode::Char('A'), KeyModifiers::NONE));
    let asked = screen(&app, 120, 40);
    let words = "heals first (the longest so far took 1.24 s): start what stays down";
    assert!(asked.contains(words), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_skip_asks_where_something_is_broken_or_nothing_would_follow() {
    let skip = || KeyEvent::new(KeyCode::Char('S'), KeyModifiers::NONE);
    let char = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
    // In the middle of a load phase, with others to come, it does what it says.
    let (mut app, mut peer) = app_with(Story::new().running(3).state, false);
    press(&mut app, skip());
    assert_eq!(sent(&mut peer), [Command::SkipPhase {}]);
    let (mut app, mut peer) = app_with(Story::new().running(3).chaos().state, false);
    press(&mut app, skip());
    let asked = screen(&app, 200, 50);
    assert!(asked.contains("skip the rest of chaos? y/n   heals first"), "{asked}");
    assert!(asked.contains("remove table shakedown_1"), "what is healed: {asked}");
    assert!(asked.contains("the plan goes on with ramping"), "{asked}");
    press(&mut app, char('n'));
    assert!(sent(&mut peer).is_empty());
    press(&mut app, skip());
    press(&mut app, char('y'));
    assert_eq!(sent(&mut peer), [Command::SkipPhase {}]);
}

#[tokio::test(start_paused = true)]
async fn a_skip_of_a_drill_that_has_not_begun_destroys_nothing_and_does_not_ask() {
    let mut story = Story::new().running(3);
    let outcome = || PhaseOutcome::new(Verdict::Pass, "");
    for phase in [PhaseKind::Mixed, PhaseKind::Ramping, PhaseKind::Chaos, PhaseKind::Security] {
        story.tell(Some(phase), EventBody::PhaseFinished { outcome: outcome() });
    }
    story.state.phases.iter_mut().for_each(|phase| phase.skip_requested = false);
    story.tell(None, EventBody::Held { reason: "nobody watches".into() });
    assert_eq!(story.state.phase_to_skip(), Some(PhaseKind::Backup));
    let (mut app, mut peer) = app_with(story.state, false);
    press(&mut app, KeyEvent::new(KeyCode::Char('S'), KeyModifiers::NONE));
    assert_eq!(sent(&mut peer), [Command::SkipPhase {}]);
}

#[tokio::test(start_paused = true)]
async fn a_skip_of_the_last_phase_says_that_the_run_ends_and_skips_no_other() {
    let char = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
    let mut story = Story::new().running(3).chaos();
    let healed = ChaosEvent::Healed { took_us: 9, residue: Vec::new() };
    story.tell(Some(PhaseKind::Chaos), EventBody::Chaos(healed));
    let outcome = || PhaseOutcome::new(Verdict::Skipped, "left out");
    let others = [PhaseKind::Ramping, PhaseKind::Security, PhaseKind::Backup, PhaseKind::Slo];
    for phase in others {
        story.tell(Some(phase), EventBody::PhaseFinished { outcome: outcome() });
    }
    let (mut app, mut peer) = app_with(story.state.clone(), false);
    press(&mut app, char('S'));
    let asked = screen(&app, 120, 40);
    assert!(asked.contains("it is the last of the plan: the run ends"), "{asked}");
    // It ends by itself before the answer.
    let event =
        story.event(Some(PhaseKind::Chaos), EventBody::PhaseFinished { outcome: outcome() });
    app.hear(ClientUpdate::Event(Box::new(event)));
    press(&mut app, char('y'));
    assert!(sent(&mut peer).is_empty());
    assert!(screen(&app, 120, 40).contains("chaos is over already: nothing was skipped"));
}

#[tokio::test(start_paused = true)]
async fn recoveries_stay_on_the_panel_and_stand_still_when_they_are_over() {
    let mut story = Story::new().running(3).chaos();
    let chaos = |story: &mut Story, event| {
        story.tell(Some(PhaseKind::Chaos), EventBody::Chaos(event));
    };
    let figures = ChaosEvent::EffectNow { effective: true, evidence: "988 packets stopped".into() };
    chaos(&mut story, figures);
    let silent = Some("Docker engine: connection refused".to_owned());
    chaos(&mut story, ChaosEvent::RuntimeTrouble { why: silent });
    let drawn = |story: &Story| {
        let (mut app, _peer) = app_with(story.state.clone(), false);
        app.panel = Panel::Chaos;
        screen(&app, 120, 60)
    };
    let now = drawn(&story);
    assert!(now.contains("proof: 988 packets stopped") && !now.contains("312 packets"), "{now}");
    assert!(now.contains("connection refused") && now.contains("`shakedown recover`"), "{now}");
    assert!(now.contains("injected 0.0 s (act)  detected 0.8 s (probe)"), "{now}");
    assert!(now.contains("chat-1   !!"), "the one before is still there: {now}");
    assert!(now.contains("died 0.1 s (event)  stable 3.4 s (probe)"), "{now}");
    assert!(now.contains("pid 4242, started 12:00:00Z, restart count 0; then pid 4311"), "{now}");

    chaos(&mut story, ChaosEvent::RuntimeTrouble { why: None });
    chaos(&mut story, ChaosEvent::Healed { took_us: 9, residue: Vec::new() });
    assert!(!drawn(&story).contains("connection refused"));
    let paused = || ExperimentResult {
        number: 4,
        verdict: Verdict::Aborted,
        title: "cut the network rag-1 - chat-1 for 30 s".into(),
        timelines: vec![Timeline {
            target: "rag-1".into(),
            moments: vec![moment(MomentKind::Injected, 60_000_000, MomentSource::Act)],
        }],
        lives: Vec::new(),
        evidence: Vec::new(),
        ..killed()
    };
    let probed = || ChaosEvent::Probed { probes: Vec::new() };
    chaos(&mut story, probed());
    chaos(&mut story, ChaosEvent::ExperimentFinished(Box::new(paused())));
    let bar = |screen: &str| {
        let line = screen.lines().find(|line| line.contains(" rag-1") && line.contains('!'));
        line.map(|line| line.matches('!').count())
    };
    let before = bar(&drawn(&story));
    assert!(before >= Some(1), "{}", drawn(&story));
    (0..5).for_each(|_| chaos(&mut story, probed()));
    assert_eq!(bar(&drawn(&story)), before, "{}", drawn(&story));
    let again = ExperimentResult { verdict: Verdict::Pass, ..paused() };
    chaos(&mut story, ChaosEvent::ExperimentFinished(Box::new(again)));
    let now = drawn(&story);
    assert!(!now.contains("aborted"), "made again, it stands there once: {now}");
    assert!(now.contains("x all failed, d without a peer; targets: ! under the fault"), "{now}");
}

fn moment(kind: MomentKind, at_us: u64, source: MomentSource) -> Moment {
    Moment { kind, at_us, source: Some(source) }
}

fn killed() -> ExperimentResult {
    let figures = |failed, p95_us| {
        vec![SteadyFigures {
            service: ServiceKind::Chat,
            n: 100,
            failed,
            degraded: 0,
            p95_us: Some(p95_us),
        }]
    };
    let life = |pid, started: &str, restarts| Life { pid, started: started.into(), restarts };
    let lives = Lives {
        target: "chat-1".into(),
        before: life(Some(4242), "12:00:00Z", 0),
        after: Some(life(Some(4311), "12:31:07Z", 1)),
    };
    ExperimentResult {
        number: 1,
        kind: ExperimentKind::Kill,
        title: "kill chat-1, rag-1".into(),
        verdict: Verdict::Pass,
        reason: "steady again after 3.4 s".into(),
        effective: Some(true),
        evidence: vec![lives.words()],
        lives: vec![lives],
        notes: vec!["chat-1 came back by its restart policy".into()],
        timelines: vec![Timeline {
            target: "chat-1".into(),
            moments: vec![
                moment(MomentKind::Injected, 1, MomentSource::Act),
                moment(MomentKind::Died, 70_001, MomentSource::Event),
                moment(MomentKind::Stable, 3_400_001, MomentSource::Probe),
            ],
        }],
        recovery_us: Some(3_400_000),
        recovery_limit_us: 60_000_000,
        steady_before: Some(true),
        steady_after: Some(true),
        before: figures(0, 210_000),
        during: figures(12, 1_180_000),
        after: figures(0, 205_000),
        residue: vec![],
        points: Some(97.6),
    }
}
