//! Slack, by an incoming webhook.

use async_trait::async_trait;
use reqwest::Client;
use serde_json::{Value, json};

use super::alert::Message;
use super::delivery::{Failure, Notifier};
use super::http;
use crate::config::{AlertSeverity, Secret};
use crate::run::event::NotifyAction;

/// Slack's limits, in characters.
const MAX_HEADER: usize = 150;
const MAX_TEXT: usize = 2900;
const MAX_FIELD: usize = 1900;
/// Fields of one section.
const MAX_FIELDS: usize = 10;

pub struct Slack {
    client: Client,
    webhook: Secret,
}

impl Slack {
    pub const fn new(client: Client, webhook: Secret) -> Self {
        Self { client, webhook }
    }
}

#[async_trait]
impl Notifier for Slack {
    fn payload(&self, message: &Message) -> String {
        format!("POST ***\ncontent-type: application/json\n\n{:#}", body(message))
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let request = self.client.post(self.webhook.expose()).json(&body(message));
        http::send(request).await.map(drop)
    }
}

fn body(message: &Message) -> Value {
    let alert = &message.alert;
    let word = match (message.action, alert.severity) {
        (NotifyAction::Resolve, _) => "OVER",
        (NotifyAction::Trigger, AlertSeverity::Page) => "PAGE",
        (NotifyAction::Trigger, AlertSeverity::Ticket) => "TICKET",
    };
    let header = format!("{word} · shakedown · {}", alert.target);
    let mut blocks = vec![
        json!({ "type": "header", "text": { "type": "plain_text", "text": cut(&header, MAX_HEADER) } }),
        json!({ "type": "section", "text": { "type": "mrkdwn", "text": escaped(&message.headline(), MAX_TEXT) } }),
    ];
    let fields: Vec<Value> = alert
        .details
        .iter()
        .take(MAX_FIELDS)
        .map(|(name, value)| {
            let text = escaped(&format!("*{name}*\n{value}"), MAX_FIELD);
            json!({ "type": "mrkdwn", "text": text })
        })
        .collect();
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let context = format!(
        "{} · level {} · run {} · since {}",
        alert.environment, message.level, alert.run, message.since
    );
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": escaped(&context, MAX_TEXT) }] }));
    if let Some(url) = &alert.report_url {
        blocks.push(json!({ "type": "actions", "elements": [
            { "type": "button", "text": { "type": "plain_text", "text": "Report" }, "url": url }
        ] }));
    }
    let text = format!("{word} {}: {}", alert.target, message.headline());
    json!({ "text": escaped(&text, MAX_TEXT), "blocks": blocks })
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

/// Slack reads these three characters as markup; what is cut is cut before they grow.
fn escaped(text: &str, max: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            c => {
                out.push(c);
                ""
            }
        };
        out.push_str(piece);
        if out.chars().count() >= max {
            break;
        }
    }
    cut(&out, max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::Alert;
    use jiff::Timestamp;

    #[test]
    fn what_a_target_is_called_is_no_markup_and_fits() {
        let at = Timestamp::UNIX_EPOCH;
        let mut alert = Alert::rehearsal(&"<!channel>&".repeat(40), "production");
        alert.summary = "<@U123> ".repeat(1000);
        let message = Message { alert, action: NotifyAction::Trigger, level: 1, since: at, at };
        let body = body(&message);
        let section = body["blocks"][1]["text"]["text"].as_str().expect("text");
        assert!(section.starts_with("&lt;@U123&gt;") && section.chars().count() <= 3000);
        let header = body["blocks"][0]["text"]["text"].as_str().expect("text");
        assert!(header.chars().count() <= MAX_HEADER);
        assert!(!body["text"].as_str().expect("text").contains("<!"));
    }
}
