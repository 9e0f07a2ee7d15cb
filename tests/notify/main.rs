//! Alerts over real protocols: what HTTP receivers and a mail server really get, how failures and
//! crashes are borne, and that no secret gets out.

mod chaos_alerts;
mod receivers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use receivers::{Got, Receiver, mail_server};
use serde_json::{Value, json};
use shakedown::config::{
    AlertmanagerChannel, Channel, Config, EmailChannel, LoadedSlos, NotifyMode, PagerDutyChannel,
    SHIPPED_SLOS, SecretSource, SlackChannel, SloDefinitions, WebhookChannel,
};
use shakedown::notify::{Alert, Message, Outbox, Watch, deliver, notifier};
use shakedown::platform::tls;
use shakedown::run::clock::RunClock;
use shakedown::run::companion::{Companion, CompanionContext, Stage};
use shakedown::run::event::{EventBody, NotifyAction, Objective, RunIdentity, RunVerdict, Verdict};
use shakedown::run::plan::{Plan, Scope};
use shakedown::run::recorder::EventSink;
use shakedown::run::state_dir::StateDir;
use tokio::sync::watch;

/// What no output may hold.
const SECRET: &str = "planted-secret-7f3a91";

fn secret_file(folder: &tempfile::TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("written");
    path
}

fn message(action: NotifyAction) -> Message {
    let since = "2026-11-24T10:00:00Z".parse().expect("a time");
    let at = "2026-11-24T10:05:00Z".parse().expect("a time");
    let mut alert = Alert::rehearsal("prod-eu", "production");
    alert.report_url = Some("https://reports.example.com/1".into());
    Message { alert, action, level: 2, since, at }
}

async fn sent(channel: &Channel, action: NotifyAction) -> shakedown::notify::Attempt {
    tls::install_provider();
    let notifier = notifier(channel).expect("set up");
    let shown = notifier.payload(&message(action));
    assert!(!shown.contains(SECRET), "the dry run shows a secret: {shown}");
    deliver(notifier.as_ref(), &message(action)).await
}

#[tokio::test]
async fn slack_gets_blocks_and_a_text_for_the_notification() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (receiver, url) = Receiver::start().await;
    let file = secret_file(&folder, "slack", &format!("{url}/services/{SECRET}\n"));
    let channel = Channel::Slack(SlackChannel { webhook_env: None, webhook_file: Some(file) });
    assert_eq!(sent(&channel, NotifyAction::Trigger).await.result, Ok(()));
    let got = receiver.got().remove(0);
    assert_eq!(
        (got.method, got.uri.path()),
        (Method::POST, format!("/services/{SECRET}").as_str())
    );
    let expected = json!({
        "text": "TICKET prod-eu: this is a test of shakedown's alerts: nothing is wrong",
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": "TICKET · shakedown · prod-eu" } },
            { "type": "section", "text": { "type": "mrkdwn",
                "text": "this is a test of shakedown's alerts: nothing is wrong" } },
            { "type": "section", "fields": [{ "type": "mrkdwn", "text": "*measured*\nnothing" }] },
            { "type": "context", "elements": [{ "type": "mrkdwn",
                "text": "production · level 2 · run none · since 2026-11-24T10:00:00Z" }] },
            { "type": "actions", "elements": [{ "type": "button",
                "text": { "type": "plain_text", "text": "Report" }, "url": "https://reports.example.com/1" }] },
        ]
    });
    assert_eq!(got.body, expected);
}

#[tokio::test]
async fn pagerduty_gets_a_trigger_and_a_resolve_with_one_key() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (receiver, url) = Receiver::start().await;
    receiver.answer(202, r#"{"status":"success"}"#);
    let channel = Channel::PagerDuty(PagerDutyChannel {
        routing_key_env: None,
        routing_key_file: Some(secret_file(&folder, "key", SECRET)),
        url: format!("{url}/v2/enqueue"),
    });
    assert_eq!(sent(&channel, NotifyAction::Trigger).await.result, Ok(()));
    assert_eq!(sent(&channel, NotifyAction::Resolve).await.result, Ok(()));
    let [trigger, resolve] = &receiver.got()[..] else { panic!("two events") };
    let expected = json!({
        "routing_key": SECRET,
        "event_action": "trigger",
        "dedup_key": "shakedown/prod-eu/test",
        "client": "shakedown",
        "client_url": "https://reports.example.com/1",
        "links": [{ "href": "https://reports.example.com/1", "text": "Report" }],
        "payload": {
            "summary": "this is a test of shakedown's alerts: nothing is wrong",
            "source": "prod-eu",
            "severity": "warning",
            "timestamp": "2026-11-24T10:00:00Z",
            "component": "test",
            "group": "production",
            "class": "slo",
            "custom_details": { "run": "none", "level": 2, "figures": { "measured": "nothing" } },
        },
    });
    assert_eq!(trigger.body, expected);
    let expected = json!({
        "routing_key": SECRET, "event_action": "resolve", "dedup_key": "shakedown/prod-eu/test"
    });
    assert_eq!(resolve.body, expected);
}

