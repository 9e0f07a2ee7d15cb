//! Alertmanager while something is broken on purpose: silences where they are asked for, which end
//! with the fault, and whether the platform's own alerts fire.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::alertmanager::{Alertmanager, Firing};
use super::http;
use crate::config::{AlertmanagerChannel, Channel, ExpectedAlert, SloDefinitions};
use crate::run::companion::{Companion, CompanionContext, Notice, Stage};
use crate::run::event::{ChaosEvent, EventBody, NotifyEvent};
use crate::run::recorder::EventSink;

/// How often it is asked whether an alert fires.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// A silence outlasts its fault by at most this: it ends by itself when we cannot end it.
const OUTLASTS: SignedDuration = SignedDuration::from_secs(120);

/// Goes beside a run for one Alertmanager.
pub struct ChaosAlerts {
    name: String,
    channel: AlertmanagerChannel,
}

impl ChaosAlerts {
    /// One for each Alertmanager that has something to do while something is broken.
    pub fn of(definitions: &SloDefinitions) -> Vec<Self> {
        let managers = definitions.channels.iter().filter_map(|(name, channel)| match channel {
            Channel::Alertmanager(channel) => {
                Some(Self { name: name.clone(), channel: channel.clone() })
            }
            _ => None,
        });
        let needed = |one: &Self| {
            one.channel.silence_during_chaos.is_some()
                || !one.channel.expect_during_chaos.is_empty()
        };
        managers.filter(needed).collect()
    }
}

#[async_trait]
impl Companion for ChaosAlerts {
    fn name(&self) -> &'static str {
        "the watch of the platform's alerts"
    }

    fn ends_with(&self) -> Stage {
        Stage::Closing
    }

    async fn accompany(&self, context: CompanionContext) {
        let made = http::client().and_then(|client| Alertmanager::new(client, &self.channel));
        let manager = match made {
            Ok(manager) => manager,
            Err(error) => return log::error!("{}: {error}", self.name),
        };
        let mut course = Course {
            name: &self.name,
            manager,
            channel: &self.channel,
            events: context.events.clone(),
            silence: None,
            waiting: Waiting::new(&self.channel.expect_during_chaos),
        };
        let mut following = context.follow(self.ends_with(), Some(ASK_EVERY));
        while let Some(notice) = following.next().await {
            match notice {
                Notice::Happened(event) => {
                    if let EventBody::Chaos(chaos) = &event.body {
                        course.hear(chaos).await;
                    }
                }
                Notice::Time => course.look().await,
            }
        }
        course.end_silence().await;
        // What fires by now counts, however short the last pause was.
        course.look().await;
        course.give_up();
    }
}

struct Course<'a> {
    name: &'a str,
    manager: Alertmanager,
    channel: &'a AlertmanagerChannel,
    events: EventSink,
    silence: Option<String>,
    waiting: Waiting,
}

impl Course<'_> {
    async fn hear(&mut self, chaos: &ChaosEvent) {
        match chaos {
            ChaosEvent::Injecting { fault, lasts_us, .. } => {
                self.end_silence().await;
                self.begin_silence(fault, *lasts_us).await;
            }
            ChaosEvent::Injected {} => self.waiting.begin(Instant::now()),
            ChaosEvent::Healed { .. } => self.end_silence().await,
            _ => {}
        }
    }

    async fn begin_silence(&mut self, fault: &str, lasts_us: u64) {
        let Some(matchers) = &self.channel.silence_during_chaos else { return };
        let now = Timestamp::now();
        let lasts = SignedDuration::from_micros(i64::try_from(lasts_us).unwrap_or(i64::MAX));
        let until = now.checked_add(lasts.saturating_add(OUTLASTS)).unwrap_or(now);
        let comment = format!("shakedown breaks something on purpose: {fault}");
        let made = self.manager.silence(matchers, now, until, &comment).await;
        let (what, failed) = match made {
            Ok(id) => {
                let what = format!("silence {id} until {until} at the latest");
                self.silence = Some(id);
                (what, false)
            }
            Err(failure) => (format!("no silence: {}", failure.reason), true),
        };
        self.tell(what, failed);
    }

    async fn end_silence(&mut self) {
        let Some(id) = self.silence.take() else { return };
        let (what, failed) = match self.manager.unsilence(&id).await {
            Ok(()) => (format!("silence {id} ended"), false),
            Err(failure) => (format!("silence {id} ends by itself: {}", failure.reason), true),
        };
        self.tell(what, failed);
    }

    fn tell(&self, what: String, failed: bool) {
        let channel = self.name.to_owned();
        self.events.emit(EventBody::Notify(NotifyEvent::Silence { channel, what, failed }));
    }

    /// Asks for every alert that is waited for.
    async fn look(&mut self) {
        for at in 0..self.waiting.expected.len() {
            if !self.waiting.is_open(at) {
                continue;
            }
            let alertname = self.waiting.expected[at].alertname.clone();
            let found = self.manager.firing(&alertname).await;
            let answer = found.map_err(|failure| failure.reason);
            if let Some(event) = self.waiting.take_in(at, answer, Instant::now()) {
                self.events.emit(EventBody::Notify(event));
            }
        }
    }

    fn give_up(&mut self) {
        for event in self.waiting.give_up() {
            self.events.emit(EventBody::Notify(event));
        }
    }
}

