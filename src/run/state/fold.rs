//! How events become state: what each of them changes, and nothing else does.

use super::{
    Acknowledgement, Cooldown, HealthState, LogLine, Mark, PhaseState, PhaseStatus, RunState,
    RunStatus, narrate, push_bounded,
};
use crate::config::PhaseKind;
use crate::run::control::{Command, CommandId};
use crate::run::event::{Event, EventBody, LoadEvent, StoreEvent};
use crate::run::plan::Plan;

impl RunState {
    /// Folds one event in. Events that were applied already (by sequence number) are ignored.
    pub fn apply(&mut self, event: &Event) {
        if event.seq <= self.seq {
            return;
        }
        self.seq = event.seq;
        self.now_us = self.now_us.max(event.at_us);
        self.wall = Some(event.wall);
        self.apply_run(event);
        self.apply_phase(event);
        self.apply_control(event);
        self.apply_observation(event);
        self.write_log(event);
    }

    fn apply_run(&mut self, event: &Event) {
        match &event.body {
            EventBody::RunCreated { identity, plan, criteria, promises } => {
                self.identity = Some((**identity).clone());
                self.created = Some(event.wall);
                self.criteria = Some(*criteria);
                self.promises.clone_from(promises);
                self.set_plan(plan);
            }
            EventBody::Armed { .. } => self.armed = true,
            EventBody::Ready {} => self.enter(RunStatus::Ready),
            EventBody::RunStarted {} => {
                self.enter(RunStatus::Running);
                self.started_us = Some(event.at_us);
            }
            EventBody::PlanChanged { plan } => self.set_plan(plan),
            EventBody::Aborting { reason } => self.enter(RunStatus::Aborting(reason.clone())),
            EventBody::RunFinished { verdict } => {
                self.status = RunStatus::Finished;
                self.cooldown = None;
                self.verdict = Some(verdict.clone());
            }
            EventBody::JournalRepaired { cut_bytes } => self.journal_cut_bytes += cut_bytes,
            _ => {}
        }
    }

    fn apply_phase(&mut self, event: &Event) {
        match &event.body {
            EventBody::CooldownStarted { max_us } => {
                self.cooldown = Some(Cooldown {
                    since_us: event.at_us,
                    paused_since_us: None,
                    max_us: *max_us,
                });
            }
            EventBody::CooldownEnded { .. } => self.cooldown = None,
            body => {
                let running = self.phases.iter_mut().find(|p| Some(p.kind) == event.phase);
                if let Some(phase) = running {
                    phase.apply(event.at_us, body);
                }
            }
        }
    }

    fn apply_control(&mut self, event: &Event) {
        let mut acknowledge = |id: &CommandId, client: &str, command: &Command, refused| {
            push_bounded(
                &mut self.acknowledgements,
                Acknowledgement {
                    at_us: event.at_us,
                    id: *id,
                    client: client.to_owned(),
                    command: command.clone(),
                    refused,
                },
            );
        };
        match &event.body {
            EventBody::CommandAccepted { id, client, command } => {
                acknowledge(id, client, command, None);
            }
            EventBody::CommandRefused { id, client, command, reason } => {
                acknowledge(id, client, command, Some(reason.clone()));
            }
            EventBody::Pausing {} => self.enter(RunStatus::Pausing),
            EventBody::Paused {} => {
                self.enter(RunStatus::Paused);
                if let Some(cooldown) = &mut self.cooldown {
                    cooldown.paused_since_us = Some(event.at_us);
                }
                self.mark(event, "paused");
            }
            EventBody::Resuming {} => self.enter(RunStatus::Resuming),
            EventBody::Resumed {} => {
                self.enter(RunStatus::Running);
                if let Some(cooldown) = &mut self.cooldown {
                    let paused = cooldown.paused_since_us.take();
                    cooldown.since_us += event.at_us - paused.unwrap_or(event.at_us);
                }
                self.mark(event, "resumed");
            }
            EventBody::Held { reason } => {
                self.enter(RunStatus::Held(reason.clone()));
                self.mark(event, "held");
            }
            EventBody::Released {} => self.enter(RunStatus::Running),
            // A phase that is ended while it is paused takes its pause with it.
            EventBody::PhaseFinished { .. } if self.status.is_pause() => {
                self.enter(RunStatus::Running);
            }
            EventBody::Operators { attached } => self.operators = *attached,
            _ => {}
        }
    }

