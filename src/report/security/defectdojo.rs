//! DefectDojo's generic findings import.

use serde_json::{Value, json};

use super::{FindingRow, SecuritySection};

/// The audit for DefectDojo.
pub fn defectdojo(security: &SecuritySection) -> Value {
    json!({
        "name": "shakedown security audit",
        "findings": security.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn finding(finding: &FindingRow) -> Value {
    let severity = match finding.severity.as_str() {
        "critical" => "Critical",
        "high" => "High",
        "medium" => "Medium",
        "low" => "Low",
        _ => "Info",
    };
    let exchanges = finding.exchanges.iter();
    let exchanges =
        exchanges.map(|one| format!("\n\n{}: {}\n{}", one.role, one.request, one.response));
    // Its name, which need not be a CVE, and that of the package; only images have both.
    let known = finding.parameter.as_deref().filter(|_| finding.fixable.is_some());
    let known = known.and_then(|of| of.split_once(' '));
    let in_image = finding.rule.starts_with("SDK-IMG");
    json!({
        "title": finding.title,
        "severity": severity,
        "description": format!("{} at {}{}", finding.evidence, finding.place, exchanges.collect::<String>()),
        "cwe": finding.cwe,
        "mitigation": finding.remedy,
        "references": finding.references.join("\n"),
        "vuln_id_from_tool": finding.rule,
        "unique_id_from_tool": finding.fingerprint,
        "vulnerability_ids": known.iter().map(|(id, _)| id).collect::<Vec<_>>(),
        "verified": finding.confidence == "confirmed",
        "active": finding.suppressed.is_none(),
        "risk_accepted": finding.suppressed.is_some(),
        "component_name": known.map(|(_, package)| package),
        "dynamic_finding": !in_image,
        "static_finding": in_image,
    })
}
