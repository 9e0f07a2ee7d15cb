//! Objectives for what nothing asks: they would stay undecided for ever.

use std::collections::{BTreeMap, BTreeSet};

use super::Lint;
use crate::config::{PhaseKind, ServiceKind, Slo, StoreKind, Workloads};
use crate::slo::stores;

/// Names of the steps that load each service.
type Loaded = BTreeMap<ServiceKind, BTreeSet<String>>;

/// Tells them.
pub(super) fn find(workloads: &Workloads, lint: &mut Lint<'_>) {
    let loaded = loaded(workloads);
    for (at, slo) in lint.loaded.definitions.slos.iter().enumerate() {
        if let Some((key, message)) = unasked(slo, &loaded) {
            lint.warn(&format!("slos.{at}.{key}"), message);
        }
    }
}

/// The key that names what nothing asks, and what is asked instead.
fn unasked(slo: &Slo, loaded: &Loaded) -> Option<(&'static str, String)> {
    let (who, known) = match (&slo.store, slo.service) {
        (Some(store), _) => {
            let kind = StoreKind::ALL.into_iter().find(|kind| kind.name() == store)?;
            let steps = stores::steps_of(kind).iter().map(|step| (*step).to_owned());
            (store.clone(), steps.collect())
        }
        (None, Some(service)) => match loaded.get(&service) {
            Some(steps) => (service.to_string(), steps.clone()),
            None => {
                let message = format!("no workload asks {service}: this will not be decided");
                return Some(("service", message));
            }
        },
        (None, None) => ("any service".to_owned(), loaded.values().flatten().cloned().collect()),
    };
    let step = slo.step.as_ref()?;
    // Of a service the beginning of a name is enough, as in what is evaluated.
    let is_meant = |name: &String| match slo.store {
        Some(_) => name == step,
        None => name.starts_with(step.as_str()),
    };
    if known.iter().any(is_meant) {
        return None;
    }
    let known: Vec<String> = known.into_iter().collect();
    let known = known.join(", ");
    Some(("step", format!("no step of {who} is called `{step}`: expected one of {known}")))
}

fn loaded(workloads: &Workloads) -> Loaded {
    let mut loaded = Loaded::new();
    let both = [PhaseKind::Mixed, PhaseKind::Ramping].map(|kind| workloads.of(kind));
    for scenario in both.into_iter().flatten().flat_map(|workload| &workload.scenarios) {
        for counted in scenario.all_counted() {
            loaded.entry(scenario.service).or_default().insert(counted.step);
        }
    }
    loaded
}
