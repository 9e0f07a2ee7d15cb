//! What a phase is, and what it is given to work with.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::event::{EventBody, PhaseOutcome};
use super::recorder::EventSink;
use crate::config::{Config, PhaseKind};

/// An engine of one phase. It knows neither terminal nor report.
#[async_trait]
pub trait Phase: Send + Sync {
    /// Which phase it runs.
    fn kind(&self) -> PhaseKind;

    /// Runs the phase until its length is over, its work is done, or it is told to stop. On every
    /// way out it has healed and cleaned what it did.
    async fn run(&self, context: PhaseContext) -> PhaseOutcome;
}

/// What a phase is given.
pub struct PhaseContext {
    /// Where it reports what happens.
    pub events: EventSink,
    /// What operators want of it.
    pub control: PhaseControl,
    /// The platform under validation, and everything else that is configured.
    pub config: Arc<Config>,
    /// The run's id; everything that the phase creates carries it.
    pub run_id: String,
    /// Seed of its random choices.
    pub seed: u64,
    /// Length (load) or time box (everything else), pauses not counted.
    pub length: Duration,
}

/// What operators want of a phase at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Work.
    #[default]
    Work,
    /// Heal, bring work in flight to an end, hold.
    Pause,
    /// Heal, clean, end. The phase reports what it has measured; the orchestrator decides the
    /// verdict from who asked.
    Stop,
    /// As [`Wish::Stop`], but without waiting for work in flight.
    StopNow,
}

/// A command for the running phase itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhaseCommand {
    /// Adds (or takes away) virtual users.
    Rescale {
        /// The scenario; all of them in proportion when left out.
        scenario: Option<String>,
        /// Users more or less.
        by: i32,
    },
    /// Changes the rate of arrivals.
    ChangeRate {
        /// The scenario; all with arrivals when left out.
        scenario: Option<String>,
        /// Percent of the planned rate more or less.
        by_percent: i32,
    },
    /// Undoes the fault that is there; the plan goes on.
    Heal,
}

/// The phase's end of the controls.
pub struct PhaseControl {
    wish: watch::Receiver<Wish>,
    ended_by: watch::Receiver<String>,
    commands: mpsc::Receiver<PhaseCommand>,
    events: EventSink,
}

impl PhaseControl {
    /// Connects a phase to its orchestrator.
    pub fn new(events: EventSink) -> (PhaseControlHandle, Self) {
        let (wish_sender, wish) = watch::channel(Wish::Work);
        let (ended_by_sender, ended_by) = watch::channel("ended with the run".to_owned());
        let (command_sender, commands) = mpsc::channel(16);
        let handle = PhaseControlHandle {
            wish: wish_sender,
            ended_by: ended_by_sender,
            commands: command_sender,
        };
        (handle, Self { wish, ended_by, commands, events })
    }

    /// What is wanted now.
    pub fn wish(&self) -> Wish {
        self.wish.borrow().clone()
    }

    /// Who or what ends the phase, such as `skipped by an operator`, once it is to end.
    pub fn ended_by(&self) -> String {
        self.ended_by.borrow().clone()
    }

    /// Waits until the wish changes and returns the new one. Cancel-safe.
    pub async fn changed(&mut self) -> Wish {
        // An orchestrator that is gone wants the phase to end.
        match self.wish.changed().await {
            Ok(()) => self.wish.borrow_and_update().clone(),
            Err(_) => Wish::StopNow,
        }
    }

    /// Waits until the phase is to end, for one that does nothing meanwhile that a pause would have to
    /// hold. Cancel-safe.
    pub async fn stopped(&mut self) {
        loop {
            match self.changed().await {
                Wish::Stop | Wish::StopNow => return,
                Wish::Pause => self.paused(),
                Wish::Work => self.resumed(),
            }
        }
    }

    /// Waits for the next command; pending for ever when there will be none. Cancel-safe.
    pub async fn command(&mut self) -> PhaseCommand {
        match self.commands.recv().await {
            Some(command) => command,
            None => std::future::pending().await,
        }
    }

    /// Waits for whichever comes first, a new wish or a command. Cancel-safe.
    pub async fn next(&mut self) -> ControlChange {
        tokio::select! {
            biased;
            wish = async {
                match self.wish.changed().await {
                    Ok(()) => self.wish.borrow_and_update().clone(),
                    Err(_) => Wish::StopNow,
                }
            } => ControlChange::Wish(wish),
            Some(command) = self.commands.recv() => ControlChange::Command(command),
        }
    }

    /// Acknowledges a pause: nothing is in flight any more.
    pub fn paused(&self) {
        self.events.emit(EventBody::Paused {});
    }

    /// Acknowledges the end of a pause: work goes on.
    pub fn resumed(&self) {
        self.events.emit(EventBody::Resumed {});
    }
}

/// What [`PhaseControl::next`] woke up for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlChange {
    /// Something else is wanted.
    Wish(Wish),
    /// A command came.
    Command(PhaseCommand),
}

/// The orchestrator's end of the controls.
pub struct PhaseControlHandle {
    wish: watch::Sender<Wish>,
    ended_by: watch::Sender<String>,
    commands: mpsc::Sender<PhaseCommand>,
}

impl PhaseControlHandle {
    /// Says what is wanted from now on.
    pub fn want(&self, wish: Wish) {
        self.wish.send_replace(wish);
    }

    /// Tells the phase to end, and who or what has it end.
    pub fn end(&self, by: &str) {
        self.ended_by.send_replace(by.to_owned());
        self.want(Wish::Stop);
    }

    /// Hands a command to the phase; false when it takes none (any more).
    pub fn send(&self, command: PhaseCommand) -> bool {
        self.commands.try_send(command).is_ok()
    }
}
