//! Pyrra `pyrra.dev/v1alpha1`: one object an objective; the target is a text there.

use serde_json::{Value, json};

use super::queries::{exactly, failures, in_time, requests, requests_timed};
use super::{dashed, target_percent, yaml};
use crate::config::{Slo, SloDefinitions, SloKind, TimeSpan};

pub fn write(slos: &[&Slo], definitions: &SloDefinitions) -> String {
    let documents = slos.iter().map(|slo| {
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
    let metric = |selector: String| json!({ "metric": selector });
    if slo.kind == SloKind::Latency {
        let success = metric(in_time(slo, &exactly(slo)));
        return json!({ "latency": { "success": success, "total": metric(requests_timed(slo)) } });
    }
    json!({ "ratio": { "errors": metric(failures(slo)), "total": metric(requests(slo)) } })
}
