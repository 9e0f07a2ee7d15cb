//! The course of a fault on a runtime that shows what a test tells it, by a paused clock.

mod courses;
mod left;
mod removed;
mod steadiness;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::board::Board;
use super::course::Course;
use super::guard::Guard;
use super::runtime::told::Told;
use crate::config::{Chaos, Config, ServiceKind};
use crate::platform::probe::{Answered, HANGS_AFTER, Sample};
use crate::run::clock::RunClock;
use crate::run::event::{ChaosEvent, Event, EventBody};
use crate::run::phase::{PhaseContext, PhaseControl, PhaseControlHandle};
use crate::run::recorder::EventSink;
use crate::run::state_dir::StateDir;
use crate::run::undo::UndoJournal;

/// Everything that a course needs, and what keeps it going.
struct Stage {
    told: Arc<Told>,
    board: Board,
    context: PhaseContext,
    undo: UndoJournal,
    heard: tokio::sync::mpsc::Receiver<Arc<Event>>,
    control: Arc<PhaseControlHandle>,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new(told: Told, chaos: Chaos) -> Self {
        let config = "target: { name: t, environment: staging }";
        let mut config: Config = serde_yaml::from_str(config).expect("a configuration");
        config.chaos = chaos;
        let events = EventSink::in_memory(RunClock::start());
        let (handle, control) = PhaseControl::new(events.clone());
        let context = PhaseContext {
            events: events.clone(),
            control,
            config: Arc::new(config),
            run_id: "r".into(),
            seed: 1,
            length: Duration::from_secs(900),
        };
        let folder = tempfile::tempdir().expect("temporary folder");
        let state = StateDir::at(folder.path().join("state")).expect("made");
        let undo = UndoJournal::open(&state, "r").expect("opened");
        let (told, board) = (Arc::new(told), Board::default());
        let heard = events.subscribe().events;
        let control = Arc::new(handle);
        Self { told, board, context, undo, heard, control, _folder: folder }
    }

    fn course(&mut self) -> Course<'_> {
        let guard = Guard::watch(self.told.clone(), Vec::new(), self.context.events.clone());
        Course {
            runtime: &*self.told,
            board: &self.board,
            context: &mut self.context,
            undo: &mut self.undo,
            guard,
            faults: 0,
            broken: false,
            in_trouble: false,
        }
    }

    /// From now on a service answers each of these probes five times a second: well, or not.
    fn answers(&self, service: ServiceKind, probe: &'static str, well: bool) {
        let board = self.board.clone();
        tokio::spawn(async move {
            loop {
                board.add(Sample {
                    service,
                    probe: probe.into(),
                    due: Instant::now(),
                    latency: Duration::from_millis(10),
                    answered: if well { Answered::Well } else { Answered::Failed("down".into()) },
                });
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    /// For so long a service answers five times a second; what it is asked later it never answers.
    fn hangs_after(&self, service: ServiceKind, length: Duration) {
        let (board, since) = (self.board.clone(), Instant::now());
        tokio::spawn(async move {
            loop {
                let (board, due) = (board.clone(), Instant::now());
                let asked = board.open().ask(due);
                let (latency, answered) = match since.elapsed() < length {
                    true => (Duration::from_millis(10), Answered::Well),
                    false => (HANGS_AFTER, Answered::Failed("no answer".into())),
                };
                tokio::spawn(async move {
                    tokio::time::sleep(latency).await;
                    board.add(Sample { service, probe: "health".into(), due, latency, answered });
                    drop(asked);
                });
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    /// What of the chaos events so far is wanted.
    fn heard<T>(&mut self, wanted: impl Fn(&ChaosEvent) -> Option<T>) -> Vec<T> {
        let mut found = Vec::new();
        while let Ok(event) = self.heard.try_recv() {
            if let EventBody::Chaos(chaos) = &event.body {
                found.extend(wanted(chaos));
            }
        }
        found
    }
}