/// Alerts that are waited for since the first fault.
struct Waiting {
    expected: Vec<ExpectedAlert>,
    since: Option<Instant>,
    done: Vec<bool>,
    /// Alerts that fired before anything was broken: they prove nothing.
    before: BTreeMap<usize, bool>,
    last: BTreeMap<usize, String>,
}

impl Waiting {
    fn new(expected: &[ExpectedAlert]) -> Self {
        let done = vec![false; expected.len()];
        Self {
            expected: expected.to_vec(),
            since: None,
            done,
            before: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    fn is_open(&self, at: usize) -> bool {
        !self.done[at]
    }

    /// Takes in what fires; returns what there is to say, once.
    fn take_in(
        &mut self,
        at: usize,
        answer: Result<Vec<Firing>, String>,
        now: Instant,
    ) -> Option<NotifyEvent> {
        let expected = &self.expected[at];
        let matching = answer.map(|firing| firing.into_iter().find(|one| matches(expected, one)));
        let Some(since) = self.since else {
            self.before.insert(at, matches!(matching, Ok(Some(_))));
            return None;
        };
        let after = now.duration_since(since);
        let found = match &matching {
            Ok(Some(_)) if self.before.get(&at) == Some(&true) => {
                Err("it fired before anything was broken".to_owned())
            }
            Ok(Some(firing)) => Ok(format!("fires since {}", http::words(&firing.starts_at))),
            Ok(None) => {
                self.before.insert(at, false);
                Err("it does not fire".into())
            }
            Err(error) => Err(error.clone()),
        };
        match found {
            Ok(evidence) => {
                self.done[at] = true;
                let after_us = Some(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
                let alertname = expected.alertname.clone();
                Some(NotifyEvent::PlatformAlert { alertname, after_us, evidence })
            }
            Err(why) if after >= expected.within.get() => {
                self.done[at] = true;
                Some(silent(expected, &format!("{why} within {}", expected.within)))
            }
            Err(why) => {
                self.last.insert(at, why);
                None
            }
        }
    }

    /// The chaos is over: what has not fired by now was not shown.
    fn give_up(&mut self) -> Vec<NotifyEvent> {
        let Some(since) = self.since else { return Vec::new() };
        let seconds = since.elapsed().as_secs();
        let open: Vec<usize> = (0..self.expected.len()).filter(|at| !self.done[*at]).collect();
        let say = |at: usize| {
            let why = self.last.get(&at).map_or("it was not asked for", String::as_str);
            silent(
                &self.expected[at],
                &format!("{why}; the run was over {seconds} s after the fault"),
            )
        };
        open.into_iter().map(say).collect()
    }
}

fn silent(expected: &ExpectedAlert, evidence: &str) -> NotifyEvent {
    NotifyEvent::PlatformAlert {
        alertname: expected.alertname.clone(),
        after_us: None,
        evidence: evidence.to_owned(),
    }
}

fn matches(expected: &ExpectedAlert, firing: &Firing) -> bool {
    let has = |(name, value): (&String, &String)| firing.labels.get(name) == Some(value);
    firing.labels.get("alertname") == Some(&expected.alertname) && expected.labels.iter().all(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firing(severity: &str) -> Vec<Firing> {
        let labels = [("alertname", "ChatDown"), ("severity", severity)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        vec![Firing { labels, starts_at: "2026-11-24T10:00:00Z".into() }]
    }

    fn waiting() -> Waiting {
        Waiting::new(&[ExpectedAlert {
            alertname: "ChatDown".into(),
            labels: [("severity".to_owned(), "page".to_owned())].into(),
            within: "60s".parse().expect("a span"),
        }])
    }

    #[tokio::test(start_paused = true)]
    async fn an_alert_that_fires_after_the_fault_is_seen_with_its_time() {
        let mut waiting = waiting();
        let began = Instant::now();
        assert!(waiting.take_in(0, Ok(vec![]), began).is_none());
        waiting.begin(began);
        let at = |seconds| began + Duration::from_secs(seconds);
        assert!(waiting.take_in(0, Ok(firing("ticket")), at(10)).is_none(), "another label");
        let seen = waiting.take_in(0, Ok(firing("page")), at(20));
        let Some(NotifyEvent::PlatformAlert { after_us, .. }) = seen else { panic!("{seen:?}") };
        assert_eq!(after_us, Some(20_000_000));
        assert!(waiting.give_up().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_alert_that_fired_before_the_fault_proves_nothing_until_it_has_been_quiet() {
        let mut waiting = waiting();
        let began = Instant::now();
        waiting.take_in(0, Ok(firing("page")), began);
        waiting.begin(began);
        let at = |seconds| began + Duration::from_secs(seconds);
        assert!(waiting.take_in(0, Ok(firing("page")), at(5)).is_none());
        assert!(waiting.take_in(0, Ok(vec![]), at(10)).is_none());
        assert!(waiting.take_in(0, Ok(firing("page")), at(15)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_alert_that_stays_quiet_is_said_to_have_stayed_quiet() {
        let mut waiting = waiting();
        let began = Instant::now();
        waiting.begin(began);
        let late = waiting.take_in(0, Ok(vec![]), began + Duration::from_secs(60));
        let Some(NotifyEvent::PlatformAlert { after_us: None, evidence, .. }) = late else {
            panic!("{late:?}")
        };
        assert_eq!(evidence, "it does not fire within 1m");
    }
}
