//! Sloth `prometheus/v1`: one specification for the platform.

use serde_json::{Value, json};

use super::{dashed, expressible, queries, target_percent, yaml};
use crate::config::{Slo, SloDefinitions};

pub fn write(definitions: &SloDefinitions) -> String {
    let slos: Vec<Value> = definitions.slos.iter().filter(|s| expressible(s)).map(slo).collect();
    yaml(&json!({
        "version": "prometheus/v1",
        "service": definitions.metadata.platform,
        "labels": { "owner": definitions.metadata.owner },
        "slos": slos,
    }))
}

fn slo(slo: &Slo) -> Value {
    let (error, total) = queries(slo, "{{.window}}");
    let name: String = slo.id.split('_').map(capitalised).collect();
    json!({
        "name": dashed(&slo.id),
        "objective": target_percent(slo),
        "sli": { "events": { "error_query": error, "total_query": total } },
        "alerting": {
            "name": name,
            "page_alert": { "labels": { "severity": "page" } },
            "ticket_alert": { "labels": { "severity": "ticket" } },
        },
    })
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
