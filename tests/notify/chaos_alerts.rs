//! Whether the platform's own alerts fire while something is broken on purpose.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use shakedown::config::{AlertmanagerChannel, Channel, LoadedSlos, SHIPPED_SLOS};
use shakedown::notify::ChaosAlerts;
use shakedown::run::event::{ChaosEvent, EventBody, Verdict};

use super::Run;
use super::receivers::Receiver;

#[tokio::test]
async fn an_alert_that_fires_just_before_the_end_of_the_run_is_seen() {
    let (manager, url) = Receiver::start().await;
    let channel: AlertmanagerChannel = serde_json::from_value(json!({
        "url": url, "expect_during_chaos": [{ "alertname": "ChatDown", "within": "10m" }]
    }))
    .expect("a channel");
    let mut definitions = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
    definitions.channels = BTreeMap::from([("am".to_owned(), Channel::Alertmanager(channel))]);
    let watch = ChaosAlerts::of(&definitions).pop().expect("it has something to wait for");
    let run = Run::beside(&definitions, watch);
    // It follows the run when it has asked for the first time.
    while manager.got().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    run.events.emit(EventBody::Chaos(ChaosEvent::Injected {}));
    // The run ends long before it would be asked again.
    let firing = json!([{
        "labels": { "alertname": "ChatDown" }, "startsAt": "2026-11-24T10:00:00Z",
        "status": { "state": "active" }
    }]);
    manager.answer(200, &firing.to_string());
    let events = run.end(Verdict::Pass).await;
    let seen = events.with_state(|state| state.notify.platform.clone());
    let [(alertname, Some(_), _)] = &seen[..] else { panic!("not seen: {seen:?}") };
    assert_eq!(alertname, "ChatDown");
}
