//! What goes beside a run from its start to its end: asks the platform now and then, tells others.
//! Nothing of it is a phase, and nothing of it decides a verdict by itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::event::Event;
use super::recorder::EventSink;
use super::state::RunState;
use crate::config::Config;

/// How long what asks the platform may take to clean up when the phases are over.
const CLOSING: Duration = Duration::from_secs(60);
/// How long what tells others may take when the run is over.
const TELLING: Duration = Duration::from_secs(45);

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Phases run.
    Running,
    /// The phases are over; the verdict comes when everything is clean.
    Closing,
    /// The verdict is there.
    Over,
}

/// Something that goes beside a run.
#[async_trait]
pub trait Companion: Send + Sync {
    /// Its name in the engine's log.
    fn name(&self) -> &'static str;

    /// The stage with which it ends.
    fn ends_with(&self) -> Stage;

    /// Goes beside the run until its stage is reached.
    async fn accompany(&self, context: CompanionContext);
}

/// What a companion is given.
#[derive(Clone)]
pub struct CompanionContext {
    /// Where it reports what happens, and sees what does.
    pub events: EventSink,
    /// The configuration.
    pub config: Arc<Config>,
    /// The run's id; everything that it creates carries it.
    pub run_id: String,
    /// How far the run is.
    pub stage: watch::Receiver<Stage>,
}

impl CompanionContext {
    /// Waits until the run is that far. Cancel-safe.
    pub async fn until(&mut self, stage: Stage) {
        // An orchestrator that is gone wants everything to end.
        let _ = self.stage.wait_for(|now| *now >= stage).await;
    }

    /// Follows the run until it is that far, reminded of the time every so often where that is asked
    /// for, the first time at once.
    pub fn follow(&self, until: Stage, every: Option<Duration>) -> Following {
        let subscription = self.events.subscribe();
        let ticks = every.map(|every| {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Following {
            snapshot: subscription.snapshot,
            heard: Some(subscription.events),
            ticks,
            stage: self.stage.clone(),
            until,
        }
    }
}

/// What a companion that follows a run takes notice of.
#[derive(Debug)]
pub enum Notice {
    /// Something happened.
    Happened(Arc<Event>),
    /// It is time to look again.
    Time,
}

/// A run as a companion follows it.
pub struct Following {
    /// The state from which it is followed.
    pub snapshot: RunState,
    /// None once the companion has fallen too far behind to be told of everything.
    heard: Option<mpsc::Receiver<Arc<Event>>>,
    ticks: Option<Interval>,
    stage: watch::Receiver<Stage>,
    until: Stage,
}

impl Following {
    /// What comes next; none when the run is as far as it was to be followed and everything that
    /// happened until then was told. Cancel-safe.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            let heard = async {
                match &mut self.heard {
                    Some(heard) => heard.recv().await,
                    None => std::future::pending().await,
                }
            };
            let tick = async {
                match &mut self.ticks {
                    Some(ticks) => ticks.tick().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                event = heard => match event {
                    Some(event) => return Some(Notice::Happened(event)),
                    None => self.heard = None,
                },
                _ = self.stage.wait_for(|now| *now >= self.until) => return None,
                _ = tick => return Some(Notice::Time),
            }
        }
    }
}

/// The companions of a run, at work.
pub(super) struct Companions {
    stage: watch::Sender<Stage>,
    at_work: Vec<(&'static str, Stage, JoinHandle<()>)>,
}

impl Companions {
    /// Lets them begin.
    pub(super) fn start(
        companions: &[Arc<dyn Companion>],
        events: &EventSink,
        config: &Arc<Config>,
        run_id: &str,
    ) -> Self {
        let (stage, receiver) = watch::channel(Stage::Running);
        let begin = |companion: &Arc<dyn Companion>| {
            let context = CompanionContext {
                events: events.clone(),
                config: Arc::clone(config),
                run_id: run_id.to_owned(),
                stage: receiver.clone(),
            };
            let (name, ends_with) = (companion.name(), companion.ends_with());
            let companion = Arc::clone(companion);
            let work = tokio::spawn(async move { companion.accompany(context).await });
            (name, ends_with, work)
        };
        let at_work = companions.iter().map(begin).collect();
        Self { stage, at_work }
    }

    /// Says how far the run is, and waits for those that end with it.
    pub(super) async fn reach(&mut self, stage: Stage) {
        self.stage.send_replace(stage);
        let deadline = Instant::now() + if stage == Stage::Over { TELLING } else { CLOSING };
        let ending = |(_, ends_with, _): &(_, Stage, _)| *ends_with <= stage;
        let (ending, staying) = std::mem::take(&mut self.at_work).into_iter().partition(ending);
        self.at_work = staying;
        let ending: Vec<(&'static str, Stage, JoinHandle<()>)> = ending;
        for (name, _, mut work) in ending {
            match tokio::time::timeout_at(deadline, &mut work).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => log::error!("{name} crashed: {error}"),
                Err(_) => {
                    log::error!("{name} did not come to its end and was given up");
                    work.abort();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::clock::RunClock;
    use crate::run::event::EventBody;

    fn beside() -> (watch::Sender<Stage>, CompanionContext) {
        let (sender, stage) = watch::channel(Stage::Running);
        let config = serde_json::json!({ "target": { "name": "a", "environment": "staging" } });
        let context = CompanionContext {
            events: EventSink::in_memory(RunClock::start()),
            config: Arc::new(serde_json::from_value(config).expect("a configuration")),
            run_id: "a".into(),
            stage,
        };
        (sender, context)
    }

    fn remark(context: &CompanionContext, text: &str) {
        context.events.emit(EventBody::Annotation { client: "ops".into(), text: text.into() });
    }

    #[tokio::test(start_paused = true)]
    async fn what_happened_is_told_before_the_end_and_time_passes_between() {
        let (stage, context) = beside();
        let mut following = context.follow(Stage::Closing, Some(Duration::from_secs(2)));
        assert!(matches!(following.next().await, Some(Notice::Time)), "at once");
        let began = Instant::now();
        assert!(matches!(following.next().await, Some(Notice::Time)));
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        remark(&context, "one");
        remark(&context, "two");
        stage.send_replace(Stage::Over);
        for seq in [1, 2] {
            let Some(Notice::Happened(event)) = following.next().await else { panic!("an event") };
            assert_eq!(event.seq, seq);
        }
        assert!(following.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_fallen_behind_is_still_reminded_and_ends() {
        let (stage, context) = beside();
        let mut following = context.follow(Stage::Over, Some(Duration::from_secs(2)));
        context.events.close_subscriptions();
        assert!(matches!(following.next().await, Some(Notice::Time)));
        assert!(matches!(following.next().await, Some(Notice::Time)));
        stage.send_replace(Stage::Over);
        assert!(following.next().await.is_none());
    }
}
