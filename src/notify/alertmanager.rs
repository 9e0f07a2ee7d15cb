//! Prometheus' Alertmanager, by its API v2: alerts, silences, and what fires there.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::alert::Message;
use super::delivery::{Failure, Notifier};
use super::http;
use crate::config::{AlertSeverity, AlertmanagerChannel, Secret, SecretSource};
use crate::run::event::NotifyAction;

/// Name of every alert of ours there.
pub const ALERTNAME: &str = "ShakedownAlert";
/// An alert that is not posted again is over after this: a run that dies leaves none for ever.
const FIRES_FOR: SignedDuration = SignedDuration::from_mins(5);

/// An Alertmanager.
pub struct Alertmanager {
    client: Client,
    url: String,
    bearer: Option<Secret>,
    labels: BTreeMap<String, String>,
}

/// An alert that fires there.
#[derive(Debug, Deserialize)]
pub struct Firing {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Since when.
    #[serde(rename = "startsAt")]
    pub starts_at: String,
}

impl Alertmanager {
    /// Makes ready; nothing is sent yet.
    pub fn new(client: Client, channel: &AlertmanagerChannel) -> Result<Self, String> {
        let bearer = channel.bearer.as_ref().map(SecretSource::read).transpose();
        Ok(Self {
            client,
            url: channel.url.trim_end_matches('/').to_owned(),
            bearer: bearer.map_err(|error| error.to_string())?,
            labels: channel.labels.clone(),
        })
    }

    /// Silences every alert that matches all of these labels; returns the silence's id.
    pub async fn silence(
        &self,
        matchers: &BTreeMap<String, String>,
        from: Timestamp,
        until: Timestamp,
        comment: &str,
    ) -> Result<String, Failure> {
        if matchers.is_empty() {
            return Err(Failure::never(
                "a silence without matchers would silence everything".into(),
            ));
        }
        let matcher = |(name, value): (&String, &String)| json!({ "name": name, "value": value, "isRegex": false, "isEqual": true });
        let body = json!({
            "matchers": matchers.iter().map(matcher).collect::<Vec<_>>(),
            "startsAt": from.to_string(),
            "endsAt": until.to_string(),
            "createdBy": "shakedown",
            "comment": comment,
        });
        let answer = self.ask(Method::POST, "/api/v2/silences", |r| r.json(&body)).await?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        match answer["silenceID"].as_str() {
            Some(id) if id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => Ok(id.into()),
            _ => Err(Failure::never("expected a silenceID in the answer".into())),
        }
    }

    /// Ends a silence.
    pub async fn unsilence(&self, id: &str) -> Result<(), Failure> {
        let path = format!("/api/v2/silence/{id}");
        self.ask(Method::DELETE, &path, |r| r).await.map(drop)
    }

    /// Alerts of a name that fire, silenced ones too.
    pub async fn firing(&self, alertname: &str) -> Result<Vec<Firing>, Failure> {
        let filter = format!("alertname=\"{}\"", alertname.replace(['"', '\\', '\n'], ""));
        let query = [("filter", filter.as_str()), ("active", "true"), ("silenced", "true")];
        let answer = self.ask(Method::GET, "/api/v2/alerts", |r| r.query(&query)).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| Failure::never(http::words(&format!("no list of alerts: {error}"))))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Vec<u8>, Failure> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.expose());
        }
        http::send(with(request)).await
    }

    /// An array of one alert. What identifies it is the same in every run; the run stands in an
    /// annotation.
    fn body(&self, message: &Message) -> Value {
        let alert = &message.alert;
        let severity = match alert.severity {
            AlertSeverity::Page => "critical",
            AlertSeverity::Ticket => "warning",
        };
        let mut labels = self.labels.clone();
        for (name, value) in [
            ("alertname", ALERTNAME),
            ("severity", severity),
            ("target", &alert.target),
            ("environment", &alert.environment),
            ("component", &alert.component),
        ] {
            labels.insert(name.into(), value.into());
        }
        let mut annotations = alert.details.clone();
        annotations.insert("summary".into(), alert.summary.clone());
        annotations.insert("run".into(), alert.run.clone());
        annotations.insert("level".into(), message.level.to_string());
        let ends = match message.action {
            NotifyAction::Trigger => message.at.checked_add(FIRES_FOR).unwrap_or(message.at),
            NotifyAction::Resolve => message.at,
        };
        let mut body = json!({
            "labels": labels,
            "annotations": annotations,
            "startsAt": message.since.to_string(),
            "endsAt": ends.to_string(),
        });
        if let Some(url) = &alert.report_url {
            body["generatorURL"] = url.as_str().into();
        }
        json!([body])
    }
}

#[async_trait]
impl Notifier for Alertmanager {
    fn payload(&self, message: &Message) -> String {
        let bearer = if self.bearer.is_some() { "authorization: Bearer ***\n" } else { "" };
        let (url, body) = (&self.url, self.body(message));
        format!("POST {url}/api/v2/alerts\ncontent-type: application/json\n{bearer}\n{body:#}")
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let body = self.body(message);
        self.ask(Method::POST, "/api/v2/alerts", |request| request.json(&body)).await.map(drop)
    }
}
