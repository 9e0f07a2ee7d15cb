//! Who is told after how long: a state machine per alert. Levels are only climbed, never descended,
//! until the alert is over; the time that counts is time during which it was seen to be wrong, so no
//! clock that is set back and no night between two runs moves it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::{Alert, Message};
use crate::config::{AlertSeverity, EscalationLevel, NotifyMode};
use crate::run::event::NotifyAction;

/// What is seen of one thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// It is wrong.
    Firing(Alert),
    /// It is well.
    Clear,
    /// Nothing can be said.
    Unknown,
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// An alert has begun (level 0) or climbed.
    Level {
        /// The alert.
        alert: Alert,
        /// Its level now.
        level: u32,
    },
    /// An alert is over.
    Over {
        /// The alert.
        alert: Alert,
    },
    /// A channel is to be told.
    Tell {
        /// Name of the channel.
        channel: String,
        /// What.
        message: Message,
    },
}

/// An alert that is not over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    alert: Alert,
    /// The highest level that was reached; 0 while nobody was told.
    level: u32,
    /// For how long it was seen to be wrong, milliseconds.
    fired_for_ms: u64,
    /// When it was seen first.
    since: Timestamp,
    /// Channels that were told, and so are told of its end.
    told: BTreeSet<String>,
}

/// What is kept between runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    open: BTreeMap<String, Open>,
}

/// The state machine over all alerts of a target.
#[derive(Clone, Debug)]
pub struct Escalation {
    levels: Vec<EscalationLevel>,
    one_shot: bool,
    book: Book,
}

impl Escalation {
    /// Goes on from what is in the book.
    pub fn new(mut levels: Vec<EscalationLevel>, mode: NotifyMode, book: Book) -> Self {
        levels.sort_by_key(|level| level.level);
        Self { levels, one_shot: mode == NotifyMode::OneShot, book }
    }

    /// What is to be kept.
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Alerts that are not over and of which a channel was told, as they are now.
    pub fn told(&self, channel: &str, at: Timestamp) -> Vec<Message> {
        let told = self.book.open.values().filter(|open| open.told.contains(channel));
        told.map(|open| open.message(NotifyAction::Trigger, at)).collect()
    }

    /// Takes in what is seen of something, `passed` after it was looked at before (none when this run
    /// has not looked before).
    pub fn observe(
        &mut self,
        key: &str,
        observed: &Observed,
        passed: Option<Duration>,
        at: Timestamp,
    ) -> Vec<Step> {
        match observed {
            Observed::Firing(alert) => self.fires(key, alert, passed.unwrap_or_default(), at),
            Observed::Clear => self.ends(key, at),
            Observed::Unknown => Vec::new(),
        }
    }

    /// Nobody will count on when the run is over: what has reached no level yet is told to the first.
    pub fn run_ends(&mut self, at: Timestamp) -> Vec<Step> {
        let Some(first) = self.levels.first().map(|level| level.level) else { return Vec::new() };
        let waiting: Vec<String> = self
            .book
            .open
            .iter()
            .filter(|(_, open)| open.level < first)
            .map(|(key, _)| key.clone())
            .collect();
        waiting.iter().flat_map(|key| self.climb(key, first, at)).collect()
    }

    fn fires(&mut self, key: &str, alert: &Alert, passed: Duration, at: Timestamp) -> Vec<Step> {
        let mut fresh = false;
        let open = self.book.open.entry(key.to_owned()).or_insert_with(|| {
            fresh = true;
            Open {
                alert: alert.clone(),
                level: 0,
                fired_for_ms: 0,
                since: at,
                told: BTreeSet::new(),
            }
        });
        if !fresh {
            let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            open.fired_for_ms = open.fired_for_ms.saturating_add(passed);
        }
        open.alert = alert.clone();
        let fired_for = Duration::from_millis(open.fired_for_ms);
        let reached = if self.one_shot {
            match alert.severity {
                AlertSeverity::Page => self.levels.last(),
                AlertSeverity::Ticket => self.levels.first(),
            }
        } else {
            self.levels.iter().rfind(|level| level.after.get() <= fired_for)
        };
        match reached.map(|level| level.level).filter(|level| *level > open.level) {
            Some(level) => self.climb(key, level, at),
            // What is told at once has its level from the beginning, and is told once.
            None if fresh => vec![Step::Level { alert: alert.clone(), level: 0 }],
            None => Vec::new(),
        }
    }

    /// Brings an alert to a level: everybody of that level and of those that were passed is told once.
    fn climb(&mut self, key: &str, to: u32, at: Timestamp) -> Vec<Step> {
        let Some(open) = self.book.open.get_mut(key) else { return Vec::new() };
        let passed =
            self.levels.iter().filter(|level| level.level > open.level && level.level <= to);
        let channels: BTreeSet<String> = passed.flat_map(|level| level.channels.clone()).collect();
        open.level = to;
        open.told.extend(channels.iter().cloned());
        let message = open.message(NotifyAction::Trigger, at);
        let mut steps = vec![Step::Level { alert: open.alert.clone(), level: to }];
        steps.extend(
            channels.into_iter().map(|channel| Step::Tell { channel, message: message.clone() }),
        );
        steps
    }

    fn ends(&mut self, key: &str, at: Timestamp) -> Vec<Step> {
        let Some(open) = self.book.open.remove(key) else { return Vec::new() };
        let message = open.message(NotifyAction::Resolve, at);
        let tell = open
            .told
            .iter()
            .map(|channel| Step::Tell { channel: channel.clone(), message: message.clone() });
        tell.chain([Step::Over { alert: open.alert.clone() }]).collect()
    }
}

