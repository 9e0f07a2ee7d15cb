//! What an operator sees on a terminal of 80 columns: nothing that decides is cut away.

use super::{KeyCode, Panel, Story, app_with, screen};
use crate::config::PhaseKind;
use crate::run::event::{EventBody, LogLevel};
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
    assert!(!load.contains('…') && load.contains("lost 0"), "{load}");
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
