//! Objectives, their error budgets and the controls, in the JSON report and in the HTML report.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::html::escape;
use super::meter;
use crate::run::event::{Budget, BurnRate, ControlResult, Objective, WholeWindow};

/// One objective.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveRow {
    /// Stable id.
    pub id: String,
    /// What is asked for.
    pub objective: String,
    /// What was measured.
    pub measured: String,
    /// Samples.
    pub n: u64,
    /// Samples that count against it.
    pub bad: u64,
    /// Share of them, 0-1; null without samples.
    pub bad_ratio: Option<f64>,
    /// pass, fail, inconclusive or skipped.
    pub verdict: String,
    /// Why it is neither pass nor fail.
    pub reason: String,
    /// The bounds behind the verdict.
    pub bound: String,
    /// How it was computed.
    pub method: String,
    /// Whether a run can only pass when it is met.
    pub gate: bool,
    /// Its error budget, for an availability.
    pub budget: Option<BudgetRow>,
    /// What the platform's own Prometheus says about its whole window, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_window: Option<WholeWindow>,
}

/// An error budget as the run leaves it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BudgetRow {
    /// How long everything may be down in the window, seconds.
    pub allowed_seconds: f64,
    /// Share of bad requests over the allowed share.
    pub burn_rate: f64,
    /// What the load phases of the run cost of the budget, in percent.
    pub run_cost_percent: f64,
    /// What the faults of the chaos phase cost besides, in percent; null without that phase.
    #[serde(default)]
    pub chaos_cost_percent: Option<f64>,
    /// What all other phases and the time between them cost besides, by the health checks, in percent;
    /// null where nothing was asked.
    #[serde(default)]
    pub rest_cost_percent: Option<f64>,
    /// How long a full budget lasts at this rate, seconds; null while nothing burns.
    pub exhausted_after_seconds: Option<f64>,
    /// The burn alerts.
    pub alerts: Vec<AlertRow>,
}

/// A burn alert on what the run measured.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AlertRow {
    /// page or ticket.
    pub severity: String,
    /// Its windows, long and short.
    pub windows: [String; 2],
    /// The rate above which it fires.
    pub factor: f64,
    /// The rates over both windows; null where less than half was measured.
    pub burn: [Option<f64>; 2],
    /// Whether it fires.
    pub fires: bool,
    /// Whether what was measured says that it does not; neither of both where too little was.
    #[serde(default)]
    pub quiet: bool,
}

/// An objective as the report has it.
pub fn row(objective: &Objective) -> ObjectiveRow {
    ObjectiveRow {
        id: objective.id.clone(),
        objective: objective.objective.clone(),
        measured: objective.measured.clone(),
        n: objective.n,
        bad: objective.bad,
        bad_ratio: (objective.n > 0).then(|| objective.bad as f64 / objective.n as f64),
        verdict: objective.verdict.word().to_owned(),
        reason: objective.reason.clone(),
        bound: objective.bound.clone(),
        method: objective.method.clone(),
        gate: objective.gate,
        budget: objective.budget.as_ref().map(budget_row),
        whole_window: objective.whole_window.clone(),
    }
}

