//! Mail, by SMTP over TLS.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::{Mailbox, MultiPart};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};

use super::alert::Message;
use super::delivery::{Failure, Notifier};
use super::http;
use crate::config::{EmailChannel, Secret};
use crate::run::event::NotifyAction;

/// Longest wait for the server.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest subject, in characters.
const MAX_SUBJECT: usize = 150;

pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Email {
    pub fn new(channel: &EmailChannel, url: Secret) -> Result<Self, String> {
        encrypted_or_local(url.expose(), channel.allow_plain)?;
        // The URL holds a password: what is wrong with it is not repeated.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose())
            .map_err(|_| "its URL is none: expected smtps://user:password@host:465".to_owned())?
            .timeout(Some(PATIENCE))
            .build();
        let mailbox = |address: &String| {
            let parsed: Result<Mailbox, _> = address.parse();
            parsed.map_err(|_| format!("`{}` is no mail address", http::words(address)))
        };
        let to: Vec<Mailbox> = channel.to.iter().map(mailbox).collect::<Result<_, _>>()?;
        if to.is_empty() {
            return Err("expected at least one receiver in `to`".into());
        }
        Ok(Self { transport, from: mailbox(&channel.from)?, to })
    }

    fn mail(&self, message: &Message) -> Result<Mail, Failure> {
        let (subject, text) = written(message);
        let mut mail = Mail::builder().from(self.from.clone()).subject(subject);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let html = format!("<pre>{}</pre>", escaped(&text));
        mail.multipart(MultiPart::alternative_plain_html(text, html))
            .map_err(|error| Failure::never(http::words(&error.to_string())))
    }
}

#[async_trait]
impl Notifier for Email {
    fn payload(&self, message: &Message) -> String {
        match self.mail(message) {
            Ok(mail) => String::from_utf8_lossy(&mail.formatted()).replace("\r\n", "\n"),
            Err(failure) => failure.reason,
        }
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let mail = self.mail(message)?;
        self.transport.send(mail).await.map(drop).map_err(|error| {
            let mut all = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                all += &format!(": {cause}");
            }
            let reason = http::words(&all);
            if error.is_permanent() { Failure::never(reason) } else { Failure::later(reason, None) }
        })
    }
}

/// Alerts name hosts and figures: they are sent in the clear to nobody but this host itself.
fn encrypted_or_local(url: &str, allow_plain: bool) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let tls = scheme == "smtps" || (scheme == "smtp" && url.contains("tls=required"));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let local = ["127.0.0.1", "localhost", "[::1]"];
    let local = local.iter().any(|name| host == *name || host.starts_with(&format!("{name}:")));
    if tls || (allow_plain && local) {
        return Ok(());
    }
    Err("expected smtps://..., or smtp://...?tls=required; without TLS only a server on this host \
         is used, and only with `allow_plain: true`"
        .into())
}

/// Subject and text.
fn written(message: &Message) -> (String, String) {
    let alert = &message.alert;
    let word = match message.action {
        NotifyAction::Trigger => format!("level {}", message.level),
        NotifyAction::Resolve => "over".into(),
    };
    let subject = format!("[shakedown {}] {word}: {}", alert.target, alert.summary);
    let subject = subject.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text = format!("{}\n\n", message.headline());
    for (name, value) in &alert.details {
        text += &format!("{name}: {value}\n");
    }
    text += &format!(
        "\ntarget: {} ({})\nsince: {}\nrun: {}\nkey: {}\n",
        alert.target, alert.environment, message.since, alert.run, alert.key
    );
    if let Some(url) = &alert.report_url {
        text += &format!("report: {url}\n");
    }
    (subject.take(MAX_SUBJECT).collect(), text)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_in_the_clear_beyond_this_host() {
        for (url, allow, good) in [
            ("smtps://u:p@mail.example.com:465", false, true),
            ("smtp://u:p@mail.example.com:587?tls=required", false, true),
            ("smtp://mail.example.com:25", true, false),
            ("smtp://127.0.0.1:2525", true, true),
            ("smtp://127.0.0.1:2525", false, false),
            ("smtp://127.0.0.1.example.com:25", true, false),
            ("smtp://localhost@evil.example.com", true, false),
        ] {
            assert_eq!(encrypted_or_local(url, allow).is_ok(), good, "{url}");
        }
    }
}