#[tokio::test]
async fn alertmanager_gets_the_same_labels_for_the_alert_and_its_end() {
    let (receiver, url) = Receiver::start().await;
    let channel = Channel::Alertmanager(AlertmanagerChannel {
        url,
        bearer: None,
        labels: [("team".to_owned(), "sre".to_owned())].into(),
        silence_during_chaos: None,
        expect_during_chaos: vec![],
    });
    assert_eq!(sent(&channel, NotifyAction::Trigger).await.result, Ok(()));
    assert_eq!(sent(&channel, NotifyAction::Resolve).await.result, Ok(()));
    let [trigger, resolve] = &receiver.got()[..] else { panic!("two posts") };
    assert_eq!(trigger.uri.path(), "/api/v2/alerts");
    let expected = json!([{
        "labels": { "alertname": "ShakedownAlert", "component": "test", "environment": "production",
            "severity": "warning", "target": "prod-eu", "team": "sre" },
        "annotations": { "level": "2", "measured": "nothing", "run": "none",
            "summary": "this is a test of shakedown's alerts: nothing is wrong" },
        "startsAt": "2026-11-24T10:00:00Z",
        "endsAt": "2026-11-24T10:10:00Z",
        "generatorURL": "https://reports.example.com/1",
    }]);
    assert_eq!(trigger.body, expected);
    assert_eq!(resolve.body[0]["labels"], trigger.body[0]["labels"]);
    assert_eq!(resolve.body[0]["endsAt"], "2026-11-24T10:05:00Z");
}

#[tokio::test]
async fn a_webhook_gets_everything_and_its_token() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (receiver, url) = Receiver::start().await;
    let channel = Channel::Webhook(WebhookChannel {
        url_env: None,
        url_file: Some(secret_file(&folder, "url", &format!("{url}/hook?token={SECRET}"))),
        bearer: Some(SecretSource::File(secret_file(&folder, "bearer", SECRET))),
    });
    assert_eq!(sent(&channel, NotifyAction::Trigger).await.result, Ok(()));
    let got = receiver.got().remove(0);
    assert_eq!(got.headers["authorization"], format!("Bearer {SECRET}"));
    assert_eq!(got.body["schema"], "shakedown.alert/v1");
    assert_eq!(
        (&got.body["action"], &got.body["key"]),
        (&json!("trigger"), &json!("shakedown/prod-eu/test"))
    );
}

#[tokio::test]
async fn mail_goes_to_everybody_as_text_and_as_html() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (lines, url) = mail_server().await;
    let channel = Channel::Email(EmailChannel {
        smtp_url_env: None,
        smtp_url_file: Some(secret_file(&folder, "smtp", &url)),
        from: "shakedown@example.com".into(),
        to: vec!["sre@example.com".into(), "Ops <ops@example.com>".into()],
        allow_plain: true,
    });
    assert_eq!(sent(&channel, NotifyAction::Trigger).await.result, Ok(()));
    let lines = lines.lock().expect("not poisoned").clone();
    let has = |part: &str| lines.iter().any(|line| line.contains(part));
    for part in [
        "MAIL FROM:<shakedown@example.com>",
        "RCPT TO:<sre@example.com>",
        "RCPT TO:<ops@example.com>",
        "Subject: [shakedown prod-eu] level 2: this is a test",
        "Content-Type: multipart/alternative",
        "Content-Type: text/html; charset=utf-8",
        "key: shakedown/prod-eu/test",
        "report: https://reports.example.com/1",
    ] {
        assert!(has(part), "{part}: {lines:#?}");
    }
}

#[tokio::test]
async fn what_the_other_side_says_does_not_give_a_secret_away() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (receiver, url) = Receiver::start().await;
    receiver.answer(403, &format!("no such key {SECRET}\u{1b}[2J"));
    let file = secret_file(&folder, "key", SECRET);
    let channel = Channel::PagerDuty(PagerDutyChannel {
        routing_key_env: None,
        routing_key_file: Some(file.clone()),
        url: url.clone(),
    });
    let refused = sent(&channel, NotifyAction::Trigger).await;
    assert_eq!(refused.tries, 1, "a refusal is not tried again");
    let reason = refused.result.expect_err("refused").reason;
    assert_eq!(reason, "status 403: no such key ***[2J".replace("***[", "*** ["));
    // Nobody listens there, and the address is the secret.
    let file = secret_file(&folder, "slack", &format!("http://127.0.0.1:1/{SECRET}"));
    let channel = Channel::Slack(SlackChannel { webhook_env: None, webhook_file: Some(file) });
    let lost = sent(&channel, NotifyAction::Trigger).await;
    assert_eq!(lost.tries, 3);
    let failure = format!("{:?}", lost.result);
    assert!(!failure.contains(SECRET), "{failure}");
}

