//! Prometheus alerting rules: multiwindow, multi-burn-rate alerts for a ratio whose window is longer than
//! theirs, and for any other that it is not met over its own window.

use serde_json::{Value, json};

use super::queries::bad_and_all;
use super::yaml;
use crate::config::{AlertSeverity, BurnAlert, Slo, SloDefinitions, TimeSpan};

pub fn write(slos: &[&Slo], definitions: &SloDefinitions) -> String {
    let groups: Vec<Value> = slos
        .iter()
        .map(|slo| json!({ "name": format!("slo-{}", slo.id), "rules": rules(slo, definitions) }))
        .collect();
    yaml(&json!({ "groups": groups }))
}

fn rules(slo: &Slo, definitions: &SloDefinitions) -> Vec<Value> {
    // A budget of an hour is gone before a rate over an hour says so.
    let burns = definitions.burn_alerts.iter().filter(|alert| alert.long < slo.window);
    // More than everything cannot fail.
    let share = slo.allowed_bad().unwrap_or(0.0);
    let burns = burns.filter(|alert| alert.factor(slo.window) * share < 1.0);
    let rules: Vec<Value> = burns.map(|alert| burn(slo, alert, definitions)).collect();
    if rules.is_empty() { vec![missed(slo, definitions)] } else { rules }
}

/// The share of bad events over a window is above a limit.
fn above(slo: &Slo, window: TimeSpan, limit: f64) -> String {
    let (bad, total) = bad_and_all(slo, &window.to_string());
    // To six digits: what remains is the noise of binary fractions.
    format!("({bad} / {total}) > {limit:.6}")
}

fn missed(slo: &Slo, definitions: &SloDefinitions) -> Value {
    json!({
        "alert": format!("SloMissed_{}", slo.id),
        "expr": above(slo, slo.window, slo.allowed_bad().unwrap_or(0.0)),
        "labels": { "severity": "ticket", "slo": slo.id, "owner": definitions.metadata.owner },
        "annotations": { "summary": format!("{} is not met over {}", slo.id, slo.window) },
    })
}

fn burn(slo: &Slo, alert: &BurnAlert, definitions: &SloDefinitions) -> Value {
    let factor = alert.factor(slo.window);
    let over = |window| above(slo, window, factor * slo.allowed_bad().unwrap_or(0.0));
    let severity = match alert.severity {
        AlertSeverity::Page => "page",
        AlertSeverity::Ticket => "ticket",
    };
    json!({
        "alert": format!("SloBurn_{}", slo.id),
        "expr": format!("{} and {}", over(alert.long), over(alert.short)),
        // The window tells rules of one severity apart, which would else be one alert.
        "labels": {
            "severity": severity, "slo": slo.id, "owner": definitions.metadata.owner,
            "window": alert.long.to_string(),
        },
        "annotations": {
            "summary": format!("{} burns its error budget {factor:.1} times too fast", slo.id),
            "description": format!(
                "{} % of the budget of {} would be gone within {}", alert.budget_percent,
                slo.window, alert.long
            ),
        },
    })
}
