//! What an operator sees on a terminal of 80 columns: nothing that decides is cut away.

use super::{KeyCode, Panel, Story, app_with, screen};
use crate::config::{Environment, PhaseKind};
use crate::run::event::{EventBody, LogLevel};
use crate::tui::app::{App, Link};
use crate::tui::operate::press;
use crossterm::event::{KeyEvent, KeyModifiers};

#[tokio::test(start_paused = true)]
async fn reasons_stand_below_verdicts_and_figures_in_rows_of_their_own() {
    let mut story = Story::new().running(3).judged();
    let mut objectives = story.state.objectives.clone();
    let reason = "13 samples: 299 without a bad one decide";
    objectives[1].reason = reason.into();
    story.tell(None, EventBody::ObjectivesEvaluated { objectives });
    let (mut app, _peer) = app_with(story.state, false);
    let overview = screen(&app, 80, 24);
    assert!(overview.contains(reason), "{overview}");
    assert!(screen(&app, 80, 16).contains("inconclusive"), "figures come before reasons");
    app.panel = Panel::Load;
    let load = screen(&app, 80, 24);
    assert!(!load.contains('…') && load.contains("busiest thread 3 %"), "{load}");
    app.panel = Panel::Help;
    let help = screen(&app, 80, 24);
    assert!(!help.contains('…') && help.contains("page 1 of"), "{help}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_panel_sees_it() {
    let (mut app, _peer) = app_with(Story::new().running(3).judged().state, false);
    let mut tap = |c| press(&mut app, KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
    tap('e');
    tap('7');
    assert!(screen(&app, 80, 24).contains("run log"));
    app.toggle_freeze();
    let drawn = screen(&app, 80, 24);
    assert!(!drawn.contains("7f3a9100:00") && drawn.contains("view frozen"), "{drawn}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_marked_wrapped_or_on_another_page() {
    let mut story = Story::new().running(3).judged();
    let end = "here-is-the-end";
    let message = format!("{} {end}", "a long story".repeat(8));
    let log = EventBody::Log { level: LogLevel::Info, target: "t".into(), message };
    story.tell(Some(PhaseKind::Mixed), log);
    let (mut app, _peer) = app_with(story.state, false);
    let overview = screen(&app, 80, 24);
    assert!(overview.contains('…') && !overview.contains(end), "{overview}");
    app.panel = Panel::Log;
    let drawn = screen(&app, 80, 24);
    assert!(drawn.contains(end), "{drawn}");

    app.explain = true;
    let first = screen(&app, 80, 24);
    assert!(
        first.contains("page 1 of 3: e turns the page") && !first.contains("wrong content (check)")
    );
    press(&mut app, KeyEvent::new(KeyCode::Char('e'), KeyModifiers::NONE));
    let second = screen(&app, 80, 24);
    assert!(second.contains("wrong content (check)"), "{second}");
    press(&mut app, KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
    assert!(!app.explain);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_turned_back_to_its_beginning_and_on_to_its_end() {
    let mut story = Story::new().running(3);
    for n in 0..60 {
        let message = format!("line {n:02} {}", "of the log ".repeat(n % 12));
        let log = EventBody::Log { level: LogLevel::Info, target: "t".into(), message };
        story.tell(None, log);
    }
    let (mut app, _peer) = app_with(story.state, false);
    let mut seen = String::new();
    let mut pages = 0;
    loop {
        press(&mut app, KeyEvent::new(KeyCode::Char('7'), KeyModifiers::NONE));
        let drawn = screen(&app, 80, 24);
        if pages > 0 && !drawn.contains(", page ") || drawn.contains(", page 1 of") {
            assert!(drawn.contains("line 59"), "{drawn}");
            break;
        }
        pages += 1;
        assert!(pages < 40, "{drawn}");
        seen += &drawn;
    }
    for n in 0..60 {
        assert!(seen.contains(&format!("line {n:02}")), "{n} is on no page: {seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_said_and_nothing_is_cut_without_a_mark() {
    let mut story = Story::new().running(3).judged();
    let mut objectives = story.state.objectives.clone();
    objectives[0].id = "postgres_availability".into();
    story.tell(None, EventBody::ObjectivesEvaluated { objectives });
    let (mut app, _peer) = app_with(story.state, false);
    assert!(screen(&app, 80, 24).contains("postgres_availabi… "), "{}", screen(&app, 80, 24));
    app.notify(&format!("{} for 5 s", "a long notice ".repeat(8)));
    let notice = screen(&app, 80, 24).lines().nth(4).map(str::to_owned);
    assert!(notice.as_ref().is_some_and(|line| line.contains("for 5 s")), "{notice:?}");
    app.toggle_freeze();
    let header = screen(&app, 62, 24).lines().next().map(str::to_owned);
    assert!(header.as_ref().is_some_and(|line| line.contains('…')), "{header:?}");

    app.panel = Panel::Load;
    let whole = screen(&app, 80, 40);
    assert!(whole.contains("completion") && !whole.contains("more rows"), "{whole}");
    let load = screen(&app, 80, 14);
    assert!(load.contains("more rows: 2 turns the page"), "{load}");

    app.panel = Panel::Log;
    app.warnings_only = true;
    let log = screen(&app, 80, 24);
    assert!(log.contains("none so far: l shows everything"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn the_smallest_screen_has_the_question_and_the_keys_that_do_something() {
    let (mut app, _peer) = app_with(Story::new().running(3).state, false);
    let tap = |app: &mut App, c| press(app, KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
    assert!(screen(&app, 40, 8).contains("p pause  A abort  q quit"), "{}", screen(&app, 40, 8));
    let tiny = screen(&app, 20, 5);
    assert!(tiny.contains("q quit") && tiny.contains("A abort"), "{tiny}");
    tap(&mut app, 'q');
    let asked = screen(&app, 40, 8);
    assert!(asked.contains("d detach") && asked.contains("n stay"), "{asked}");
    tap(&mut app, 'n');
    tap(&mut app, 'n');
    tap(&mut app, 'x');
    assert!(screen(&app, 40, 8).contains("remark: x_"), "{}", screen(&app, 40, 8));
    let (ready, _peer) = app_with(Story::new().ready().state, false);
    assert!(screen(&ready, 40, 8).contains("Enter start"), "{}", screen(&ready, 40, 8));
    let (over, _peer) = app_with(Story::new().running(3).judged().finished().state, false);
    assert!(!screen(&over, 40, 8).contains("abort  "), "{}", screen(&over, 40, 8));
}

#[tokio::test(start_paused = true)]
async fn the_id_that_attach_takes_is_whole_and_the_name_of_the_plan_gives_way() {
    let mut story = Story::new().running(3);
    let mut plan = story.state.plan.clone().expect("a plan");
    plan.name = "mixed + ramping + security".into();
    story.tell(None, EventBody::PlanChanged { plan });
    let (app, _peer) = app_with(story.state, false);
    let head = |width| screen(&app, width, 24).lines().next().map(str::to_owned).expect("a line");
    assert!(
        head(120).contains("staging-eu · mixed + ramping + security · 7f3a91"),
        "{}",
        head(120)
    );
    assert!(head(80).contains("staging-eu · mixed + ra… · 7f3a91 "), "{}", head(80));
    assert!(head(66).contains("staging-eu · 7f3a91 "), "{}", head(66));

    let mut state = app.state.clone();
    if let Some(identity) = &mut state.identity {
        (identity.target, identity.environment) = ("日本".repeat(25), Environment::Production);
    }
    let (app, _peer) = app_with(state, false);
    for width in [80, 120] {
        let head = screen(&app, width, 24).lines().next().map(str::to_owned).expect("a line");
        assert!(head.contains("… (PRODUCTION) · 7f3a91 "), "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_notice_hides_what_is_broken() {
    let (mut app, _peer) = app_with(Story::new().running(3).chaos().state, false);
    app.notify("refused: its users are not driven by a rate");
    let drawn = screen(&app, 80, 24);
    assert!(drawn.contains("! FAULT") && drawn.contains("! refused"), "{drawn}");
}

#[tokio::test(start_paused = true)]
async fn help_of_who_only_watches_tells_no_key_that_is_refused() {
    let (mut app, _peer) = app_with(Story::new().running(3).state, false);
    app.panel = Panel::Help;
    let works = |app: &App, key: &str| {
        let drawn = screen(app, 120, 60);
        let (now, later) = drawn.split_once("keys for another time").expect("both lists");
        assert!(now.contains(key) != later.contains(key), "{drawn}");
        now.contains(key)
    };
    assert!(works(&app, "pause (heals first"), "an operator pauses");
    app.client.read_only = true;
    assert!(!works(&app, "pause (heals first") && works(&app, "freeze the view"));

    press(&mut app, KeyEvent::new(KeyCode::Down, KeyModifiers::NONE));
    assert!(screen(&app, 80, 24).contains("page 2 of"), "{}", screen(&app, 80, 24));
    assert_eq!(app.selected_phase, 0, "nothing is selected that cannot be seen");
    press(&mut app, KeyEvent::new(KeyCode::Up, KeyModifiers::NONE));
    assert!(screen(&app, 80, 24).contains("page 1 of"), "{}", screen(&app, 80, 24));
}

#[tokio::test(start_paused = true)]
async fn the_smallest_screen_says_what_is_broken_and_no_figures_of_another_phase() {
    let (app, _peer) = app_with(Story::new().running(3).chaos().state, false);
    let drawn = screen(&app, 40, 10);
    assert!(drawn.contains("! FAULT (H heals now)"), "{drawn}");
    assert!(drawn.contains("chaos") && !drawn.contains("last 10 s"), "{drawn}");
    let (app, _peer) = app_with(Story::new().running(3).state, false);
    assert!(screen(&app, 40, 10).contains("mixed, last 10 s: n "), "{}", screen(&app, 40, 10));
}

#[tokio::test(start_paused = true)]
async fn a_production_target_is_named_as_one_whatever_the_width() {
    let mut state = Story::new().running(3).state;
    if let Some(identity) = &mut state.identity {
        identity.environment = Environment::Production;
    }
    let (app, _peer) = app_with(state, false);
    for width in [80, 120] {
        let drawn = screen(&app, width, 24);
        let head = drawn.lines().next().expect("a line");
        assert!(head.contains("staging-eu (PRODUCTION) · ") && head.contains("7f3a91"), "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_needs_the_operator_is_not_cut() {
    let (mut app, _peer) = app_with(Story::new().running(3).judged().state, false);
    let advice = "the engine is gone: `shakedown recover` heals, `shakedown report \
                  20261129-213224-833c28` tells";
    app.link = Link::Lost(advice.into());
    let drawn = screen(&app, 80, 24);
    let (first, next) =
        ("! the engine is gone: `shakedown recover`", "20261129-213224-833c28` tells");
    assert!(drawn.contains(first) && drawn.contains(next), "{drawn}");
    app.link = Link::Lost("word ".repeat(200));
    let drawn = screen(&app, 80, 24);
    assert!(drawn.contains("word…") && drawn.contains(" verdict"), "{drawn}");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_without_a_reason_has_nothing_to_explain() {
    let (app, _peer) = app_with(Story::new().running(3).judged().state, false);
    let drawn = screen(&app, 60, 14);
    let row = drawn.lines().find(|row| row.contains("availability")).expect("a row");
    assert!(row.trim_end_matches(['"', ' ']).ends_with("pass"), "{row}");
}
