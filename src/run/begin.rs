//! What comes before the first phase of a run: somebody who starts it, and somebody who watches it.

use std::time::Duration;

use tokio::time::Instant;

use super::decide::{Effect, Situation};
use super::event::EventBody;
use super::orchestrator::Orchestrator;
use crate::config::{OnDetach, PhaseKind};

/// A run that was not started and that nobody watches is closed after this.
const UNWATCHED: Duration = Duration::from_secs(600);
/// How long a run that nobody may leave alone waits for the first who watches it.
const FIRST_OPERATOR_WITHIN: Duration = Duration::from_secs(60);

impl Orchestrator {
    /// Waits until an operator starts the run, or it is aborted.
    pub(super) async fn wait_for_start(&mut self) {
        self.events.emit(EventBody::Ready {});
        let mut unwatched = Instant::now() + UNWATCHED;
        while self.abort.is_none() {
            let heard = tokio::time::timeout_at(unwatched, self.hear()).await;
            let watched = *self.operators.borrow() > 0;
            if heard.is_err() && !watched {
                self.abort_run("closed before anything was started");
                return;
            }
            if watched || heard.is_ok() {
                unwatched = Instant::now() + UNWATCHED;
            }
            if let Some(Effect::Start(first)) = self.take_in(heard.ok().flatten(), Situation::Ready)
            {
                self.put_first(first);
                self.events.emit(EventBody::RunStarted {});
                return;
            }
        }
    }

    /// A run that is to end with its last operator does not begin without one: the terminal may have
    /// gone before its dashboard was there.
    pub(super) async fn wait_for_first_operator(&mut self) {
        if self.settings.on_detach != OnDetach::Abort {
            return;
        }
        let deadline = Instant::now() + FIRST_OPERATOR_WITHIN;
        while *self.operators.borrow() == 0 && self.abort.is_none() {
            let Ok(heard) = tokio::time::timeout_at(deadline, self.hear()).await else {
                self.abort_run("nobody came to watch, and the run was told to abort without");
                return;
            };
            self.take_in(heard, Situation::PausedBetween);
        }
    }

    fn put_first(&self, first: Option<PhaseKind>) {
        let plan = self.events.with_state(|state| state.plan.clone());
        if let (Some(first), Some(mut plan)) = (first, plan)
            && let Some(at) = plan.position(first)
        {
            let mut phase = plan.phases.remove(at);
            phase.skip = false;
            plan.phases.insert(0, phase);
            self.events.emit(EventBody::PlanChanged { plan });
        }
    }
}
