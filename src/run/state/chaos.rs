//! What is known of the chaos phase.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::ExperimentKind;
use crate::run::event::{
    ChaosEvent, ChaosScore, ChaosStart, ExperimentResult, Moment, ProbeSecond, Stage,
    SteadyFigures, Timeline,
};

/// Seconds of probes kept for the screen; older ones stand in the journal.
const KEPT_SECONDS: usize = 600;

/// What is to be done about a fault that cannot be undone while its runtime does not answer.
pub const IF_LEFT: &str = "what cannot be undone now stays on record: `shakedown recover` undoes it \
                           once this run is over and the runtime answers";

/// What is known of the chaos phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChaosState {
    /// What may be broken and what may not.
    pub start: Option<ChaosStart>,
    /// The experiment that is under way.
    pub current: Option<CurrentExperiment>,
    /// Experiments that are over.
    pub results: Vec<ExperimentResult>,
    /// When the last of these ended, microseconds since the run was created; 0 before that.
    #[serde(default)]
    pub ended_us: u64,
    /// The last seconds of probes, with microseconds since the run was created.
    pub seconds: VecDeque<(u64, Vec<ProbeSecond>)>,
    /// Protected targets that changed.
    pub disturbed: Vec<String>,
    /// The score, once the phase is over.
    pub score: Option<ChaosScore>,
    /// The longest that undoing a fault took so far, microseconds; none before the first.
    #[serde(default)]
    pub longest_heal_us: Option<u64>,
}

/// An experiment that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurrentExperiment {
    /// Its number, from 1.
    pub number: u32,
    /// Which kind.
    pub kind: ExperimentKind,
    /// What it does, in words.
    pub title: String,
    /// Names of the targets.
    pub targets: Vec<String>,
    /// When it began, microseconds since the run was created.
    pub since_us: u64,
    /// The fault that is there now.
    pub fault: Option<ActiveFault>,
    /// Moments by target so far.
    pub timelines: Vec<Timeline>,
    /// Figures of every service in the stages so far, the last of them as it stands.
    #[serde(default)]
    pub stages: BTreeMap<Stage, Vec<SteadyFigures>>,
}

/// A fault that is there now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// In words.
    pub fault: String,
    /// What abort would do, in words.
    pub undo: String,
    /// When it was injected, microseconds since the run was created.
    pub since_us: u64,
    /// When it ends by itself; the same for one that is over at once.
    pub until_us: u64,
    /// The proof of its effect, once there is one.
    pub effect: Option<(bool, String)>,
    /// Why it is being undone, once it is.
    pub healing: Option<String>,
    /// Since when, microseconds since the run was created.
    #[serde(default)]
    pub healing_since_us: u64,
    /// What came instead of the runtime's doing what it was asked, while that is so.
    #[serde(default)]
    pub trouble: Option<String>,
}

impl ChaosState {
    pub(super) fn apply(&mut self, at_us: u64, event: &ChaosEvent) {
        match event {
            ChaosEvent::Started(start) => self.start = Some(start.clone()),
            ChaosEvent::ExperimentStarted { number, kind, title, targets } => {
                self.current = Some(CurrentExperiment {
                    number: *number,
                    kind: *kind,
                    title: title.clone(),
                    targets: targets.clone(),
                    since_us: at_us,
                    fault: None,
                    timelines: Vec::new(),
                    stages: BTreeMap::new(),
                });
            }
            ChaosEvent::Probed { probes } => {
                if self.seconds.len() == KEPT_SECONDS {
                    self.seconds.pop_front();
                }
                self.seconds.push_back((at_us, probes.clone()));
            }
            ChaosEvent::ProtectedDisturbed { what } => self.disturbed.push(what.clone()),
            ChaosEvent::ExperimentFinished(result) => {
                self.current = None;
                self.ended_us = at_us;
                // One that a pause has ended was made again: the last of its results counts.
                self.results.retain(|before| before.number != result.number);
                self.results.push((**result).clone());
            }
            ChaosEvent::Excluded { target, why } => {
                if let Some(start) = &mut self.start {
                    start.targets.retain(|name| name != target);
                    start.excluded.push((target.clone(), why.clone()));
                }
            }
            ChaosEvent::Scored(score) => self.score = Some(score.clone()),
            other => {
                if let ChaosEvent::Healed { took_us, .. } = other {
                    self.longest_heal_us = self.longest_heal_us.max(Some(*took_us));
                }
                if let Some(current) = &mut self.current {
                    current.apply(at_us, other);
                }
            }
        }
    }
}

impl CurrentExperiment {
    /// Figures of every service in a stage; none before it has begun.
    pub fn measured(&self, stage: Stage) -> &[SteadyFigures] {
        self.stages.get(&stage).map_or(&[], Vec::as_slice)
    }

    fn apply(&mut self, at_us: u64, event: &ChaosEvent) {
        match event {
            ChaosEvent::Injecting { fault, undo, lasts_us, .. } => {
                self.fault = Some(ActiveFault {
                    fault: fault.clone(),
                    undo: undo.clone(),
                    since_us: at_us,
                    until_us: at_us + lasts_us,
                    effect: None,
                    healing: None,
                    healing_since_us: 0,
                    trouble: None,
                });
            }
            ChaosEvent::Injected {} => {
                if let Some(fault) = &mut self.fault {
                    // Setting it up took its time; it lasts from now on.
                    fault.until_us += at_us.saturating_sub(fault.since_us);
                    fault.since_us = at_us;
                }
            }
            ChaosEvent::Moment { target, kind, at_us, source } => {
                self.moment(target, Moment { kind: *kind, at_us: *at_us, source: *source });
            }
            ChaosEvent::RuntimeTrouble { why } => {
                if let Some(fault) = &mut self.fault {
                    fault.trouble.clone_from(why);
                }
            }
            ChaosEvent::Effect { effective, evidence }
            | ChaosEvent::EffectNow { effective, evidence } => {
                if let Some(fault) = &mut self.fault {
                    fault.effect = Some((*effective, evidence.clone()));
                }
            }
            ChaosEvent::Healing { reason } => {
                if let Some(fault) = &mut self.fault {
                    fault.healing = Some(reason.clone());
                    fault.healing_since_us = at_us;
                }
            }
            ChaosEvent::Healed { .. } => self.fault = None,
            ChaosEvent::Measured { stage, figures } => {
                self.stages.insert(*stage, figures.clone());
            }
            _ => {}
        }
    }

    fn moment(&mut self, target: &str, moment: Moment) {
        match self.timelines.iter_mut().find(|timeline| timeline.target == target) {
            Some(timeline) => timeline.add(moment),
            None => {
                self.timelines.push(Timeline { target: target.to_owned(), moments: vec![moment] })
            }
        }
    }
}
