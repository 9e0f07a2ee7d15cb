//! OpenSLO v1: one document an objective. A target of 100 % cannot be said there.

use serde_json::json;

use super::queries::bad_and_all;
use super::{dashed, target_percent, yaml};
use crate::config::{Slo, SloDefinitions};

pub fn write(slos: &[&Slo], definitions: &SloDefinitions) -> String {
    let service = json!({
        "apiVersion": "openslo/v1", "kind": "Service",
        "metadata": { "name": definitions.metadata.platform },
        "spec": { "description": format!("owned by {}", definitions.metadata.owner) },
    });
    let documents = slos.iter().map(|slo| document(slo, definitions));
    std::iter::once(yaml(&service)).chain(documents).collect::<Vec<_>>().join("---\n")
}

fn document(slo: &Slo, definitions: &SloDefinitions) -> String {
    let (bad, total) = bad_and_all(slo, &slo.window.to_string());
    let metric = |query: &str| json!({ "metricSource": { "type": "Prometheus", "spec": { "query": query } } });
    yaml(&json!({
        "apiVersion": "openslo/v1", "kind": "SLO",
        "metadata": { "name": dashed(&slo.id) },
        "spec": {
            "service": definitions.metadata.platform,
            "indicator": {
                "metadata": { "name": dashed(&slo.id) },
                "spec": { "ratioMetric": { "counter": false, "bad": metric(&bad), "total": metric(&total) } },
            },
            "timeWindow": [{ "duration": slo.window.to_string(), "isRolling": true }],
            "budgetingMethod": "Occurrences",
            "objectives": [{ "displayName": slo.id, "target": target_percent(slo) / 100.0 }],
        },
    }))
}
