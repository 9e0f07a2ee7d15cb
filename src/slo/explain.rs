//! What an objective means, in words and numbers.

use super::budget::allowed;
use super::confidence::needed;
use super::evaluation::asked;
use crate::config::{Slo, SloDefinitions, SloKind, TimeSpan};

/// Everything that can be said of an objective before anything is measured, in lines.
pub fn explain(slo: &Slo, definitions: &SloDefinitions) -> Vec<String> {
    let of = match (slo.kind, &slo.store, &slo.service, &slo.step) {
        (SloKind::DataLoss, ..) => "records acknowledged before the backup".into(),
        (_, Some(store), _, Some(step)) => format!("{step} queries of {store}"),
        (_, Some(store), ..) => format!("light queries of {store}"),
        (_, None, Some(service), Some(step)) => format!("{step} requests to {service}"),
        (_, None, Some(service), None) => format!("requests to {service}"),
        (_, None, None, _) => "all requests of the load phases".into(),
    };
    let mut lines = vec![
        format!("{}: {} {} over {}, of {of}", slo.id, kind(slo), asked(slo), slo.window),
        format!(
            "  {}",
            if slo.gate {
                "a run passes only when it is met"
            } else {
                "only a proven failure counts"
            }
        ),
    ];
    let percent = definitions.confidence * 100.0;
    if let Some(share) = slo.allowed_bad() {
        lines.push(format!("  bad requests allowed: {:.3} % of all", share * 100.0));
        if let Some(needed) = needed(share, definitions.confidence) {
            lines.push(format!(
                "  least samples that can prove it at {percent:.0} %: {needed}, none of them bad"
            ));
        }
    }
    match slo.kind {
        SloKind::Availability => lines.extend(budget(slo, definitions)),
        SloKind::Longest => {
            lines.push("  a single request that takes longer breaks it: no share is allowed".into());
        }
        SloKind::Throughput => lines.push(
            "  judged by the best stretch of that length; where less was offered, it decides nothing"
                .into(),
        ),
        SloKind::DataLoss => {
            lines.push("  a single record breaks it: no share is allowed, and no budget".into());
        }
        SloKind::ErrorRate | SloKind::Latency => {}
    }
    lines
}

fn kind(slo: &Slo) -> String {
    match slo.kind {
        SloKind::Availability => "availability".into(),
        SloKind::ErrorRate => "error rate".into(),
        SloKind::Latency => {
            format!("P{} of response time", slo.quantile.unwrap_or_default() * 100.0)
        }
        SloKind::Longest => "longest response time".into(),
        SloKind::Throughput => {
            let sustain = slo.sustain.map_or_else(String::new, |sustain| format!(" for {sustain}"));
            format!("good answers kept up{sustain}")
        }
        SloKind::DataLoss => "records lost in the backup drill".into(),
    }
}

fn budget(slo: &Slo, definitions: &SloDefinitions) -> Vec<String> {
    let windows = [slo.window, TimeSpan::secs(7 * 86_400), TimeSpan::secs(30 * 86_400)];
    let mut lines = Vec::new();
    let mut told = Vec::new();
    for window in windows {
        if let Some(allowed) = allowed(slo, window).filter(|_| !told.contains(&window)) {
            lines.push(format!(
                "  error budget over {window}: {:.1} min of full outage",
                allowed.as_secs_f64() / 60.0
            ));
            told.push(window);
        }
    }
    for alert in &definitions.burn_alerts {
        lines.push(format!(
            "  {:?}: burn above {:.2} over {} and over {} ({} % of the budget)",
            alert.severity,
            alert.factor(slo.window),
            alert.long,
            alert.short,
            alert.budget_percent
        ));
    }
    lines
}
