//! SARIF 2.1.0 (OASIS), as code scanning takes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{FindingRow, SecuritySection};

/// The audit as SARIF.
pub fn sarif(security: &SecuritySection) -> Value {
    let mut rules: BTreeMap<&str, &FindingRow> = BTreeMap::new();
    for finding in &security.findings {
        let known = rules.entry(&finding.rule).or_insert(finding);
        if number(finding) > number(known) {
            *known = finding;
        }
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "shakedown",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.values().map(|finding| rule(finding)).collect::<Vec<_>>(),
            } },
            // One analysis beside others of the same repository.
            "automationDetails": { "id": "shakedown/security/" },
            "results": security.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// A rule by the worst of its findings, in words that are true of all of them: code scanning shows them as
/// the title of each.
fn rule(finding: &FindingRow) -> Value {
    // Older runs know only what was found.
    let about = if finding.about.is_empty() { &finding.title } else { &finding.about };
    let mut tags = vec!["security".to_owned(), format!("external/cwe/cwe-{}", finding.cwe)];
    tags.extend(finding.references.iter().cloned());
    json!({
        "id": finding.rule,
        "shortDescription": { "text": about },
        "fullDescription": { "text": about },
        "defaultConfiguration": { "level": level(finding) },
        "help": { "text": format!("{about}. What is to be done stands with each result.") },
        "helpUri": format!("https://cwe.mitre.org/data/definitions/{}.html", finding.cwe),
        "properties": { "tags": tags, "security-severity": number(finding) },
    })
}

fn level(finding: &FindingRow) -> &'static str {
    match finding.severity.as_str() {
        _ if finding.confidence == "tentative" => "note",
        "critical" | "high" => "error",
        "medium" => "warning",
        _ => "note",
    }
}

fn result(finding: &FindingRow) -> Value {
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding),
        "message": { "text": format!(
            "{} at {}: {}; {}",
            finding.title, finding.place, finding.evidence, finding.remedy
        ) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&finding.place) },
                "region": { "startLine": 1 },
            },
            "logicalLocations": [{ "fullyQualifiedName": finding.place }],
        }],
        // The second is the one that code scanning knows a finding again by; there are no lines here.
        "partialFingerprints": {
            "shakedown/v1": finding.fingerprint,
            "primaryLocationLineHash": finding.fingerprint,
        },
        "properties": {
            "confidence": finding.confidence,
            "severity": finding.severity,
            "parameter": finding.parameter,
            "exchanges": finding.exchanges,
            "fixable": finding.fixable,
        },
    });
    if let Some(novelty) = &finding.novelty {
        result["baselineState"] = json!(novelty);
    }
    if let Some(reason) = &finding.suppressed {
        result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
    }
    result
}

/// A relative address for a place: code scanning wants a file, and a route is the nearest thing to one.
fn uri(place: &str) -> String {
    let mut words = place.split_whitespace();
    let service = words.next().unwrap_or("platform");
    let rest: Vec<&str> =
        words.filter(|word| !word.bytes().all(|b| b.is_ascii_uppercase())).collect();
    let path = format!("{service}/{}", rest.join("/"));
    let kept = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    let clean: String = path.chars().map(|c| if kept(c) { c } else { '_' }).collect();
    let parts: Vec<&str> = clean.split('/').filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

/// The severity as code scanning sorts it: the middle of its range of CVSS scores.
fn number(finding: &FindingRow) -> &'static str {
    match finding.severity.as_str() {
        "critical" => "9.5",
        "high" => "8.0",
        "medium" => "5.5",
        "low" => "2.0",
        _ => "0.0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_relative_addresses() {
        assert_eq!(uri("rag GET /items/{id}"), "rag/items/_id_");
        assert_eq!(uri("registry/app:1"), "registry/app_1");
        assert_eq!(uri(""), "platform");
    }
}
