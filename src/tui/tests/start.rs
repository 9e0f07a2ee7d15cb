//! What Enter starts and what it does not, and which phase is not skipped by one key.

use super::*;
use crate::config::Environment;
use crate::run::event::PhaseOutcome;

#[tokio::test(start_paused = true)]
async fn a_wrong_name_starts_nothing_on_a_production_target() {
    let mut state = Story::new().ready().state;
    if let Some(identity) = &mut state.identity {
        identity.environment = Environment::Production;
    }
    let (mut app, mut peer) = app_with(state, false);
    let mut typed = |name: &str| {
        let keys = name.chars().map(KeyCode::Char);
        for code in std::iter::once(KeyCode::Enter).chain(keys).chain([KeyCode::Enter]) {
            press(&mut app, KeyEvent::new(code, KeyModifiers::NONE));
        }
        sent(&mut peer)
    };
    assert_eq!(typed("staging-us"), [Command::Arm { name: "staging-us".into() }]);
    let both = [Command::Arm { name: "staging-eu".into() }, Command::Start { phase: None }];
    assert_eq!(typed("staging-eu"), both);
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_before_the_plan_is_there_and_no_phase_that_it_leaves_out() {
    let enter = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
    let (client, mut peer) = EngineClient::pair(false);
    let theme = Theme::load(None, false).expect("shipped");
    let mut app = App::new(client, theme, Glyphs { ascii: false });
    press(&mut app, enter);
    assert!(peer.commands.try_recv().is_err(), "there is no engine to hear it later");

    let (mut app, mut peer) = app_with(Story::new().ready().state, false);
    let left_out = app.state.phases.iter().position(|phase| phase.skip_requested);
    app.selected_phase = left_out.expect("the backup is");
    press(&mut app, enter);
    assert!(peer.commands.try_recv().is_err() && app.notice().is_some(), "{:?}", app.notice());
    app.selected_phase -= 1;
    press(&mut app, enter);
    assert!(matches!(peer.commands.try_recv(), Ok((_, Command::Start { phase: Some(_) }))));
}

#[tokio::test(start_paused = true)]
async fn the_last_phase_that_does_something_is_not_skipped_by_one_key() {
    let mut story = Story::new().running(3);
    for kind in [PhaseKind::Ramping, PhaseKind::Chaos, PhaseKind::Security] {
        let outcome = PhaseOutcome::skipped_by_request("left out");
        story.tell(Some(kind), EventBody::PhaseFinished { outcome });
    }
    let (mut app, mut peer) = app_with(story.state, false);
    press(&mut app, KeyEvent::new(KeyCode::Char('S'), KeyModifiers::NONE));
    assert!(peer.commands.try_recv().is_err() && app.prompt.is_some(), "it asks first");
    press(&mut app, KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE));
    assert!(matches!(peer.commands.try_recv(), Ok((_, Command::SkipPhase {}))));
}
