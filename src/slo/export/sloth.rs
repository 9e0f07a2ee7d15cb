//! Sloth `prometheus/v1`: one specification for the platform.

use serde_json::{Value, json};

use super::queries::bad_and_all;
use super::{dashed, target_percent, yaml};
use crate::config::{Slo, SloDefinitions};

/// The slower of the burn rates at which Sloth pages by itself (its windows of 30 days).
const PAGE_BURN_RATE: f64 = 6.0;

pub fn write(slos: &[&Slo], definitions: &SloDefinitions) -> String {
    let slos: Vec<Value> = slos.iter().map(|of| slo(of)).collect();
    yaml(&json!({
        "version": "prometheus/v1",
        "service": definitions.metadata.platform,
        "labels": { "owner": definitions.metadata.owner },
        "slos": slos,
    }))
}

fn slo(slo: &Slo) -> Value {
    let (error, total) = bad_and_all(slo, "{{.window}}");
    let name: String = slo.id.split('_').map(capitalised).collect();
    // Where even everything bad burns more slowly than that, a page would never come.
    let can_page = slo.allowed_bad().is_some_and(|share| share * PAGE_BURN_RATE < 1.0);
    let page = if can_page {
        json!({ "labels": { "severity": "page" } })
    } else {
        json!({ "disable": true })
    };
    json!({
        "name": dashed(&slo.id),
        "objective": target_percent(slo),
        "sli": { "events": { "error_query": error, "total_query": total } },
        "alerting": {
            "name": name,
            "page_alert": page,
            "ticket_alert": { "labels": { "severity": "ticket" } },
        },
    })
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, SHIPPED_SLOS};
    use crate::slo::export::{Format, export};

    #[test]
    fn no_page_is_promised_that_can_never_come() {
        let shipped = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        let written = export(&shipped, Format::Sloth);
        let written: Value = serde_yaml::from_str(&written).expect("YAML");
        let alerting = |name: &str| {
            let slos = written["slos"].as_array().expect("a list");
            &slos.iter().find(|slo| slo["name"] == name).expect("exported")["alerting"]
        };
        assert_eq!(alerting("p50")["page_alert"], json!({ "disable": true }));
        assert_eq!(alerting("p50")["ticket_alert"]["labels"]["severity"], "ticket");
        assert_eq!(alerting("p95")["page_alert"]["labels"]["severity"], "page");
    }
}
