//! What ends a dashboard that nobody leaves.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_hang_up_ends_the_dashboard_at_once() {
    let (app, mut peer) = app_with(Story::new().running(3).state, false);
    let (ended, _, commands) = play(app, &mut peer, vec![(10, Input::Gone)]).await;
    assert_eq!((ended, commands), (Ended::Hangup, vec![]));
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