impl Open {
    fn message(&self, action: NotifyAction, at: Timestamp) -> Message {
        Message { alert: self.alert.clone(), action, level: self.level, since: self.since, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, SHIPPED_SLOS};
    use proptest::prelude::*;

    fn escalation(mode: NotifyMode) -> Escalation {
        let promises = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        Escalation::new(promises.escalation, mode, Book::default())
    }

    fn firing(severity: AlertSeverity) -> Observed {
        Observed::Firing(Alert { severity, ..Alert::rehearsal("prod", "production") })
    }

    fn told(steps: &[Step]) -> Vec<(String, NotifyAction, u32)> {
        let tell = |step: &Step| match step {
            Step::Tell { channel, message } => {
                Some((channel.clone(), message.action, message.level))
            }
            _ => None,
        };
        steps.iter().filter_map(tell).collect()
    }

    /// Looks every ten seconds for so many minutes, and says at which second who was told.
    fn minutes(escalation: &mut Escalation, minutes: u64) -> Vec<(u64, String, u32)> {
        let mut all = Vec::new();
        for at in 0..=minutes * 6 {
            let passed = (at > 0).then(|| Duration::from_secs(10));
            let steps = escalation.observe(
                "k",
                &firing(AlertSeverity::Page),
                passed,
                Timestamp::UNIX_EPOCH,
            );
            all.extend(told(&steps).into_iter().map(|(who, _, level)| (at * 10, who, level)));
        }
        all
    }

    #[test]
    fn levels_are_reached_after_five_fifteen_and_thirty_minutes() {
        let mut escalation = escalation(NotifyMode::Escalate);
        let expected: Vec<(u64, String, u32)> = [
            (300, "slack", 1),
            (900, "mail", 2),
            (900, "slack", 2),
            (1800, "mail", 3),
            (1800, "pager", 3),
            (1800, "slack", 3),
        ]
        .map(|(at, who, level)| (at, who.to_owned(), level))
        .into();
        assert_eq!(minutes(&mut escalation, 60), expected);
        let over = escalation.observe("k", &Observed::Clear, None, Timestamp::UNIX_EPOCH);
        let resolved: Vec<String> = told(&over).into_iter().map(|(who, ..)| who).collect();
        assert_eq!(resolved, ["mail", "pager", "slack"], "all who were told are told of the end");
        assert!(escalation.observe("k", &Observed::Clear, None, Timestamp::UNIX_EPOCH).is_empty());
    }

    #[test]
    fn what_is_over_before_the_first_level_is_told_to_nobody() {
        let mut escalation = escalation(NotifyMode::Escalate);
        assert!(minutes(&mut escalation, 4).is_empty());
        let over = escalation.observe("k", &Observed::Clear, None, Timestamp::UNIX_EPOCH);
        assert!(told(&over).is_empty() && over.len() == 1, "{over:?}");
    }

    #[test]
    fn a_run_goes_on_where_the_one_before_stopped_and_the_night_between_does_not_count() {
        let mut first = escalation(NotifyMode::Escalate);
        minutes(&mut first, 10);
        let kept = serde_json::to_string(first.book()).expect("JSON");
        let mut second = escalation(NotifyMode::Escalate);
        second.book = serde_json::from_str(&kept).expect("JSON");
        let later = Timestamp::from_second(1_000_000).expect("in range");
        let steps = second.observe("k", &firing(AlertSeverity::Page), None, later);
        assert!(steps.is_empty(), "level 1 was told already: {steps:?}");
        assert_eq!(minutes(&mut second, 6)[0], (300, "mail".into(), 2), "ten minutes and five");
    }

    #[test]
    fn one_shot_goes_to_the_level_of_the_severity_at_once() {
        let mut ci = escalation(NotifyMode::OneShot);
        let steps = ci.observe("a", &firing(AlertSeverity::Ticket), None, Timestamp::UNIX_EPOCH);
        assert_eq!(told(&steps), [("slack".into(), NotifyAction::Trigger, 1)]);
        let steps = ci.observe("b", &firing(AlertSeverity::Page), None, Timestamp::UNIX_EPOCH);
        assert_eq!(told(&steps).len(), 3);
        let again = ci.observe("b", &firing(AlertSeverity::Page), None, Timestamp::UNIX_EPOCH);
        assert!(again.is_empty(), "told once");
    }

    #[test]
    fn a_run_that_ends_leaves_nobody_waiting() {
        let mut escalation = escalation(NotifyMode::Escalate);
        minutes(&mut escalation, 1);
        let steps = escalation.run_ends(Timestamp::UNIX_EPOCH);
        assert_eq!(told(&steps), [("slack".into(), NotifyAction::Trigger, 1)]);
        assert!(escalation.run_ends(Timestamp::UNIX_EPOCH).is_empty());
    }

    proptest! {
        #[test]
        fn levels_are_only_climbed_and_each_is_told_once(seen in proptest::collection::vec((0u8..3, 0u64..600), 1..80)) {
            let mut escalation = escalation(NotifyMode::Escalate);
            let mut level = 0;
            for (what, passed) in seen {
                let observed = match what {
                    0 => firing(AlertSeverity::Page),
                    1 => Observed::Unknown,
                    _ => Observed::Clear,
                };
                let passed = Some(Duration::from_secs(passed));
                for step in escalation.observe("k", &observed, passed, Timestamp::UNIX_EPOCH) {
                    match step {
                        Step::Level { level: 0, .. } => prop_assert_eq!(level, 0),
                        Step::Level { level: now, .. } => {
                            prop_assert!(now > level);
                            level = now;
                        }
                        Step::Over { .. } => level = 0,
                        Step::Tell { .. } => {}
                    }
                }
            }
        }
    }
}
