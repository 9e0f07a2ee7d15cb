//! Prometheus alerting rules: multiwindow, multi-burn-rate alerts for every ratio.

use serde_json::{Value, json};

use super::{expressible, queries, yaml};
use crate::config::{AlertSeverity, BurnAlert, Slo, SloDefinitions};

pub fn write(definitions: &SloDefinitions) -> String {
    let slos = definitions.slos.iter().filter(|slo| expressible(slo));
    let groups: Vec<Value> = slos
        .map(|slo| {
            let rules: Vec<Value> =
                definitions.burn_alerts.iter().map(|alert| rule(slo, alert, definitions)).collect();
            json!({ "name": format!("slo-{}", slo.id), "rules": rules })
        })
        .collect();
    yaml(&json!({ "groups": groups }))
}

fn rule(slo: &Slo, alert: &BurnAlert, definitions: &SloDefinitions) -> Value {
    let share = slo.allowed_bad().unwrap_or(0.0);
    let factor = alert.factor(slo.window);
    let over = |window: String| {
        let (bad, total) = queries(slo, &window);
        // To six digits: what remains is the noise of binary fractions.
        format!("({bad} / {total}) > {:.6}", factor * share)
    };
    let severity = match alert.severity {
        AlertSeverity::Page => "page",
        AlertSeverity::Ticket => "ticket",
    };
    json!({
        "alert": format!("SloBurn_{}", slo.id),
        "expr": format!("{} and {}", over(alert.long.to_string()), over(alert.short.to_string())),
        "labels": { "severity": severity, "slo": slo.id, "owner": definitions.metadata.owner },
        "annotations": {
            "summary": format!("{} burns its error budget {factor:.1} times too fast", slo.id),
            "description": format!(
                "{} % of the budget of {} would be gone within {}", alert.budget_percent,
                slo.window, alert.long
            ),
        },
    })
}
