//! What ends a dashboard that nobody leaves.

use super::*;
use crate::config::OnDetach;
use crate::tui::app::Prompt;
use crate::tui::operate::After;

#[tokio::test(start_paused = true)]
async fn a_hang_up_ends_the_dashboard_at_once() {
    let (app, mut peer) = app_with(Story::new().running(3).state, false);
    let (ended, _, commands) = play(app, &mut peer, vec![(10, Input::Gone)]).await;
    assert_eq!((ended, commands), (Ended::Detached(Fate::GoesOn), vec![]));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_told_what_becomes_of_the_run() {
    let told = |state: RunState, on_detach, read_only| {
        let (mut app, _peer) = app_with(state, false);
        app.on_detach = on_detach;
        app.client.read_only = read_only;
        let fate = Fate::of(&app);
        app.ask(Prompt::Quit);
        assert!(screen(&app, 120, 24).contains(&fate.to_string()), "{fate} is not asked about");
        fate
    };
    let ready = || Story::new().ready().state;
    let running = || Story::new().running(3).state;
    let watched = || RunState { operators: 2, ..running() };
    assert_eq!(told(ready(), OnDetach::Continue, false), Fate::Waits);
    assert_eq!(told(ready(), OnDetach::Abort, false), Fate::Aborts);
    assert_eq!(told(running(), OnDetach::Continue, false), Fate::GoesOn);
    assert_eq!(told(running(), OnDetach::Hold, false), Fate::Holds);
    assert_eq!(told(running(), OnDetach::Abort, false), Fate::Aborts);
    assert_eq!(told(watched(), OnDetach::Abort, false), Fate::GoesOn);
    assert_eq!(told(running(), OnDetach::Abort, true), Fate::GoesOn, "who only watches");
}

#[tokio::test(start_paused = true)]
async fn to_detach_is_asked_about_where_it_aborts_and_nowhere_else() {
    let (mut app, mut peer) = app_with(Story::new().running(3).state, false);
    let detach = KeyEvent::new(KeyCode::Char('d'), KeyModifiers::NONE);
    app.on_detach = OnDetach::Abort;
    assert_eq!(press(&mut app, detach), After::Stay);
    assert!(matches!(app.prompt, Some((Prompt::Quit, _))), "{:?}", app.prompt);
    assert_eq!(press(&mut app, detach), After::Leave(Ended::Detached(Fate::Aborts)));
    app.state.operators = 2;
    assert_eq!(press(&mut app, detach), After::Leave(Ended::Detached(Fate::GoesOn)));
    assert!(sent(&mut peer).is_empty(), "the engine sees for itself that nobody watches");
}

#[tokio::test(start_paused = true)]
async fn of_a_run_that_was_not_heard_of_nobody_says_that_it_waits() {
    let (client, peer) = EngineClient::pair(false);
    let mut app = App::new(client, Theme::default(), Glyphs { ascii: false });
    assert_eq!(Fate::of(&app), Fate::GoesOn);
    app.hear(ClientUpdate::Snapshot(Box::new(Story::new().ready().state)));
    assert_eq!(Fate::of(&app), Fate::Waits);
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_never_came_ends_the_dashboard_with_the_reason() {
    let (client, peer) = EngineClient::pair(false);
    let app = App::new(client, Theme::default(), Glyphs { ascii: false });
    let lost = ClientUpdate::Disconnected("the target is taken".into());
    peer.updates.send(lost).await.expect("room");
    let mut canvas = CountingCanvas::default();
    let ended = event_loop::run(app, &mut canvas, ScriptedKeys::new(&[]), 10).await;
    assert_eq!(ended, Ended::Disconnected("the target is taken".into()));
}
