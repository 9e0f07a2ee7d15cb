//! What covers something, and what has room for all of its words.

use super::*;
use crate::run::event::{LoadEvent, PhaseOutcome, RunVerdict, Verdict};
use crate::tui::app::Link;

fn tap(app: &mut App, code: KeyCode) {
    press(app, KeyEvent::new(code, KeyModifiers::NONE));
}

#[tokio::test(start_paused = true)]
async fn behind_help_no_plan_is_changed_and_a_run_can_still_be_stopped() {
    let (mut app, mut peer) = app_with(Story::new().ready().state, false);
    tap(&mut app, KeyCode::Char('?'));
    for code in [KeyCode::Char('o'), KeyCode::Char('J'), KeyCode::Enter] {
        tap(&mut app, code);
        assert!(screen(&app, 80, 24).contains("Esc closes it first"));
    }
    tap(&mut app, KeyCode::Down);
    assert_eq!((sent(&mut peer), app.selected_phase), (vec![], 0));
    tap(&mut app, KeyCode::Esc);
    tap(&mut app, KeyCode::Char('o'));
    let left_out = Command::PlanSkip { phase: PhaseKind::Mixed, skip: true };
    assert_eq!(sent(&mut peer), [left_out]);

    let (mut app, mut peer) = app_with(Story::new().running(3).state, false);
    tap(&mut app, KeyCode::Char('?'));
    for key in ['+', 'p', 'A', 'y'] {
        tap(&mut app, KeyCode::Char(key));
    }
    assert_eq!(sent(&mut peer), [Command::Pause {}, Command::ABORT_RUN]);
}

#[tokio::test(start_paused = true)]
async fn the_explanation_covers_the_plan_and_not_the_objective_that_it_explains() {
    let (mut app, _peer) = app_with(Story::new().running(3).judged().state, false);
    app.explain = true;
    tap(&mut app, KeyCode::Down);
    assert_eq!(app.selected_phase, 0);
    app.panel = Panel::Slo;
    tap(&mut app, KeyCode::Down);
    assert_eq!(app.objective, 1);
}

#[tokio::test(start_paused = true)]
async fn reasons_are_told_whole_where_there_is_room_and_counted_where_there_is_none() {
    let long =
        |n: usize| format!("reason {n}: {}the end of it", "one word after another ".repeat(7));
    let mut story = Story::new().running(9).judged();
    let verdict =
        RunVerdict { verdict: Verdict::Fail, reasons: (0..7).map(long).collect(), without: vec![] };
    story.tell(None, EventBody::RunFinished { verdict });
    let (app, _peer) = app_with(story.state, false);
    let small = screen(&app, 80, 20);
    assert!(small.contains("more reasons in the report: 1"), "{small}");
    let large = screen(&app, 120, 40);
    assert_eq!(large.matches("the end of it").count(), 7, "{large}");
    assert!(!large.contains("more reasons") && !large.contains('…'), "{large}");
}

#[tokio::test(start_paused = true)]
async fn a_question_goes_on_below_its_beginning_and_not_at_the_edge() {
    let (mut app, _peer) = app_with(Story::new().running(3).chaos().state, false);
    tap(&mut app, KeyCode::Char('A'));
    let drawn = screen(&app, 60, 24);
    let rows = drawn.lines().skip_while(|row| !row.contains("abort the run?"));
    let asked: Vec<&str> = rows.collect();
    assert!(asked.len() > 1, "{drawn}");
    for row in asked {
        assert!(row.starts_with("\" ") && !row.starts_with("\"  "), "{row}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_load_phase_is_named_and_none_is_no_silent_switch() {
    let (mut app, _peer) = app_with(Story::new().running(3).state, false);
    tap(&mut app, KeyCode::Char('b'));
    assert_eq!(app.notice(), Some("there is no other load phase so far"));
    assert!(!app.earlier_load);

    let mut story = Story::new().running(3);
    let outcome = PhaseOutcome::new(Verdict::Pass, "every threshold held");
    story.tell(Some(PhaseKind::Mixed), EventBody::PhaseFinished { outcome });
    let ramping = Some(PhaseKind::Ramping);
    story.tell(ramping, EventBody::PhaseStarted { planned_us: 1 });
    let rescaled = LoadEvent::Rescaled { scenario: None, users: 1 };
    story.tell(ramping, EventBody::Load(rescaled));
    let (mut app, _peer) = app_with(story.state, false);
    for kind in [PhaseKind::Mixed, PhaseKind::Ramping] {
        tap(&mut app, KeyCode::Char('b'));
        assert_eq!(app.notice(), Some(format!("load figures of {kind}").as_str()));
        assert_eq!(app.load_phase().map(|phase| phase.kind), Some(kind));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_looks_the_same_wherever_it_stands() {
    let (app, _peer) = app_with(Story::new().ready().state, false);
    let drawn = screen(&app, 80, 24);
    assert_eq!(drawn.matches("- backup").count(), 2, "{drawn}");
    assert!(!drawn.contains("· backup"), "{drawn}");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_hears_is_neither_asked_nor_said_to_be_done() {
    let state = Story::new().running(3).state;
    let (mut lost, mut unheard) = app_with(state.clone(), false);
    lost.link = Link::Lost("gone".into());
    let (mut watcher, mut refused) = app_with(state, false);
    watcher.client.read_only = true;
    for key in ['o', 'p', 'A', 'X', 'S', 'n', '+', 'x', 'J'] {
        for (app, why) in [(&mut lost, "cannot be reached"), (&mut watcher, "only watches")] {
            tap(app, KeyCode::Char(key));
            assert_eq!(app.prompt, None, "{key} asks");
            let said = app.notice().unwrap_or_default();
            assert!(said.contains(why), "{key} is answered with `{said}`");
        }
    }
    assert_eq!((sent(&mut unheard), sent(&mut refused)), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_selection_that_is_not_seen_is_said() {
    let (mut app, _peer) = app_with(Story::new().running(3).state, false);
    tap(&mut app, KeyCode::Down);
    assert!(screen(&app, 80, 24).contains("ramping is selected"));
    let (mut app, _peer) = app_with(Story::new().ready().state, false);
    tap(&mut app, KeyCode::Down);
    assert_eq!(app.notice(), None, "the plan shows it");
}