/// A run of which an objective is missed, and its alerts.
struct Run {
    events: EventSink,
    stage: watch::Sender<Stage>,
    work: tokio::task::JoinHandle<()>,
}

fn definitions(hook: &std::path::Path) -> SloDefinitions {
    let mut definitions = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
    let hook = WebhookChannel { url_env: None, url_file: Some(hook.to_owned()), bearer: None };
    definitions.channels = BTreeMap::from([("hook".to_owned(), Channel::Webhook(hook))]);
    definitions.escalation.truncate(1);
    definitions.escalation[0].channels = vec!["hook".into()];
    definitions
}

impl Run {
    fn begin(definitions: &SloDefinitions, state: &StateDir, mode: NotifyMode) -> Self {
        let watch =
            Watch::new(definitions, mode, "prod-eu", state.clone()).expect("somebody is told");
        Self::beside(definitions, watch)
    }

    fn beside(definitions: &SloDefinitions, companion: impl Companion + 'static) -> Self {
        tls::install_provider();
        let config: Config = serde_json::from_value(json!({
            "target": { "name": "prod-eu", "environment": "staging" }
        }))
        .expect("a configuration");
        let events = EventSink::in_memory(RunClock::start());
        let target = &config.target;
        events.emit(EventBody::RunCreated {
            identity: Box::new(RunIdentity::new(
                "20261124-100000-abcdef",
                &target.name,
                target.environment,
            )),
            plan: Plan::new(&config.phases, &Scope::Quick, &[]),
            criteria: config.criteria,
            promises: Some(Box::new(definitions.clone())),
        });
        let (stage, receiver) = watch::channel(Stage::Running);
        let context = CompanionContext {
            events: events.clone(),
            config: Arc::new(config),
            run_id: "20261124-100000-abcdef".into(),
            stage: receiver,
        };
        let work = tokio::spawn(async move { companion.accompany(context).await });
        Self { events, stage, work }
    }

    fn p99(&self, verdict: Verdict) {
        let objective: Objective = serde_json::from_value(json!({
            "id": "p99", "objective": "< 2000 ms", "measured": "2400 ms", "n": 1000, "bad": 100,
            "verdict": verdict, "method": "test", "gate": true
        }))
        .expect("an objective");
        self.events.emit(EventBody::ObjectivesEvaluated { objectives: vec![objective] });
    }

    async fn end(self, verdict: Verdict) -> EventSink {
        let verdict = RunVerdict { verdict, reasons: vec![], without: vec![] };
        self.events.emit(EventBody::RunFinished { verdict });
        self.stage.send_replace(Stage::Over);
        tokio::time::timeout(Duration::from_secs(60), self.work)
            .await
            .expect("ends")
            .expect("well");
        self.events
    }
}

#[tokio::test]
async fn a_later_run_that_passes_ends_the_alert_of_one_that_failed() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (receiver, url) = Receiver::start().await;
    let definitions = definitions(&secret_file(&folder, "url", &format!("{url}/{SECRET}")));
    let state = StateDir::at(folder.path().join("state")).expect("state");
    let first = Run::begin(&definitions, &state, NotifyMode::OneShot);
    first.p99(Verdict::Fail);
    let events = first.end(Verdict::Fail).await;
    events.with_state(|state| assert_eq!(state.notify.alerts.len(), 2, "{:?}", state.notify));
    let said = |got: &[Got]| -> Vec<(String, String)> {
        let words = |of: &Value| of.as_str().unwrap_or_default().to_owned();
        got.iter().map(|got| (words(&got.body["action"]), words(&got.body["key"]))).collect()
    };
    let trigger = |key: &str| ("trigger".to_owned(), key.to_owned());
    let told = said(&receiver.got());
    assert_eq!(told, [trigger("shakedown/prod-eu/slo/p99"), trigger("shakedown/prod-eu/run")]);
    // Days later, another process.
    let second = Run::begin(&definitions, &state, NotifyMode::Escalate);
    second.p99(Verdict::Pass);
    let events = second.end(Verdict::Pass).await;
    events.with_state(|state| {
        assert_eq!((state.notify.delivered["hook"], state.notify.failed.len()), (2, 0));
        let all = serde_json::to_string(state).expect("JSON");
        assert!(!all.contains(SECRET), "a secret stands in the state");
    });
    let told = said(&receiver.got()[2..]);
    let resolve = |key: &str| ("resolve".to_owned(), key.to_owned());
    assert_eq!(told, [resolve("shakedown/prod-eu/slo/p99"), resolve("shakedown/prod-eu/run")]);
}

