//! What is worth telling, read off the state of a run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::escalation::Observed;
use crate::config::{AlertSeverity, NotifyRules};
use crate::run::event::{NotifyAction, Objective, Verdict};
use crate::run::state::RunState;

/// While a run goes on, fewer requests than these wake nobody.
const LEAST_SAMPLES: u64 = 20;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for the same thing in every run, so that a later run can end it.
    pub key: String,
    /// How loud.
    pub severity: AlertSeverity,
    /// One line.
    pub summary: String,
    /// What it is about, such as the id of an objective.
    pub component: String,
    /// Name of the target.
    pub target: String,
    /// Its environment.
    pub environment: String,
    /// The run that saw it last.
    pub run: String,
    /// Figures, by name.
    pub details: BTreeMap<String, String>,
    /// Where the report can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_url: Option<String>,
}

/// What a channel is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// About what.
    pub alert: Alert,
    /// That it is wrong, or over.
    pub action: NotifyAction,
    /// The level that it has reached.
    pub level: u32,
    /// Since when it has been wrong.
    pub since: Timestamp,
    /// When this was written.
    pub at: Timestamp,
}

impl Message {
    /// One line that stands for all of it.
    pub fn headline(&self) -> String {
        match self.action {
            NotifyAction::Trigger => self.alert.summary.clone(),
            NotifyAction::Resolve => format!("over: {}", self.alert.summary),
        }
    }
}

/// A key: what is told about it is told under this name in every run.
fn key(state: &RunState, what: &str) -> String {
    let target = state.identity.as_ref().map_or("", |identity| identity.target.as_str());
    format!("shakedown/{target}/{what}")
}

/// Everything that can be said now, by key.
pub fn observe(state: &RunState, rules: &NotifyRules) -> Vec<(String, Observed)> {
    let mut all: Vec<(String, Observed)> = state
        .objectives
        .iter()
        .map(|objective| {
            let key = key(state, &format!("slo/{}", objective.id));
            let observed = of_objective(objective, &key, state, rules);
            (key, observed)
        })
        .collect();
    for (what, observed) in [("residue", residue(state)), ("run", run(state))] {
        let key = key(state, what);
        let observed = match observed {
            Found::Wrong(severity, summary) => {
                Observed::Firing(alert(&key, severity, summary, what, state, rules))
            }
            Found::Well => Observed::Clear,
            Found::Unknown => Observed::Unknown,
        };
        all.push((key, observed));
    }
    all
}

enum Found {
    Wrong(AlertSeverity, String),
    Well,
    Unknown,
}

fn of_objective(
    objective: &Objective,
    key: &str,
    state: &RunState,
    rules: &NotifyRules,
) -> Observed {
    let burning = objective.budget.iter().flat_map(|budget| &budget.alerts);
    let firing: Vec<_> = burning.filter(|alert| alert.fires).collect();
    let failed = objective.verdict == Verdict::Fail;
    // A first request that is slow proves something, and is nothing to wake somebody for.
    if failed && firing.is_empty() && objective.n < LEAST_SAMPLES && state.verdict.is_none() {
        return Observed::Unknown;
    }
    if firing.is_empty() && !failed {
        // What is not decided neither begins nor ends an alert.
        return match objective.verdict {
            Verdict::Pass => Observed::Clear,
            _ => Observed::Unknown,
        };
    }
    let pages = firing.iter().any(|alert| alert.page) || (failed && objective.gate);
    let severity = if pages { AlertSeverity::Page } else { AlertSeverity::Ticket };
    let Objective { id, measured, objective: asked, n, .. } = objective;
    let summary = match firing.first() {
        Some(burn) => format!(
            "{id} burns its budget {:.1} times too fast (limit {:.1} over {} and {})",
            burn.long_burn.unwrap_or_default(),
            burn.factor,
            burn.long,
            burn.short
        ),
        None => format!("{id} is not met: {measured}, asked {asked}, n {n}"),
    };
    let mut alert = alert(key, severity, summary, id, state, rules);
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            alert.details.insert(name.into(), value.into());
        }
    };
    add("objective", asked);
    add("measured", measured);
    add("samples", &n.to_string());
    add("bound", &objective.bound);
    if let Some(budget) = &objective.budget {
        add("burn_rate", &format!("{:.2}", budget.burn_rate));
    }
    Observed::Firing(alert)
}

