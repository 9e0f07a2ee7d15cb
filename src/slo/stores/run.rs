//! The companion that asks stores and health while a run goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{Queried, TIMEOUT, queried, scratch_name, steps_of};
use crate::config::{Config, SloDefinitions, StoreKind};
use crate::platform::health::{AskHealth, HealthProbe};
use crate::platform::store::StoreError;
use crate::run::companion::{Companion, CompanionContext, Stage};
use crate::run::event::{
    ErrorKind, EventBody, Measurements, StoreEvent, StoreInterval, StoreSeries,
};
use crate::run::recorder::EventSink;
use crate::run::state::{RunState, RunStatus};

/// Length of an interval.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a store may take to be got ready.
const PREPARING: Duration = Duration::from_secs(15);
/// Time for queries that were on their way to be over before what they use is removed.
const SETTLING: Duration = Duration::from_millis(200);
/// Reasons of failures that are logged, of each store.
const TOLD: usize = 3;

/// Asks the stores while load runs, and the services' health all the time.
pub struct StoreWatch {
    stores: BTreeSet<String>,
    every: Option<Duration>,
    health_every: Duration,
    health: HealthProbe,
}

impl StoreWatch {
    /// A watch of what the definitions speak of.
    pub fn new(definitions: &SloDefinitions, health: HealthProbe) -> Self {
        let stores = definitions.slos.iter().filter_map(|slo| slo.store.clone()).collect();
        let rate = definitions.collection.store_queries_per_second;
        let every = (rate > 0).then(|| Duration::from_secs(1) / rate);
        let health_every =
            definitions.collection.health_check_interval.get().max(Duration::from_secs(1));
        Self { stores, every, health_every, health }
    }

    async fn watch_health(&self, events: &EventSink) {
        let mut ticks = interval(self.health_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if events.with_state(|state| state.status != RunStatus::Running) {
                continue;
            }
            for (service, answer) in self.health.ask_all().await {
                events.emit(EventBody::Health {
                    service,
                    healthy: answer.healthy,
                    latency_us: answer.latency.as_micros() as u64,
                    detail: answer.detail,
                });
            }
        }
    }

    async fn watch_stores(&self, config: &Config, run_id: &str, events: &EventSink) {
        let Some(every) = self.every else { return };
        let mut asked = Vec::new();
        while !events.with_state(load_runs) {
            tokio::time::sleep(INTERVAL / 5).await;
        }
        let mut left_out = Vec::new();
        for (kind, store) in config.stores.configured() {
            if !self.stores.contains(kind.name()) {
                continue;
            }
            let store = queried(kind, store, run_id);
            if let Some(name) = store.scratch() {
                emit(events, StoreEvent::Making { kind, name: name.to_owned() });
            }
            match timeout(PREPARING, store.prepare()).await {
                Ok(Ok(())) => asked.push((kind, store)),
                Ok(Err(error)) => left_out.push((kind, error.to_string())),
                Err(_) => {
                    left_out.push((kind, format!("not ready within {} s", PREPARING.as_secs())))
                }
            }
        }
        let steps = |kind| steps_of(kind).iter().map(|step| (*step).to_owned()).collect();
        let asked_steps = asked.iter().map(|(kind, _)| (*kind, steps(*kind))).collect();
        emit(events, StoreEvent::Started { asked: asked_steps, left_out });
        if !asked.is_empty() {
            ask(&asked, every, events).await;
        }
    }
}

#[async_trait]
impl Companion for StoreWatch {
    fn name(&self) -> &'static str {
        "the watch of stores and health"
    }

    fn ends_with(&self) -> Stage {
        Stage::Closing
    }

    async fn accompany(&self, mut context: CompanionContext) {
        let (config, events) = (Arc::clone(&context.config), context.events.clone());
        let run_id = context.run_id.clone();
        tokio::select! {
            ((), ()) = async {
                tokio::join!(
                    self.watch_health(&events),
                    self.watch_stores(&config, &run_id, &events),
                )
            } => {}
            () = context.until(Stage::Closing) => {}
        }
        // What was sent last may be on its way yet.
        tokio::time::sleep(SETTLING).await;
        let made = events.with_state(|state| state.stores.made.clone());
        for (kind, name, _) in made {
            let residue = removed(&config, &run_id, kind, &name).await.err();
            let residue = residue.map(|error| error.to_string());
            emit(&events, StoreEvent::Removed { kind, name, residue });
        }
    }
}