#[tokio::test]
async fn what_a_dead_run_could_not_say_is_said_by_the_next() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (receiver, url) = Receiver::start().await;
    let definitions = definitions(&secret_file(&folder, "url", &url));
    let state = StateDir::at(folder.path().join("state")).expect("state");
    let mut outbox = Outbox::open(&state, "prod-eu").expect("opens");
    let now = jiff::Timestamp::now();
    outbox
        .put("hook", &Message { since: now, at: now, ..message(NotifyAction::Trigger) })
        .expect("kept");
    let next = Run::begin(&definitions, &state, NotifyMode::Escalate);
    next.end(Verdict::Pass).await;
    assert_eq!(receiver.got()[0].body["key"], "shakedown/prod-eu/test");
    let (left, _) = Outbox::open(&state, "prod-eu").expect("opens").waiting(now).expect("readable");
    assert!(left.is_empty(), "it is said once: {left:?}");
}

#[tokio::test]
async fn a_channel_that_fails_is_reported_and_its_message_kept_for_the_next_run() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (receiver, url) = Receiver::start().await;
    (0..3).for_each(|_| receiver.answer(503, "down"));
    let definitions = definitions(&secret_file(&folder, "url", &url));
    let state = StateDir::at(folder.path().join("state")).expect("state");
    let run = Run::begin(&definitions, &state, NotifyMode::OneShot);
    run.p99(Verdict::Fail);
    let events = run.end(Verdict::Inconclusive).await;
    events.with_state(|state| {
        let failed = state.notify.last.back().expect("reported");
        assert_eq!((failed.tries, failed.error.as_deref()), (3, Some("status 503: down")));
        let verdict = state.verdict.as_ref().map(|verdict| verdict.verdict);
        assert_eq!(verdict, Some(Verdict::Inconclusive), "the verdict is what it was");
    });
    let now = jiff::Timestamp::now();
    let (left, _) = Outbox::open(&state, "prod-eu").expect("opens").waiting(now).expect("readable");
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn channels_whose_secrets_have_no_value_are_not_configured_and_no_failure() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (receiver, url) = Receiver::start().await;
    let mut definitions = definitions(&secret_file(&folder, "url", &url));
    // The shipped examples, by names that are set nowhere.
    let shipped = ["SLACK_WEBHOOK_URL", "PD_ROUTING_KEY", "SMTP_URL"]
        .into_iter()
        .fold(SHIPPED_SLOS.to_owned(), |text, name| text.replace(name, &format!("NOWHERE_{name}")));
    let shipped = LoadedSlos::parse("shipped", &shipped).expect("valid").definitions;
    definitions.channels.extend(shipped.channels);
    definitions.escalation = shipped.escalation;
    definitions.escalation[2].channels.push("hook".into());
    let state = StateDir::at(folder.path().join("state")).expect("state");
    // What an earlier run, which knew the secret, could not say any more.
    let mut earlier = message(NotifyAction::Trigger);
    earlier.at = jiff::Timestamp::now();
    let mut outbox = Outbox::open(&state, "prod-eu").expect("opens");
    outbox.put("slack", &earlier).expect("written");

    let run = Run::begin(&definitions, &state, NotifyMode::OneShot);
    run.p99(Verdict::Fail);
    let events = run.end(Verdict::Fail).await;
    events.with_state(|state| {
        let notify = &state.notify;
        assert!(notify.failed.is_empty(), "{notify:?}");
        assert_eq!(notify.delivered["hook"], 1, "the others are told: {notify:?}");
        let names: Vec<&str> = notify.not_configured.keys().map(String::as_str).collect();
        assert_eq!(names, ["mail", "pager", "slack"]);
        assert_eq!(notify.not_configured["slack"], "NOWHERE_SLACK_WEBHOOK_URL is not set");
        let errors = state.log.iter().filter(|line| line.message.contains("not told"));
        assert_eq!(errors.count(), 0, "{:?}", state.log);
    });
    assert_eq!(receiver.got().len(), 1);
    let (waiting, _) = outbox.waiting(jiff::Timestamp::now()).expect("readable");
    assert_eq!(waiting.len(), 1, "kept for a run that knows the secret");
}