/// What a run broke or wrote and could not put back.
fn residue(state: &RunState) -> Found {
    let chaos = state.phases.iter().filter_map(|phase| phase.chaos.as_ref());
    let faults = chaos.flat_map(|chaos| &chaos.results).flat_map(|result| result.residue.clone());
    let stores = state.stores.made.iter().filter(|(_, _, why)| why.is_some());
    let stores = stores.map(|(kind, name, _)| format!("{kind} {name}"));
    let cleanups = state.phases.iter().filter_map(|phase| phase.load.as_ref()?.cleanup.as_ref());
    let documents: u64 = cleanups.map(|cleanup| cleanup.remaining_count).sum();
    let mut left: Vec<String> = faults.chain(stores).collect();
    if documents > 0 {
        left.push(format!("{documents} documents"));
    }
    if left.is_empty() {
        return if state.verdict.is_some() { Found::Well } else { Found::Unknown };
    }
    let left = left.join(", ");
    Found::Wrong(AlertSeverity::Page, format!("the run left something behind: {left}"))
}

fn run(state: &RunState) -> Found {
    match &state.verdict {
        // A search is no judgement of the platform, neither for the worse nor for the better.
        _ if state.is_search() => Found::Unknown,
        Some(verdict) if verdict.verdict == Verdict::Fail => {
            let reasons = verdict.reasons.join("; ");
            Found::Wrong(AlertSeverity::Ticket, format!("verdict {verdict}: {reasons}"))
        }
        Some(verdict) if verdict.verdict == Verdict::Pass => Found::Well,
        _ => Found::Unknown,
    }
}

fn alert(
    key: &str,
    severity: AlertSeverity,
    summary: String,
    component: &str,
    state: &RunState,
    rules: &NotifyRules,
) -> Alert {
    let identity = state.identity.as_ref();
    let of = |read: &dyn Fn(&crate::run::event::RunIdentity) -> String| {
        identity.map(read).unwrap_or_default()
    };
    Alert {
        key: key.to_owned(),
        severity,
        summary,
        component: component.to_owned(),
        target: of(&|identity| identity.target.clone()),
        environment: of(&|identity| identity.environment.name().to_owned()),
        run: of(&|identity| identity.id.clone()),
        details: BTreeMap::new(),
        report_url: rules.report_of(&of(&|identity| identity.id.clone())),
    }
}

impl Alert {
    /// An alert for a test of the channels: it says that nothing is wrong.
    pub fn rehearsal(target: &str, environment: &str) -> Self {
        Self {
            key: format!("shakedown/{target}/test"),
            severity: AlertSeverity::Ticket,
            summary: "this is a test of shakedown's alerts: nothing is wrong".into(),
            component: "test".into(),
            target: target.into(),
            environment: environment.into(),
            run: "none".into(),
            details: [("measured".to_owned(), "nothing".to_owned())].into(),
            report_url: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::{Budget, BurnRate};

    fn state(verdict: Verdict, fires: bool) -> RunState {
        let burn = BurnRate {
            page: true,
            long: "1h".into(),
            short: "5m".into(),
            factor: 14.4,
            long_burn: Some(20.0),
            short_burn: Some(20.0),
            fires,
        };
        let objective = Objective {
            id: "availability".into(),
            objective: "≥ 99.5 %".into(),
            measured: "98.00 %".into(),
            n: 1000,
            bad: 20,
            verdict,
            reason: String::new(),
            bound: "1.3 to 2.9 % bad".into(),
            method: String::new(),
            gate: false,
            budget: Some(Budget {
                allowed_seconds: 1.0,
                burn_rate: 4.0,
                run_cost_percent: 0.0,
                chaos_cost_percent: None,
                rest_cost_percent: None,
                exhausted_after_seconds: None,
                alerts: vec![burn],
            }),
            whole_window: None,
        };
        RunState { objectives: vec![objective], ..RunState::default() }
    }

    fn observed(state: &RunState) -> Observed {
        observe(state, &NotifyRules::default()).remove(0).1
    }

    #[test]
    fn what_is_not_decided_neither_begins_nor_ends_an_alert() {
        assert!(matches!(observed(&state(Verdict::Inconclusive, false)), Observed::Unknown));
        assert!(matches!(observed(&state(Verdict::Skipped, false)), Observed::Unknown));
        assert!(matches!(observed(&state(Verdict::Pass, false)), Observed::Clear));
    }

    #[test]
    fn a_burning_budget_pages_and_a_missed_objective_that_is_no_gate_does_not() {
        let Observed::Firing(burning) = observed(&state(Verdict::Pass, true)) else {
            panic!("quiet")
        };
        assert_eq!(burning.severity, AlertSeverity::Page);
        assert!(burning.summary.contains("20.0 times too fast"), "{}", burning.summary);
        let Observed::Firing(missed) = observed(&state(Verdict::Fail, false)) else {
            panic!("quiet")
        };
        assert_eq!(missed.severity, AlertSeverity::Ticket);
        assert_eq!(missed.details["samples"], "1000");
    }
}
