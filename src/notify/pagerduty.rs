//! PagerDuty, by its Events API v2.

use async_trait::async_trait;
use reqwest::Client;
use serde_json::{Value, json};

use super::alert::Message;
use super::delivery::{Failure, Notifier};
use super::http;
use crate::config::{AlertSeverity, PagerDutyChannel, Secret};
use crate::run::event::NotifyAction;

/// PagerDuty's limits.
const MAX_SUMMARY_CHARS: usize = 1024;
const MAX_KEY_CHARS: usize = 255;
const MAX_EVENT_BYTES: usize = 500_000;

pub struct PagerDuty {
    client: Client,
    url: String,
    routing_key: Secret,
}

impl PagerDuty {
    pub fn new(client: Client, channel: &PagerDutyChannel, routing_key: Secret) -> Self {
        Self { client, url: channel.url.clone(), routing_key }
    }
}

#[async_trait]
impl Notifier for PagerDuty {
    fn payload(&self, message: &Message) -> String {
        let url = &self.url;
        format!("POST {url}\ncontent-type: application/json\n\n{:#}", body(message, "***"))
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let body = body(message, self.routing_key.expose());
        http::send(self.client.post(&self.url).json(&body)).await.map(drop)
    }
}

fn body(message: &Message, routing_key: &str) -> Value {
    let alert = &message.alert;
    let dedup_key: String = alert.key.chars().take(MAX_KEY_CHARS).collect();
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": message.action.to_string(),
        "dedup_key": dedup_key,
    });
    if message.action == NotifyAction::Resolve {
        return event;
    }
    let summary: String = alert.summary.chars().take(MAX_SUMMARY_CHARS).collect();
    event["client"] = "shakedown".into();
    event["payload"] = json!({
        "summary": summary,
        "source": alert.target,
        "severity": match alert.severity {
            AlertSeverity::Page => "critical",
            AlertSeverity::Ticket => "warning",
        },
        "timestamp": message.since.to_string(),
        "component": alert.component,
        "group": alert.environment,
        "class": "slo",
        "custom_details": {
            "run": alert.run,
            "level": message.level,
            "figures": alert.details,
        },
    });
    if let Some(url) = &alert.report_url {
        event["client_url"] = url.as_str().into();
        event["links"] = json!([{ "href": url, "text": "Report" }]);
    }
    if event.to_string().len() > MAX_EVENT_BYTES {
        event["payload"]["custom_details"] = json!({ "run": alert.run });
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::Alert;
    use jiff::Timestamp;

    #[test]
    fn an_event_stays_within_the_limits() {
        let at = Timestamp::UNIX_EPOCH;
        let mut alert = Alert::rehearsal(&"t".repeat(400), "production");
        alert.summary = "s".repeat(5000);
        alert.details = [("all".to_owned(), "x".repeat(600_000))].into();
        let message = Message { alert, action: NotifyAction::Trigger, level: 1, since: at, at };
        let event = body(&message, "key");
        assert!(event.to_string().len() < MAX_EVENT_BYTES);
        assert_eq!(event["dedup_key"].as_str().map(str::len), Some(MAX_KEY_CHARS));
        assert_eq!(event["payload"]["summary"].as_str().map(str::len), Some(MAX_SUMMARY_CHARS));
    }
}
