//! What operators wish while the load runs, carried to its threads.

use std::time::Duration;

use super::super::course::ReadyScenario;
use super::super::schedule::Model;
use super::super::shared::Gate;
use super::Running;
use crate::run::event::LoadEvent;
use crate::run::phase::{ControlChange, PhaseCommand, Wish};

/// Most of the planned rate that an operator may ask for, in percent.
const MAX_RATE_PERCENT: u32 = 1000;

impl Running<'_> {
    pub(super) fn follow(&mut self, change: ControlChange) {
        match change {
            ControlChange::Wish(Wish::Pause) if self.drop_at.is_none() => {
                self.clock.hold();
                self.pauses += 1;
                self.holding = 0;
                self.gate.send_replace(Gate::Held(self.pauses));
            }
            ControlChange::Wish(Wish::Work) if self.drop_at.is_none() => {
                self.clock.release();
                let origin = self.clock.instant_at(Duration::ZERO);
                // Before the gate opens, so that no arrival of the pause is due.
                self.targets.send_modify(|targets| targets.origin = origin);
                self.gate.send_replace(Gate::Open);
                self.context.control.resumed();
            }
            ControlChange::Wish(Wish::Stop) => self.drain(),
            ControlChange::Wish(Wish::StopNow) => {
                self.hurried = true;
                self.drain();
                self.gate.send_replace(Gate::Dropped);
            }
            ControlChange::Wish(Wish::Pause | Wish::Work) => {}
            ControlChange::Command(PhaseCommand::Rescale { scenario, by }) => {
                self.rescale(scenario, by);
            }
            ControlChange::Command(PhaseCommand::ChangeRate { scenario, by_percent }) => {
                self.change_rate(scenario, by_percent);
            }
            // There is nothing to heal in load.
            ControlChange::Command(PhaseCommand::Heal) => {}
        }
    }

    fn rescale(&mut self, scenario: Option<String>, by: i32) {
        let at = scenario
            .as_ref()
            .and_then(|name| self.course().scenarios.iter().position(|s| s.name == *name));
        match self.population.rescale(at, by, self.clock.elapsed()) {
            Some(users) => self.emit(LoadEvent::Rescaled { scenario, users }),
            None => log::warn!("no users are changed: none of what was meant is under way now"),
        }
        self.look();
    }

    fn change_rate(&mut self, scenario: Option<String>, by_percent: i32) {
        let wanted = |ready: &ReadyScenario| {
            let open = matches!(ready.schedule.model, Model::Arrivals { .. });
            open && scenario.as_ref().is_none_or(|name| *name == ready.name)
        };
        let mut changed = Vec::new();
        self.targets.send_modify(|targets| {
            for (ready, percent) in self.common.course.scenarios.iter().zip(&mut targets.percent) {
                if wanted(ready) {
                    let new = percent.saturating_add_signed(by_percent).min(MAX_RATE_PERCENT);
                    *percent = new;
                    changed.push((ready.name.clone(), new));
                }
            }
        });
        for (name, percent) in changed {
            self.emit(LoadEvent::RateChanged { scenario: Some(name), percent });
        }
    }
}
