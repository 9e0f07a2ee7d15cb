//! A runtime for tests: it shows and measures what a test tells it, and records nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    Baseline, Effect, Fault, Injection, Instance, Prepared, Runtime, RuntimeError, Target,
};
use crate::chaos::undo::Undo;
use crate::config::ServiceKind;

/// A runtime that shows what it was told.
#[derive(Default)]
pub struct Told {
    /// What there is.
    pub targets: Vec<Target>,
    /// Whether nothing can be injected.
    pub refuses: bool,
    /// What undoes a fault; nothing has to without it.
    pub undo: Option<Undo>,
    /// What looking at a target shows, one look after the other; the last one stays, and without any a
    /// target is as it was found.
    shown: Mutex<VecDeque<Result<Instance, String>>>,
    /// How often it was claimed.
    pub claims: AtomicU32,
    /// Whether another run has it meanwhile.
    pub taken: AtomicBool,
    /// Ids of targets that are gone.
    gone: Mutex<Vec<String>>,
    /// Whether a fault has its effect, one measurement after the other; the last one stays.
    effects: Mutex<VecDeque<bool>>,
}

/// A target that serves something, is up for long, and is one of a kind.
pub fn serving(service: ServiceKind) -> Target {
    let name = service.name().to_owned();
    let uptime = Duration::from_secs(3600);
    Target {
        id: name.clone(),
        name,
        place: String::new(),
        service: Some(service),
        excluded: None,
        unkillable: None,
        protected: false,
        instance: Instance { pid: Some(7), started: "then".into(), uptime, ..Instance::default() },
    }
}

impl Told {
    /// One target for each of these services.
    pub fn serving(services: &[ServiceKind]) -> Self {
        Self { targets: services.iter().copied().map(serving).collect(), ..Self::default() }
    }

    /// From now on looking shows these, one after the other.
    pub fn show(&self, shown: impl IntoIterator<Item = Result<Instance, String>>) {
        *locked(&self.shown) = shown.into_iter().collect();
    }

    /// A target is gone.
    pub fn remove(&self, id: &str) {
        locked(&self.gone).push(id.to_owned());
    }

    /// Measurements of a fault are these, one after the other.
    pub fn measure(&self, effects: impl IntoIterator<Item = bool>) {
        *locked(&self.effects) = effects.into_iter().collect();
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first of some; the last one stays.
fn next<T: Clone>(of: &Mutex<VecDeque<T>>) -> Option<T> {
    let mut of = locked(of);
    if of.len() > 1 { of.pop_front() } else { of.front().cloned() }
}

#[async_trait]
impl Runtime for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    async fn claim(&self, _: &str, _: Duration) -> Result<(), RuntimeError> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        match self.taken.load(Ordering::Relaxed) {
            true => Err(RuntimeError::new("another run has it")),
            false => Ok(()),
        }
    }

    async fn targets(&self) -> Result<Vec<Target>, RuntimeError> {
        Ok(self.targets.clone())
    }

    async fn look(&self, target: &Target) -> Result<Instance, RuntimeError> {
        let gone = locked(&self.gone).contains(&target.id);
        let now = match gone {
            true => Ok(Instance { gone, ..Instance::default() }),
            false => next(&self.shown).unwrap_or_else(|| Ok(target.instance.clone())),
        };
        now.map_err(RuntimeError::new)
    }

    async fn prepare(&self, _: &Target, _: &Fault, token: &str) -> Result<Prepared, RuntimeError> {
        if self.refuses {
            return Err(RuntimeError::new("nothing is broken here"));
        }
        Ok(Prepared {
            deed: format!("by {token}"),
            undo: self.undo.clone().unwrap_or(Undo::SandboxRestarts {}),
            undo_words: "nothing".into(),
            prediction: None,
        })
    }

    async fn inject(&self, _: &Target, _: &Fault, _: &Undo) -> Result<Injection, RuntimeError> {
        Ok(Injection { lease: None, baseline: Baseline::default(), since: Instant::now() })
    }

    async fn effect(&self, _: &Target, _: &Fault, _: &Undo, _: &Injection) -> Effect {
        let effective = next(&self.effects).unwrap_or(true);
        Effect::new(effective, format!("measured: {effective}"))
    }
}
