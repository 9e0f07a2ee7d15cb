//! The metrics of the objectives: verdicts, and what became of their error budgets.

use std::collections::BTreeMap;

use super::exposition::verdict;
use super::page::{Kind, Page, labels};
use crate::run::event::{Budget, Objective, Verdict, WholeWindow};
use crate::run::state::RunState;

/// Their families on the page.
pub(super) fn render(page: &mut Page, state: &RunState) {
    let all = || state.objectives.iter();
    let verdicts = all()
        .filter(|o| o.verdict != Verdict::Skipped)
        .map(|objective| (of(objective), verdict(objective.verdict)));
    let help = "Verdict of an objective: 1 pass, 0 fail, -1 not decided.";
    page.family("shakedown_slo_verdict", Kind::Gauge, help, verdicts);
    let bad = all().filter(|o| o.n > 0).map(|o| (of(o), o.bad as f64 / o.n as f64));
    let help = "Share of requests that count against an objective.";
    page.family("shakedown_slo_bad_ratio", Kind::Gauge, help, bad);
    let samples = all().map(|o| (of(o), o.n as f64));
    page.family("shakedown_slo_samples", Kind::Gauge, "Requests behind an objective.", samples);
    let budgets: Vec<_> = all().filter_map(|o| Some((o, o.budget.as_ref()?))).collect();
    budgets_of_the_run(page, &budgets);
    burn_alerts(page, &budgets);
    let whole: Vec<_> = all().filter_map(|o| Some((o, o.whole_window.as_ref()?))).collect();
    whole_windows(page, &whole);
}

fn of(objective: &Objective) -> Vec<(String, String)> {
    labels(&[("slo", &objective.id)])
}

fn budgets_of_the_run(page: &mut Page, budgets: &[(&Objective, &Budget)]) {
    page.family(
        "shakedown_slo_run_burn_rate",
        Kind::Gauge,
        "How many times too fast this run burns the budget.",
        budgets.iter().map(|(o, budget)| (of(o), budget.burn_rate)),
    );
    page.family(
        "shakedown_slo_run_cost_ratio",
        Kind::Gauge,
        "Share of the window's budget that this run cost, by load, by chaos and by the rest.",
        budgets.iter().flat_map(|(o, budget)| {
            let by = |what: &str, percent: f64| {
                (labels(&[("slo", &o.id), ("by", what)]), percent / 100.0)
            };
            [
                Some(by("load", budget.run_cost_percent)),
                budget.chaos_cost_percent.map(|p| by("chaos", p)),
                budget.rest_cost_percent.map(|p| by("rest", p)),
            ]
            .into_iter()
            .flatten()
        }),
    );
}

fn burn_alerts(page: &mut Page, budgets: &[(&Objective, &Budget)]) {
    let alerts =
        || budgets.iter().flat_map(|(o, budget)| budget.alerts.iter().map(move |alert| (o, alert)));
    let burns = alerts().flat_map(|(o, alert)| {
        [(&alert.long, alert.long_burn), (&alert.short, alert.short_burn)].into_iter().filter_map(
            |(window, burn)| Some((labels(&[("slo", &o.id), ("window", window)]), burn?)),
        )
    });
    // Two alerts may share a window.
    let burns: BTreeMap<_, _> = burns.collect();
    let help = "Burn rate over a window of this run.";
    page.family("shakedown_slo_burn_rate", Kind::Gauge, help, burns);
    let fires = alerts().map(|(o, alert)| {
        let severity = if alert.page { "page" } else { "ticket" };
        let of = [("slo", o.id.as_str()), ("severity", severity), ("long", &alert.long)];
        (labels(&of), f64::from(u8::from(alert.fires)))
    });
    page.family("shakedown_slo_burn_alert", Kind::Gauge, "1 while a burn alert fires.", fires);
}

fn whole_windows(page: &mut Page, whole: &[(&Objective, &WholeWindow)]) {
    page.family(
        "shakedown_slo_budget_remaining_ratio",
        Kind::Gauge,
        "What is left of the budget of the whole window, by the platform's own monitoring.",
        whole.iter().filter_map(|(o, w)| Some((of(o), w.budget_left_percent? / 100.0))),
    );
    page.family(
        "shakedown_slo_budget_exhausted_after_seconds",
        Kind::Gauge,
        "When the budget is gone at the rate of the last hour.",
        whole.iter().filter_map(|(o, w)| Some((of(o), w.exhausted_after_seconds?))),
    );
    page.family(
        "shakedown_slo_window_coverage_ratio",
        Kind::Gauge,
        "Share of the whole window that was scraped.",
        whole.iter().filter_map(|(o, w)| Some((of(o), w.coverage_percent? / 100.0))),
    );
}
