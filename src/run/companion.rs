//! What goes beside a run from its start to its end: asks the platform now and then, tells others.
//! Nothing of it is a phase, and nothing of it decides a verdict by itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::recorder::EventSink;
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
pub trait Companion: Send + Sync {
    /// Its name in the engine's log.
    fn name(&self) -> &'static str;

    /// The stage with which it ends.
    fn ends_with(&self) -> Stage;

    /// Goes beside the run until its stage is reached.
    fn accompany(&self, context: CompanionContext)
    -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
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
