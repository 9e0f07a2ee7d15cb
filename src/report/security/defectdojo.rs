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
    let cve = finding.parameter.as_deref().and_then(|of| of.split(' ').next());
    let cve = cve.filter(|id| id.starts_with("CVE-"));
    json!({
        "title": finding.title,
        "severity": severity,
        "description": format!("{} at {}{}", finding.evidence, finding.place, exchanges.collect::<String>()),
        "cwe": finding.cwe,
        "mitigation": finding.remedy,
        "references": finding.references.join("\n"),
        "vuln_id_from_tool": finding.rule,
        "unique_id_from_tool": finding.fingerprint,
        "vulnerability_ids": cve.into_iter().collect::<Vec<_>>(),
        "verified": finding.confidence == "confirmed",
        "active": finding.suppressed.is_none(),
        "risk_accepted": finding.suppressed.is_some(),
        "component_name": cve.and(finding.parameter.as_deref()).and_then(|of| of.split(' ').nth(1)),
        "fix_available": finding.fixable,
        "dynamic_finding": cve.is_none(),
        "static_finding": cve.is_some(),
    })
}