fn emit(events: &EventSink, event: StoreEvent) {
    events.emit(EventBody::Stores(event));
}

/// Whether requests of a load phase are sent now: not while it is paused.
fn load_runs(state: &RunState) -> bool {
    state.status == RunStatus::Running
        && state.running_phase().is_some_and(|phase| phase.kind.is_load())
}

type Answers = Arc<Mutex<BTreeMap<StoreSeries, Measurements>>>;

/// Asks every step of every store at fixed times, until it is dropped.
async fn ask(stores: &[(StoreKind, Arc<dyn Queried>)], every: Duration, events: &EventSink) {
    let answers = Answers::default();
    let mut asking = JoinSet::new();
    let steps: Vec<_> = stores
        .iter()
        .flat_map(|(kind, store)| steps_of(*kind).iter().map(move |step| (*kind, store, *step)))
        .collect();
    for (at, (kind, store, step)) in steps.iter().enumerate() {
        // Spread over the interval, so that not everything is asked at once.
        let first = Instant::now() + every * at as u32 / steps.len().max(1) as u32;
        let store = Arc::clone(store);
        asking.spawn(ask_step(
            *kind,
            store,
            step,
            first,
            every,
            Arc::clone(&answers),
            events.clone(),
        ));
    }
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let taken = std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
        if !taken.is_empty() {
            let series =
                taken.into_iter().map(|(key, measured)| StoreInterval { key, measured }).collect();
            emit(events, StoreEvent::Interval { series });
        }
    }
}

async fn ask_step(
    kind: StoreKind,
    store: Arc<dyn Queried>,
    step: &'static str,
    first: Instant,
    every: Duration,
    answers: Answers,
    events: EventSink,
) {
    let mut ticks = tokio::time::interval_at(first, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let told = Arc::new(Mutex::new(0));
    // Ends with this task, so that nothing is in flight when the scratch is removed.
    let mut in_flight = JoinSet::new();
    let mut number = 0;
    loop {
        let due = ticks.tick().await;
        while in_flight.try_join_next().is_some() {}
        if !events.with_state(load_runs) {
            continue;
        }
        number += 1;
        let (store, answers, told) = (Arc::clone(&store), Arc::clone(&answers), Arc::clone(&told));
        in_flight.spawn(async move {
            let answered = timeout(TIMEOUT, store.ask(step, number)).await;
            let error = match answered {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some((error.kind, error.reason.to_string())),
                Err(_) => Some((ErrorKind::Timeout, "no answer in time".to_owned())),
            };
            let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
            let mut all = answers.lock().unwrap_or_else(PoisonError::into_inner);
            let measured = all.entry(StoreSeries { kind, step: step.to_owned() }).or_default();
            measured.response.record_us(micros, 1);
            let Some((error, reason)) = error else { return };
            *measured.errors.entry(error).or_default() += 1;
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if *told < TOLD {
                *told += 1;
                log::warn!("{kind} {step}: {reason}");
            }
        });
    }
}

/// Removes what a run made in a store, and looks whether it is gone.
async fn removed(
    config: &Config,
    run_id: &str,
    kind: StoreKind,
    name: &str,
) -> Result<(), StoreError> {
    let refuse = |why: &str| StoreError::new(format!("remove `{name}`"), why);
    if name != scratch_name(run_id) {
        return Err(refuse("it is not the name of this run"));
    }
    let store = config.stores.get(kind).ok_or_else(|| refuse("its store is not configured"))?;
    let removal = timeout(PREPARING, queried(kind, store, run_id).remove()).await;
    removal.unwrap_or_else(|_| Err(refuse("no answer in time")))
}

/// Removes what a run left in the stores whose engine was killed. Doing it again changes nothing.
pub async fn remove_leftovers(config: &Config, run_id: &str, state: &RunState) -> Vec<StoreEvent> {
    let mut events = Vec::new();
    for (kind, name, _) in &state.stores.made {
        let residue = removed(config, run_id, *kind, name).await.err();
        let residue = residue.map(|error| error.to_string());
        events.push(StoreEvent::Removed { kind: *kind, name: name.clone(), residue });
    }
    events
}

/// What there is to say of what a run left in stores that are gone themselves.
pub fn gone_with_their_stores(state: &RunState) -> Vec<StoreEvent> {
    let made = state.stores.made.iter();
    made.map(|(kind, name, _)| StoreEvent::Removed {
        kind: *kind,
        name: name.clone(),
        residue: None,
    })
    .collect()
}