    fn apply_observation(&mut self, event: &Event) {
        match &event.body {
            EventBody::Annotation { client, text } => {
                self.mark(event, &format!("{client}: {text}"));
            }
            EventBody::Health { service, healthy, latency_us, detail } => {
                let before = self.health.get(service);
                let (checks, failed) = before.map_or((0, 0), |h| (h.checks, h.failed));
                let down_us = before.map_or(0, |h| h.down_us + self.unmeasured_us(h, event.at_us));
                let health = HealthState {
                    at_us: event.at_us,
                    healthy: *healthy,
                    latency_us: *latency_us,
                    detail: detail.clone(),
                    checks: checks + 1,
                    failed: failed + u64::from(!healthy),
                    down_us: if *healthy { before.map_or(0, |h| h.down_us) } else { down_us },
                };
                self.health.insert(*service, health);
            }
            EventBody::Stores(stores) => {
                self.stores.apply(stores);
                if let (StoreEvent::Interval { series }, Some(of)) = (stores, &self.promises)
                    && !self.is_search()
                {
                    self.windows.add_stores(series, of);
                }
            }
            EventBody::Notify(notify) => self.notify.apply(notify),
            EventBody::ControlsChecked { controls } => self.controls.clone_from(controls),
            EventBody::ThresholdBroken { objective, reason } => {
                self.mark(event, &format!("{objective}: {reason}"));
                self.broken_threshold = Some(format!("{objective}: {reason}"));
            }
            EventBody::Load(load) => {
                if let (LoadEvent::Interval(interval), Some(of)) = (load, &self.promises)
                    && !self.is_search()
                {
                    self.windows.add_load(event.at_us, interval, of);
                }
                if let Some(text) = load.mark() {
                    self.mark(event, &text);
                }
            }
            EventBody::Chaos(chaos) => {
                if let Some(text) = chaos.mark() {
                    self.mark(event, &text);
                }
            }
            EventBody::ObjectivesEvaluated { objectives } => {
                self.objectives.clone_from(objectives);
            }
            EventBody::ReportWritten { path } if !self.reports.contains(path) => {
                self.reports.push(path.clone());
            }
            _ => {}
        }
    }

    /// The time that a health check at `at_us` stands for, where load or chaos did not measure it: that
    /// since the check before, but no longer than what lies between two of them by the definitions.
    fn unmeasured_us(&self, before: &HealthState, at_us: u64) -> u64 {
        let measured = |phase: &PhaseState| phase.kind.is_load() || phase.kind == PhaseKind::Chaos;
        if self.running_phase().is_some_and(measured) {
            return 0;
        }
        let between = self.promises.as_ref().map(|p| p.collection.health_check_interval.get());
        let longest = between.map_or(u64::MAX, |between| between.as_micros() as u64);
        at_us.saturating_sub(before.at_us).min(longest)
    }

    fn write_log(&mut self, event: &Event) {
        let Some((level, message)) = narrate(&event.body) else { return };
        let line =
            LogLine { at_us: event.at_us, wall: event.wall, phase: event.phase, level, message };
        push_bounded(&mut self.log, line);
    }

    /// Takes a plan over: phases that have begun keep their state, the others follow the plan.
    fn set_plan(&mut self, plan: &Plan) {
        let mut kept = std::mem::take(&mut self.phases);
        for planned in &plan.phases {
            let at = kept.iter().position(|phase| phase.kind == planned.kind);
            let mut phase = at.map_or_else(|| PhaseState::new(planned.kind), |at| kept.remove(at));
            phase.planned_us = planned.length_us;
            if phase.status == PhaseStatus::Pending {
                phase.skip_requested = planned.skip;
            }
            self.phases.push(phase);
        }
        self.plan = Some(plan.clone());
    }

    /// An abort is never taken back: what is acknowledged while it lasts was asked for before it.
    fn enter(&mut self, status: RunStatus) {
        if !matches!(self.status, RunStatus::Aborting(_) | RunStatus::Finished) {
            self.status = status;
        }
    }

    fn mark(&mut self, event: &Event, text: &str) {
        let mark = Mark { at_us: event.at_us, phase: event.phase, text: text.to_owned() };
        push_bounded(&mut self.marks, mark);
    }
}
