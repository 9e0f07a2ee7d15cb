//! The companion that tells others what goes wrong in a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::alert::{self, Message};
use super::delivery::{Notifier, deliver, notifier};
use super::escalation::{Escalation, Step};
use super::outbox::{Letter, Outbox};
use crate::config::{Channel, NotifyMode, NotifyRules, SloDefinitions};
use crate::run::companion::{Companion, CompanionContext, Notice, Stage};
use crate::run::event::{EventBody, NotifyEvent, Sent};
use crate::run::recorder::EventSink;
use crate::run::state::RunState;
use crate::run::state_dir::StateDir;

/// How often the state is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often an Alertmanager is told again of what is still wrong.
const REPOST_EVERY: Duration = Duration::from_secs(60);

/// Tells others what goes wrong in a run.
pub struct Watch {
    definitions: SloDefinitions,
    mode: NotifyMode,
    target: String,
    state: StateDir,
}

impl Watch {
    /// A watch over a target; none when nobody is to be told.
    pub fn new(
        definitions: &SloDefinitions,
        mode: NotifyMode,
        target: &str,
        state: StateDir,
    ) -> Option<Self> {
        let silent = mode == NotifyMode::Off || definitions.escalation.is_empty();
        (!silent).then(|| Self {
            definitions: definitions.clone(),
            mode,
            target: target.to_owned(),
            state,
        })
    }
}

#[async_trait]
impl Companion for Watch {
    fn name(&self) -> &'static str {
        "the teller of alerts"
    }

    fn ends_with(&self) -> Stage {
        Stage::Over
    }

    async fn accompany(&self, context: CompanionContext) {
        let outbox = match Outbox::open(&self.state, &self.target) {
            Ok(outbox) => outbox,
            Err(error) => return log::error!("alerts cannot be kept, nobody is told: {error}"),
        };
        let mut teller = Teller::new(&self.definitions, self.mode, outbox, &context.events);
        teller.take_up();
        let mut following = context.follow(self.ends_with(), Some(LOOK_EVERY));
        while let Some(notice) = following.next().await {
            if let Notice::Time = notice {
                teller.look();
            }
        }
        teller.look();
        teller.run_ends();
        teller.finish().await;
    }
}

type Kept = Arc<Mutex<Outbox>>;

/// Counts on, writes letters and hands them to the channels.
struct Teller {
    escalation: Escalation,
    outbox: Kept,
    events: EventSink,
    post: BTreeMap<String, mpsc::UnboundedSender<(Option<Letter>, Message)>>,
    carriers: JoinSet<()>,
    managers: Vec<String>,
    unset: BTreeSet<String>,
    rules: NotifyRules,
    looked: Option<Instant>,
    reposted: Instant,
}

impl Teller {
    fn new(
        definitions: &SloDefinitions,
        mode: NotifyMode,
        outbox: Outbox,
        events: &EventSink,
    ) -> Self {
        let book = outbox.book();
        let outbox = Arc::new(Mutex::new(outbox));
        let mut carriers = JoinSet::new();
        let mut post = BTreeMap::new();
        let (mut unset, mut broken) = (BTreeSet::new(), Vec::new());
        for (name, channel) in &definitions.channels {
            if let Some(missing) = channel.not_configured() {
                let event = NotifyEvent::NotConfigured { channel: name.clone(), missing };
                events.emit(EventBody::Notify(event));
                unset.insert(name.clone());
                continue;
            }
            let notifier = notifier(channel);
            if let Err(why) = &notifier {
                broken.push(format!("{name} ({why})"));
            }
            let (sender, letters) = mpsc::unbounded_channel();
            post.insert(name.clone(), sender);
            let carrier = Carrier {
                channel: name.clone(),
                notifier,
                outbox: Arc::clone(&outbox),
                events: events.clone(),
            };
            carriers.spawn(carrier.carry(letters));
        }
        if !broken.is_empty() {
            log::warn!("alerts cannot go to {}", broken.join(", "));
        }
        let manager = |(name, channel): (&String, &Channel)| {
            matches!(channel, Channel::Alertmanager(_)).then(|| name.clone())
        };
        let mut levels = definitions.escalation.clone();
        levels.iter_mut().for_each(|level| level.channels.retain(|name| !unset.contains(name)));
        // Where nobody at all is told nothing is climbed: an alert is in the log once, and is told at last
        // when there is a channel. A level without one is no reason to bother the next.
        if levels.iter().all(|level| level.channels.is_empty()) {
            levels.clear();
        }
        Self {
            escalation: Escalation::new(levels, mode, book),
            unset,
            outbox,
            events: events.clone(),
            post,
            carriers,
            managers: definitions.channels.iter().filter_map(manager).collect(),
            rules: definitions.notify.clone(),
            looked: None,
            reposted: Instant::now(),
        }
    }

