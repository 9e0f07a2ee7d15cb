//! Any HTTP endpoint that takes JSON: `shakedown.alert/v1`.

use async_trait::async_trait;
use reqwest::Client;
use serde_json::{Value, json};

use super::alert::Message;
use super::delivery::{Failure, Notifier};
use super::http;
use crate::config::{Secret, WebhookChannel};

pub struct Webhook {
    client: Client,
    url: Secret,
    bearer: Option<Secret>,
}

impl Webhook {
    pub fn new(client: Client, channel: &WebhookChannel, url: Secret) -> Result<Self, String> {
        let bearer = channel.bearer.as_ref().map(crate::config::SecretSource::read).transpose();
        Ok(Self { client, url, bearer: bearer.map_err(|error| error.to_string())? })
    }
}

#[async_trait]
impl Notifier for Webhook {
    fn payload(&self, message: &Message) -> String {
        let bearer = if self.bearer.is_some() { "authorization: Bearer ***\n" } else { "" };
        format!("POST ***\ncontent-type: application/json\n{bearer}\n{:#}", body(message))
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let mut request = self.client.post(self.url.expose()).json(&body(message));
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.expose());
        }
        http::send(request).await.map(drop)
    }
}

fn body(message: &Message) -> Value {
    let alert = &message.alert;
    json!({
        "schema": "shakedown.alert/v1",
        "action": message.action,
        "key": alert.key,
        "severity": alert.severity,
        "level": message.level,
        "summary": alert.summary,
        "component": alert.component,
        "target": alert.target,
        "environment": alert.environment,
        "run": alert.run,
        "since": message.since.to_string(),
        "at": message.at.to_string(),
        "details": alert.details,
        "report_url": alert.report_url,
    })
}