impl ObjectiveRow {
    /// Why it is not decided, where it is not, and the bounds on what was measured.
    pub fn reason_and_bound(&self) -> String {
        let said = [self.reason.as_str(), self.bound.as_str()];
        said.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

fn alert_row(alert: &BurnRate) -> AlertRow {
    AlertRow {
        severity: if alert.page { "page" } else { "ticket" }.to_owned(),
        windows: [alert.long.clone(), alert.short.clone()],
        factor: alert.factor,
        burn: [alert.long_burn, alert.short_burn],
        fires: alert.fires,
        quiet: alert.is_quiet(),
    }
}

fn budget_row(budget: &Budget) -> BudgetRow {
    BudgetRow {
        allowed_seconds: budget.allowed_seconds,
        burn_rate: budget.burn_rate,
        run_cost_percent: budget.run_cost_percent,
        chaos_cost_percent: budget.chaos_cost_percent,
        rest_cost_percent: budget.rest_cost_percent,
        exhausted_after_seconds: budget.exhausted_after_seconds,
        alerts: budget.alerts.iter().map(alert_row).collect(),
    }
}

/// The objectives for the HTML report, a row each.
pub fn write_html(html: &mut String, rows: &[ObjectiveRow]) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    html.write_str(
        "<section><h2 id=objectives>Objectives</h2><table><thead><tr><th>objective<th class=n>asked\
         <th class=n>measured<th class=n>samples<th class=n>bad<th>verdict<th>reason and bounds</tr>\
         </thead><tbody>",
    )?;
    for row in rows {
        let gate = if row.gate { " <small>gate</small>" } else { "" };
        write!(
            html,
            "<tr><td>{}{gate}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}\
             <td class=\"v {v}\">{v}<td><small>{}</small></tr>",
            escape(&row.id),
            escape(&row.objective),
            escape(&row.measured),
            row.n,
            row.bad,
            escape(&row.reason_and_bound()),
            v = escape(&row.verdict),
        )?;
    }
    html.write_str("</tbody></table>")?;
    write_methods(html, rows)?;
    html.write_str("</section>")?;
    write_budgets(html, rows)
}

/// How each was judged: a number without its method is none.
fn write_methods(html: &mut String, rows: &[ObjectiveRow]) -> std::fmt::Result {
    let judged: Vec<_> = rows.iter().filter(|row| !row.method.is_empty()).collect();
    if judged.is_empty() {
        return Ok(());
    }
    html.write_str("<details><summary>How each was judged</summary><table><tbody>")?;
    for row in judged {
        let (id, method) = (escape(&row.id), escape(&row.method));
        write!(html, "<tr><td>{id}<td><small>{method}</small></tr>")?;
    }
    html.write_str("</tbody></table></details>")
}

fn write_budgets(html: &mut String, rows: &[ObjectiveRow]) -> std::fmt::Result {
    if rows.iter().all(|row| row.budget.is_none() && row.whole_window.is_none()) {
        return Ok(());
    }
    html.write_str(
        "<section><h2 id=budgets>Error budgets</h2><table><thead><tr><th>objective<th class=n>allowed\
         <th>what this run cost of it<th class=n>load<th class=n>chaos<th class=n>rest\
         <th class=n>burn rate<th class=n>a full one lasts<th>burn alerts</tr></thead><tbody>",
    )?;
    for row in rows {
        if let Some(budget) = &row.budget {
            write_budget(html, &row.id, budget)?;
        }
    }
    html.write_str("</tbody></table>")?;
    for row in rows {
        if let Some(whole) = &row.whole_window {
            write_whole(html, &row.id, whole)?;
        }
    }
    html.write_str("</section>")
}

fn write_budget(html: &mut String, id: &str, budget: &BudgetRow) -> std::fmt::Result {
    let (chaos, rest) = (budget.chaos_cost_percent, budget.rest_cost_percent);
    let cost = budget.run_cost_percent + chaos.unwrap_or_default() + rest.unwrap_or_default();
    let percent =
        |cost: Option<f64>| cost.map_or_else(|| "-".into(), |cost| format!("{cost:.3} %"));
    let lasts = budget.exhausted_after_seconds.map_or_else(|| "nothing burns".into(), span);
    write!(
        html,
        "<tr><td>{}<td class=n>{}<td>{}<td class=n>{:.3} %<td class=n>{}<td class=n>{}<td class=n>{:.2}x\
         <td class=n>{lasts}<td>{}</tr>",
        escape(id),
        span(budget.allowed_seconds),
        meter::share(cost, if cost > 100.0 { "bad" } else { "warn" }),
        budget.run_cost_percent,
        percent(chaos),
        percent(rest),
        budget.burn_rate,
        burn_alerts(&budget.alerts)
    )
}

/// Those that fire, else whether none does.
fn burn_alerts(alerts: &[AlertRow]) -> String {
    let firing: Vec<String> = alerts.iter().filter(|alert| alert.fires).map(words).collect();
    let open = alerts.iter().filter(|alert| !alert.fires && !alert.quiet).count();
    if !firing.is_empty() {
        format!("<span class=\"v fail\">{}</span>", escape(&firing.join("; ")))
    } else if open > 0 {
        let all = alerts.len();
        format!("<span class=v>{open} of {all} not decided</span> <small>too short a run</small>")
    } else {
        "<span class=\"v pass\">none fires</span>".into()
    }
}

fn words(alert: &AlertRow) -> String {
    let [long, short] = &alert.windows;
    format!("{} above {:.1}x over {long} and {short}", alert.severity, alert.factor)
}

fn write_whole(html: &mut String, id: &str, whole: &WholeWindow) -> std::fmt::Result {
    write!(
        html,
        "<h3>{} over {}, by Prometheus <span class=\"v {v}\">{v}</span></h3><p>{}; {} of the window \
         scraped",
        escape(id),
        escape(&whole.window),
        escape(&whole.reason),
        whole.coverage_percent.map_or_else(|| "nothing".into(), |share| format!("{share:.1} %")),
        v = whole.verdict
    )?;
    if let Some(left) = whole.budget_left_percent {
        write!(html, "; {left:.1} % of the budget left")?;
    }
    if let Some(burn) = whole.burn_rate {
        write!(html, "; burning {burn:.2} times as fast as it may over the last hour")?;
    }
    if let Some(seconds) = whole.exhausted_after_seconds {
        write!(html, "; gone in {}", span(seconds))?;
    }
    html.write_str(".</p>")?;
    if let Some(left) = whole.budget_left_percent {
        html.write_str(&meter::share(left, if left < 10.0 { "bad" } else { "ok" }))?;
    }
    Ok(())
}

/// The controls for the HTML report.
pub fn write_controls(html: &mut String, controls: &[ControlResult]) -> std::fmt::Result {
    if controls.is_empty() {
        return Ok(());
    }
    html.write_str(
        "<section><h2 id=controls>Compliance controls</h2><p><small>By evidence; no part of the \
         verdict.</small></p><table><thead><tr><th>control<th>of<th>status<th>evidence</tr></thead>\
         <tbody>",
    )?;
    for row in controls {
        let required = if row.required { "" } else { " <small>not required</small>" };
        write!(
            html,
            "<tr><td>{}{required}<td>{}<td class=\"v {v}\">{v}<td><small>{}</small></tr>",
            row.control.name().replace('_', " "),
            escape(&row.subject),
            escape(&row.evidence),
            v = row.status
        )?;
    }
    html.write_str("</tbody></table></section>")
}

/// A length of time in its largest fitting unit.
fn span(seconds: f64) -> String {
    match seconds {
        s if s >= 86_400.0 * 2.0 => format!("{:.1} d", s / 86_400.0),
        s if s >= 3600.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 60.0 => format!("{:.1} min", s / 60.0),
        s => format!("{s:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_whose_windows_were_not_measured_is_not_said_to_be_quiet() {
        let alert = |long_burn, short_burn, fires| BurnRate {
            page: true,
            long: "1h".into(),
            short: "5m".into(),
            factor: 14.4,
            long_burn,
            short_burn,
            fires,
        };
        for (long, short, fires, said) in [
            (None, None, false, "1 of 1 not decided"),
            (None, Some(20.0), false, "1 of 1 not decided"),
            (None, Some(1.0), false, "none fires"),
            (Some(20.0), Some(20.0), false, "none fires"),
            (Some(20.0), Some(20.0), true, "page above 14.4x over 1h and 5m"),
        ] {
            let row = alert_row(&alert(long, short, fires));
            assert!(burn_alerts(&[row]).contains(said), "{long:?} {short:?} {fires}: {said}");
        }
    }

    #[test]
    fn a_page_says_how_each_objective_was_judged_and_is_quiet_about_none() {
        let page = |rows: &[ObjectiveRow]| {
            let mut html = String::new();
            write_html(&mut html, rows).expect("written");
            html
        };
        assert_eq!(page(&[]), "");
        let row = ObjectiveRow {
            id: "p99".into(),
            objective: "< 2000 ms".into(),
            measured: "12 ms".into(),
            n: 251,
            bad: 0,
            bad_ratio: Some(0.0),
            verdict: "inconclusive".into(),
            reason: "299 decide".into(),
            bound: "0.000 to 1.186 % bad".into(),
            method: "exact <binomial> bounds".into(),
            gate: true,
            budget: None,
            whole_window: None,
        };
        let html = page(&[row]);
        for part in ["299 decide; 0.000 to 1.186 % bad", "<small>exact &lt;binomial&gt; bounds"] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }
}
