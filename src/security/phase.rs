//! The security phase: one check after the other, held by a pause and ended by an abort at any moment.
//! On every way out, what was written is removed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::audit::Audit;
use super::prober::LONGEST;
use crate::config::PhaseKind;
use crate::run::clock::PlanClock;
use crate::run::event::{PhaseOutcome, Verdict};
use crate::run::phase::{ControlChange, Phase, PhaseContext, PhaseControl, Wish};

/// How long the removal of what was written may take.
const REMOVAL: Duration = Duration::from_secs(60);

/// The security phase.
pub struct SecurityPhase;

#[async_trait]
impl Phase for SecurityPhase {
    fn kind(&self) -> PhaseKind {
        PhaseKind::Security
    }

    async fn run(&self, context: PhaseContext) -> PhaseOutcome {
        let PhaseContext { events, control, config, run_id, length, .. } = context;
        let (gate, open) = watch::channel(true);
        let audit = match Audit::new(Arc::clone(&config), events, run_id, open) {
            Ok(audit) => audit,
            Err(reason) => return PhaseOutcome::new(Verdict::Skipped, reason),
        };
        let ended = Course { control, gate, clock: PlanClock::start(), length };
        let ended = ended.run(&audit).await;
        if tokio::time::timeout(REMOVAL, audit.clean()).await.is_err() {
            audit.note("what was written could not all be removed in time");
        }
        match ended {
            Ended::Done => audit.conclude(),
            Ended::TimeOver => {
                audit.leave_open("the phase's time was over");
                audit.conclude()
            }
            Ended::Stopped => {
                let left = audit.left_words().map(|words| format!("; {words}"));
                let reason = format!("ended before its time{}", left.unwrap_or_default());
                PhaseOutcome::new(Verdict::Aborted, reason)
            }
        }
    }
}

enum Ended {
    Done,
    TimeOver,
    Stopped,
}

struct Course {
    control: PhaseControl,
    gate: watch::Sender<bool>,
    clock: PlanClock,
    length: Duration,
}

impl Course {
    /// Runs the audit under the wishes of operators and the clock.
    async fn run(mut self, audit: &Audit) -> Ended {
        let mut in_flight = audit.in_flight();
        let mut pausing = false;
        let mut work = std::pin::pin!(audit.run());
        let ended = loop {
            let left = self.length.saturating_sub(self.clock.elapsed());
            tokio::select! {
                biased;
                change = self.control.next() => match change {
                    ControlChange::Wish(Wish::StopNow) => return Ended::Stopped,
                    ControlChange::Wish(Wish::Stop) => break Ended::Stopped,
                    ControlChange::Wish(Wish::Pause) => {
                        self.gate.send_replace(false);
                        self.clock.hold();
                        pausing = true;
                    }
                    ControlChange::Wish(Wish::Work) => {
                        self.gate.send_replace(true);
                        self.clock.release();
                        pausing = false;
                        self.control.resumed();
                    }
                    ControlChange::Command(_) => {}
                },
                // What is in flight ends first.
                _ = in_flight.wait_for(|n| *n == 0), if pausing => {
                    pausing = false;
                    self.control.paused();
                }
                () = &mut work => return Ended::Done,
                () = tokio::time::sleep(left), if *self.gate.borrow() => break Ended::TimeOver,
            }
        };
        // Nothing new is asked. What is being written goes through first: only its answer says where it
        // is, and what comes after its removal would stay.
        self.gate.send_replace(false);
        if audit.left() > 0 {
            tokio::select! {
                biased;
                () = &mut work => {}
                _ = in_flight.wait_for(|n| *n == 0) => {}
                () = self.at_once() => {}
                () = tokio::time::sleep(LONGEST) => {}
            }
        }
        ended
    }

    /// Comes when nobody wants to wait any more.
    async fn at_once(&mut self) {
        while self.control.next().await != ControlChange::Wish(Wish::StopNow) {}
    }
}
