//! Pyrra `pyrra.dev/v1alpha1`: one object an objective; the target is a text there.

use serde_json::{Value, json};

use super::{dashed, expressible, selector, target_percent, yaml};
use crate::config::{Slo, SloDefinitions, SloKind, TimeSpan};

pub fn write(definitions: &SloDefinitions) -> String {
    let slos = definitions.slos.iter().filter(|slo| expressible(slo));
    let documents = slos.map(|slo| {
        yaml(&json!({
            "apiVersion": "pyrra.dev/v1alpha1", "kind": "ServiceLevelObjective",
            "metadata": { "name": dashed(&slo.id), "labels": { "pyrra.dev/owner": definitions.metadata.owner } },
            "spec": {
                "target": target_percent(slo).to_string(),
                "window": window(slo),
                "indicator": indicator(slo),
            },
        }))
    });
    documents.collect::<Vec<_>>().join("---\n")
}

/// Pyrra's alerts look at parts of the window: from one of hours nothing would be left of them.
fn window(slo: &Slo) -> String {
    if slo.window < TimeSpan::secs(86_400) { "4w".into() } else { slo.window.to_string() }
}

fn indicator(slo: &Slo) -> Value {
    let metric =
        |name: &str, more: &str| json!({ "metric": format!("{name}{{{}}}", selector(slo, more)) });
    match slo.kind {
        SloKind::Latency => {
            let limit = slo.below.map_or(0.0, |below| below.get().as_secs_f64());
            json!({ "latency": {
                "success": metric("http_request_duration_seconds_bucket", &format!("le=\"{limit}\"")),
                "total": metric("http_request_duration_seconds_count", ""),
            } })
        }
        kind => {
            let codes = if kind == SloKind::ErrorRate { "[45].." } else { "5.." };
            json!({ "ratio": {
                "errors": metric("http_requests_total", &format!("code=~\"{codes}\"")),
                "total": metric("http_requests_total", ""),
            } })
        }
    }
}
