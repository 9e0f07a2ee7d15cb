//! Who is told, how, and after how long. Secrets are named, never written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretSource;
use super::timespan::TimeSpan;

/// A way to tell somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Channel {
    /// A Slack incoming webhook.
    Slack(SlackChannel),
    /// PagerDuty Events v2.
    PagerDuty(PagerDutyChannel),
    /// Mail over SMTP.
    Email(EmailChannel),
    /// Prometheus' Alertmanager.
    Alertmanager(AlertmanagerChannel),
    /// Any HTTP endpoint that takes JSON.
    Webhook(WebhookChannel),
}

impl Channel {
    /// The word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Slack(_) => "slack",
            Self::PagerDuty(_) => "pagerduty",
            Self::Email(_) => "email",
            Self::Alertmanager(_) => "alertmanager",
            Self::Webhook(_) => "webhook",
        }
    }

    /// The secret without which it cannot be used, and the key that names it; none for a channel
    /// that needs none.
    pub fn secret(&self) -> Option<(&'static str, Option<SecretSource>)> {
        let source = |env: &Option<String>, file: &Option<PathBuf>| {
            env.clone().map(SecretSource::Env).or_else(|| file.clone().map(SecretSource::File))
        };
        match self {
            Self::Slack(slack) => {
                Some(("webhook", source(&slack.webhook_env, &slack.webhook_file)))
            }
            Self::PagerDuty(pager) => {
                Some(("routing_key", source(&pager.routing_key_env, &pager.routing_key_file)))
            }
            Self::Email(mail) => {
                Some(("smtp_url", source(&mail.smtp_url_env, &mail.smtp_url_file)))
            }
            Self::Webhook(hook) => Some(("url", source(&hook.url_env, &hook.url_file))),
            Self::Alertmanager(_) => None,
        }
    }

    /// Why nobody is told this way, where that is as it should be: its secret has been given no value.
    pub fn not_configured(&self) -> Option<String> {
        let (_, source) = self.secret()?;
        source?.unset().map(|name| format!("{name} is not set"))
    }
}

/// A Slack incoming webhook. Its URL is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackChannel {
    /// Environment variable with its URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_env: Option<String>,
    /// File with its URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_file: Option<PathBuf>,
}

/// PagerDuty Events v2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PagerDutyChannel {
    /// Environment variable with the routing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_key_env: Option<String>,
    /// File with the routing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_key_file: Option<PathBuf>,
    /// Where events go: `https://events.eu.pagerduty.com/v2/enqueue` for a European account.
    #[serde(default = "events_url")]
    pub url: String,
}

fn events_url() -> String {
    "https://events.pagerduty.com/v2/enqueue".into()
}

/// Mail over SMTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailChannel {
    /// Environment variable with the server's URL: `smtps://user:password@host:465` or
    /// `smtp://user:password@host:587?tls=required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp_url_env: Option<String>,
    /// File with the server's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp_url_file: Option<PathBuf>,
    /// Sender.
    pub from: String,
    /// Receivers.
    pub to: Vec<String>,
    /// Whether mail may go to a server without TLS. Only for one on this host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_plain: bool,
}

/// Prometheus' Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerChannel {
    /// Its base URL, without credentials.
    pub url: String,
    /// A bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretSource>,
    /// Labels of every alert, besides `alertname`, `severity` and `target`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// While a fault is there, alerts that match all of these (label: value) are silenced. Without
    /// this key nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_during_chaos: Option<BTreeMap<String, String>>,
    /// The platform's own alerts that have to fire while something is broken on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect_during_chaos: Vec<ExpectedAlert>,
}

/// An alert of the platform's own that has to fire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAlert {
    /// Its `alertname`.
    pub alertname: String,
    /// Labels that it has to have besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How long after the beginning of the first fault it may take.
    pub within: TimeSpan,
}

/// Any HTTP endpoint that takes JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookChannel {
    /// Environment variable with its URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_env: Option<String>,
    /// File with its URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// A bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<SecretSource>,
}

/// Who is told after how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationLevel {
    /// From 1.
    pub level: u32,
    /// How long the alert has been firing.
    pub after: TimeSpan,
    /// Names of channels.
    pub channels: Vec<String>,
}

/// How alerts go out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyRules {
    /// Whether alerts wait for their level.
    pub mode: NotifyMode,
    /// Where the report can be read, for a link in what is sent; `{run}` in it stands for the run's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_url: Option<String>,
}

impl NotifyRules {
    /// Where the report of a run can be read.
    pub fn report_of(&self, run: &str) -> Option<String> {
        self.report_url.as_ref().map(|url| url.replace("{run}", run))
    }
}

/// Whether alerts wait for their level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotifyMode {
    /// `one_shot` for a run without a dashboard whose client waits for it, else `escalate`.
    #[default]
    Auto,
    /// Level by level, as time goes by.
    Escalate,
    /// At once, to the level that the severity asks for: a run of minutes would never get there.
    OneShot,
    /// Nothing is sent.
    Off,
}
