//! Delivery: three tries with growing pauses, as the other side asks for.

use std::time::Duration;

use async_trait::async_trait;
use rand::Rng;
use tokio::time::{sleep, timeout};

use super::alert::Message;
use super::alertmanager::Alertmanager;
use super::email::Email;
use super::http;
use super::pagerduty::PagerDuty;
use super::slack::Slack;
use super::webhook::Webhook;
use crate::config::{Channel, Secret};

/// How often it is tried.
const TRIES: u32 = 3;
/// Longest single try.
const PATIENCE: Duration = Duration::from_secs(12);
/// The first pause; each following one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The other side may ask for a pause as long as this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A channel that can be told.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// What would be sent, exactly, but for secrets, which are `***`.
    fn payload(&self, message: &Message) -> String;

    /// Sends it once.
    async fn send(&self, message: &Message) -> Result<(), Failure>;
}

/// Why it was not delivered. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In words, cleaned and bounded.
    pub reason: String,
    /// Whether it is worth another try.
    again: bool,
    /// How long to wait before that, where the other side says so.
    after: Option<Duration>,
}

impl Failure {
    /// It may work later.
    pub const fn later(reason: String, after: Option<Duration>) -> Self {
        Self { reason, again: true, after }
    }

    /// It will never work.
    pub const fn never(reason: String) -> Self {
        Self { reason, again: false, after: None }
    }

    /// Whether it may work later.
    pub const fn may_work_later(&self) -> bool {
        self.again
    }
}

/// How a delivery went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// How often it was tried.
    pub tries: u32,
    /// What came of the last try.
    pub result: Result<(), Failure>,
}

/// The notifier of a channel, or why there is none: its secret is missing, or its settings are wrong.
///
/// # Errors
/// In words, without the secret.
pub fn notifier(channel: &Channel) -> Result<Box<dyn Notifier>, String> {
    let secret = match channel.secret() {
        None => None,
        Some((name, None)) => {
            return Err(format!("expected `{name}_env` or `{name}_file`, which name its secret"));
        }
        Some((_, Some(source))) => Some(source.read().map_err(|error| error.to_string())?),
    };
    let client = http::client()?;
    let with = |secret: Option<Secret>| secret.ok_or_else(|| "its secret is missing".to_owned());
    Ok(match channel {
        Channel::Slack(_) => Box::new(Slack::new(client, with(secret)?)),
        Channel::PagerDuty(pager) => Box::new(PagerDuty::new(client, pager, with(secret)?)),
        Channel::Email(mail) => Box::new(Email::new(mail, with(secret)?)?),
        Channel::Alertmanager(manager) => Box::new(Alertmanager::new(client, manager)?),
        Channel::Webhook(hook) => Box::new(Webhook::new(client, hook, with(secret)?)?),
    })
}

/// Delivers a message, with as many tries as it takes and are allowed.
pub async fn deliver(notifier: &dyn Notifier, message: &Message) -> Attempt {
    let mut pause = FIRST_PAUSE;
    for tries in 1.. {
        let sent = timeout(PATIENCE, notifier.send(message)).await;
        let result = sent.unwrap_or_else(|_| {
            Err(Failure::later(format!("no answer within {} s", PATIENCE.as_secs()), None))
        });
        match &result {
            Err(failure) if failure.again && tries < TRIES => {
                sleep(next_pause(pause, failure.after)).await;
                pause *= 2;
            }
            _ => return Attempt { tries, result },
        }
    }
    Attempt { tries: 0, result: Err(Failure::never("never tried".into())) }
}

/// The pause before the next try: what is asked for, or half to one and a half times our own, so that
/// many who failed together do not come back together.
fn next_pause(own: Duration, asked: Option<Duration>) -> Duration {
    let jittered = own.mul_f64(rand::rng().random_range(0.5..1.5));
    asked.map_or(jittered, |asked| asked.max(jittered)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::Timestamp;
    use tokio::time::Instant;

    use super::*;
    use crate::notify::Alert;
    use crate::run::event::NotifyAction;

    struct Scripted(Mutex<Vec<Result<(), Failure>>>);

    #[async_trait]
    impl Notifier for Scripted {
        fn payload(&self, _: &Message) -> String {
            String::new()
        }

        async fn send(&self, _: &Message) -> Result<(), Failure> {
            self.0.lock().expect("not poisoned").pop().unwrap_or(Ok(()))
        }
    }

    async fn delivered(script: Vec<Result<(), Failure>>) -> (Attempt, Duration) {
        let at = Timestamp::UNIX_EPOCH;
        let alert = Alert::rehearsal("prod", "production");
        let message = Message { alert, action: NotifyAction::Trigger, level: 1, since: at, at };
        let began = Instant::now();
        let attempt = deliver(&Scripted(Mutex::new(script)), &message).await;
        (attempt, began.elapsed())
    }

    fn down(after: Option<u64>) -> Result<(), Failure> {
        Err(Failure::later("status 503".into(), after.map(Duration::from_secs)))
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_tried_three_times_with_growing_pauses() {
        let (attempt, took) = delivered(vec![down(None), down(None), down(None)]).await;
        assert_eq!((attempt.tries, attempt.result.is_err()), (3, true));
        assert!((1.5..4.5).contains(&took.as_secs_f64()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_other_side_asks_for_is_waited_but_not_for_ever() {
        let (attempt, took) = delivered(vec![Ok(()), down(Some(20))]).await;
        assert_eq!((attempt.tries, took.as_secs()), (2, 20));
        let (_, took) = delivered(vec![Ok(()), down(Some(86_400))]).await;
        assert_eq!(took, LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_never_work_is_tried_once() {
        let (attempt, _) = delivered(vec![Err(Failure::never("status 403".into()))]).await;
        assert_eq!(attempt.tries, 1);
    }
}