    /// Takes up what an earlier run could not say any more.
    fn take_up(&self) {
        let waiting = lock(&self.outbox).waiting(Timestamp::now());
        match waiting {
            Ok((letters, dropped)) => {
                if dropped > 0 {
                    log::warn!("{dropped} alerts of earlier runs were too old to be told");
                }
                for letter in letters {
                    let message = letter.message.clone();
                    self.hand_over(&letter.channel.clone(), Some(letter), message);
                }
            }
            Err(error) => log::error!("alerts of earlier runs cannot be read: {error}"),
        }
    }

    fn look(&mut self) {
        let now = Instant::now();
        let passed = self.looked.replace(now).map(|before| now.duration_since(before));
        let seen = self.events.with_state(|state: &RunState| alert::observe(state, &self.rules));
        let at = Timestamp::now();
        let mut steps = Vec::new();
        for (key, observed) in &seen {
            steps.extend(self.escalation.observe(key, observed, passed, at));
        }
        self.carry_out(steps);
        if now.duration_since(self.reposted) >= REPOST_EVERY {
            self.reposted = now;
            self.repost(at);
            self.keep();
        }
    }

    fn run_ends(&mut self) {
        let steps = self.escalation.run_ends(Timestamp::now());
        self.carry_out(steps);
        self.keep();
    }

    fn carry_out(&mut self, steps: Vec<Step>) {
        let changed = !steps.is_empty();
        for step in steps {
            match step {
                Step::Level { alert, level } => self.tell_level(&alert, level, false),
                Step::Over { alert } => self.tell_level(&alert, 0, true),
                Step::Tell { channel, message } => {
                    let kept = lock(&self.outbox).put(&channel, &message);
                    let kept =
                        kept.inspect_err(|error| log::error!("an alert is not kept: {error}"));
                    self.hand_over(&channel, kept.ok(), message);
                }
            }
        }
        if changed {
            self.keep();
        }
    }

    fn tell_level(&self, alert: &alert::Alert, level: u32, resolved: bool) {
        let (key, summary) = (alert.key.clone(), alert.summary.clone());
        let event = NotifyEvent::Level { key, summary, level, resolved };
        self.events.emit(EventBody::Notify(event));
    }

    /// Alertmanager forgets what it is not told again.
    fn repost(&self, at: Timestamp) {
        for channel in &self.managers {
            for message in self.escalation.told(channel, at) {
                self.hand_over(channel, None, message);
            }
        }
    }

    fn hand_over(&self, channel: &str, letter: Option<Letter>, message: Message) {
        // Its letter stays in the outbox, for a run that can say it.
        if self.unset.contains(channel) {
            return;
        }
        let Some(post) = self.post.get(channel) else {
            log::error!("an alert is for `{channel}`, which is not among the channels any more");
            if let Some(letter) = letter {
                lock(&self.outbox).remove(letter.number);
            }
            return;
        };
        // A carrier ends only when its post does.
        let _ = post.send((letter, message));
    }

    fn keep(&self) {
        if let Err(error) = lock(&self.outbox).keep(self.escalation.book()) {
            log::error!("the book of alerts cannot be kept: {error}");
        }
    }

    /// Waits until everything is said, or cannot be.
    async fn finish(mut self) {
        self.post.clear();
        while self.carriers.join_next().await.is_some() {}
    }
}

/// Carries letters to one channel, one after the other, so that an end never comes before its beginning.
struct Carrier {
    channel: String,
    notifier: Result<Box<dyn Notifier>, String>,
    outbox: Kept,
    events: EventSink,
}

impl Carrier {
    async fn carry(self, mut letters: mpsc::UnboundedReceiver<(Option<Letter>, Message)>) {
        while let Some((letter, message)) = letters.recv().await {
            let (tries, error, keep) = match &self.notifier {
                Err(why) => (0, Some(why.clone()), false),
                Ok(notifier) => {
                    let attempt = deliver(notifier.as_ref(), &message).await;
                    let later = attempt.result.as_ref().is_err_and(super::Failure::may_work_later);
                    (attempt.tries, attempt.result.err().map(|failure| failure.reason), later)
                }
            };
            let repost = letter.is_none();
            if let Some(letter) = letter.filter(|_| !keep) {
                lock(&self.outbox).remove(letter.number);
            }
            if repost && error.is_none() {
                continue;
            }
            let (channel, key) = (self.channel.clone(), message.alert.key);
            let sent = Sent { channel, key, action: message.action, tries, error };
            self.events.emit(EventBody::Notify(NotifyEvent::Sent(sent)));
        }
    }
}

fn lock(outbox: &Kept) -> std::sync::MutexGuard<'_, Outbox> {
    outbox.lock().unwrap_or_else(PoisonError::into_inner)
}
