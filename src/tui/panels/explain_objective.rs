//! How the numbers of one objective come about: formulas with what was put into them.

use crate::config::{BurnAlert, Slo, SloDefinitions, SloKind};
use crate::run::event::{Budget, BurnRate, ControlResult, Objective};
use crate::run::state::RunState;

/// Everything about an objective.
pub fn rows(objective: &Objective, state: &RunState) -> Vec<String> {
    let promises = state.promises.as_deref();
    let slo = promises.and_then(|of| of.slos.iter().find(|slo| slo.id == objective.id));
    let mut rows = Vec::new();
    let mut say = |text: String| rows.push(text);
    say(objective.method.clone());
    if let (Some(slo), Some(promises)) = (slo, promises) {
        share(objective, slo, promises).into_iter().for_each(&mut say);
    }
    for more in [&objective.bound, &objective.reason] {
        if !more.is_empty() {
            say(more.clone());
        }
    }
    if let (Some(budget), Some(slo), Some(promises)) = (&objective.budget, slo, promises) {
        let measured_us: u64 =
            state.phases.iter().filter_map(|p| p.load.as_ref()).map(|l| l.measured_us).sum();
        of_budget(objective, budget, slo, promises, measured_us).into_iter().for_each(&mut say);
    }
    if let Some(whole) = &objective.whole_window {
        let percent =
            |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.2} %"));
        say(format!("over {} by Prometheus: {}: {}", whole.window, whole.verdict, whole.reason));
        say(format!(
            "  scraped: samples of `up` / (window / scrape interval) = {}; budget left = 1 - bad share / \
             allowed share = {}",
            percent(whole.coverage_percent),
            percent(whole.budget_left_percent)
        ));
    }
    rows
}

/// Every control with what shows that it is met, or what is missing.
pub fn controls(state: &RunState) -> Vec<String> {
    let row = |control: &ControlResult| {
        let ControlResult { control, subject, status, evidence, .. } = control;
        format!("{control} of {subject}: {status}: {evidence}")
    };
    state.controls.iter().map(row).collect()
}

/// The share and what it is held against.
fn share(objective: &Objective, slo: &Slo, promises: &SloDefinitions) -> Vec<String> {
    let Objective { n, bad, .. } = objective;
    let Some(allowed) = slo.allowed_bad().filter(|_| *n > 0) else { return Vec::new() };
    let seen = *bad as f64 / *n as f64;
    let asked = match slo.kind {
        SloKind::Latency => format!("1 - {}", slo.quantile.unwrap_or_default()),
        SloKind::ErrorRate => format!("{} %", slo.below_percent.unwrap_or_default()),
        _ => format!("1 - {} %", slo.objective_percent.unwrap_or_default()),
    };
    let doubt = 1.0 - promises.confidence;
    vec![
        format!("bad share = bad / n = {bad} / {n} = {:.4} %", seen * 100.0),
        format!("allowed share = {asked} = {:.4} %", allowed * 100.0),
        format!(
            "bounds (Clopper-Pearson): lower p with P(X >= bad | n, p) = {doubt:.2}, upper p with \
             P(X <= bad | n, p) = {doubt:.2}; pass: upper <= allowed, fail: lower > allowed"
        ),
    ]
}

fn of_budget(
    objective: &Objective,
    budget: &Budget,
    slo: &Slo,
    promises: &SloDefinitions,
    measured_us: u64,
) -> Vec<String> {
    let allowed = slo.allowed_bad().unwrap_or_default();
    let window = slo.window.get().as_secs_f64();
    let minutes = measured_us as f64 / 60e6;
    let mut rows = vec![
        format!(
            "budget = allowed share x window = {:.3} % x {} = {:.1} min",
            allowed * 100.0,
            slo.window,
            budget.allowed_seconds / 60.0
        ),
        format!(
            "burn rate = bad share / allowed share = ({} / {}) / {:.3} % = {:.3}",
            objective.bad,
            objective.n,
            allowed * 100.0,
            budget.burn_rate
        ),
        format!(
            "cost of this run's load = burn rate x measured time / window = {:.3} x {minutes:.1} min / {:.0} \
             min = {:.4} %",
            budget.burn_rate,
            window / 60.0,
            budget.run_cost_percent
        ),
    ];
    if let Some(cost) = budget.chaos_cost_percent {
        rows.push(format!(
            "cost of its chaos = time down by the probes / budget = {cost:.4} % (probes at a fixed rate; of \
             all services the mean)"
        ));
    }
    if let Some(cost) = budget.rest_cost_percent {
        rows.push(format!(
            "cost of the rest = time not well by the health checks, outside of load and chaos / budget = \
             {cost:.4} % (a failed check stands for the time since the one before; of all services the mean)"
        ));
    }
    if let Some(seconds) = budget.exhausted_after_seconds {
        rows.push(format!(
            "a full budget lasts window / burn rate = {} / {:.3} = {:.1} d",
            slo.window,
            budget.burn_rate,
            seconds / 86_400.0
        ));
    }
    rows.extend(of_burn_alerts(budget, slo, promises));
    rows
}

fn of_burn_alerts(budget: &Budget, slo: &Slo, promises: &SloDefinitions) -> Vec<String> {
    let rate = |burn: Option<f64>| {
        burn.map_or_else(|| "less than half measured".into(), |burn| format!("{burn:.2}"))
    };
    let alerts = promises.burn_alerts.iter().zip(&budget.alerts);
    let row = |(alert, seen): (&BurnAlert, &BurnRate)| {
        format!(
            "burn alert: {} % of the budget in {}: factor = {} % x {} / {} = {:.2}; fires when both {} \
             ({}) and {} ({}) are above it",
            alert.budget_percent,
            alert.long,
            alert.budget_percent,
            slo.window,
            alert.long,
            seen.factor,
            alert.long,
            rate(seen.long_burn),
            alert.short,
            rate(seen.short_burn)
        )
    };
    alerts.map(row).collect()
}
