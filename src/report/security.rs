//! The security audit in reports.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::html::escape;
use crate::run::event::{CheckReport, Finding};
use crate::run::state::SecurityState;

/// What the audit showed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SecuritySection {
    /// 0-100; null when the audit did not come to its end.
    pub score: Option<f64>,
    /// Checks that came to an end, of those that apply, such as `7/8`.
    pub coverage: String,
    /// The checks.
    pub checks: Vec<CheckRow>,
    /// The findings, the worst first.
    pub findings: Vec<FindingRow>,
}

/// One check.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CheckRow {
    /// Its name.
    pub check: String,
    /// vulnerable, pass, not applicable, blocked, error or not tested.
    pub status: String,
    /// What was covered, or why not.
    pub coverage: String,
    /// Requests that it sent.
    pub requests: u64,
}

/// One finding.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FindingRow {
    /// Stable id of the rule.
    pub rule: String,
    /// What it is.
    pub title: String,
    /// info, low, medium, high or critical.
    pub severity: String,
    /// tentative, firm or confirmed.
    pub confidence: String,
    /// CWE number.
    pub cwe: u32,
    /// Where.
    pub place: String,
    /// What proves it.
    pub evidence: String,
    /// What to do.
    pub remedy: String,
}

/// The section of a security phase.
pub fn section(security: &SecurityState) -> SecuritySection {
    let score = security.score.as_ref();
    SecuritySection {
        score: score.map(|score| score.score),
        coverage: score.map_or_else(|| "-".into(), |s| format!("{}/{}", s.covered, s.asked)),
        checks: security.checks.iter().map(check).collect(),
        findings: security.findings.iter().map(finding).collect(),
    }
}

fn check(check: &CheckReport) -> CheckRow {
    CheckRow {
        check: check.check.clone(),
        status: check.status.words().to_owned(),
        coverage: check.coverage.clone(),
        requests: check.requests,
    }
}

fn finding(finding: &Finding) -> FindingRow {
    FindingRow {
        rule: finding.rule.clone(),
        title: finding.title.clone(),
        severity: finding.severity.word().to_owned(),
        confidence: finding.confidence.word().to_owned(),
        cwe: finding.cwe,
        place: finding.place.clone(),
        evidence: finding.evidence.clone(),
        remedy: finding.remedy.clone(),
    }
}

/// The section for the HTML report.
pub fn write_html(html: &mut String, security: &SecuritySection) -> std::fmt::Result {
    let score = security.score.map_or_else(|| "none".into(), |score| format!("{score:.0} of 100"));
    write!(
        html,
        "<p>Security score {score}, {} checks.</p><table><thead><tr><th>check<th>status\
         <th class=n>requests<th>coverage</tr></thead><tbody>",
        escape(&security.coverage)
    )?;
    for row in &security.checks {
        let class = match row.status.as_str() {
            "pass" => "pass",
            "vulnerable" => "fail",
            _ => "skipped",
        };
        write!(
            html,
            "<tr><td>{}<td class=\"v {class}\">{}<td class=n>{}<td><small>{}</small></tr>",
            escape(&row.check),
            escape(&row.status),
            row.requests,
            escape(&row.coverage)
        )?;
    }
    html.write_str("</tbody></table>")?;
    for row in &security.findings {
        write!(
            html,
            "<details><summary>{}: {} ({}, {}, CWE-{})</summary><p>{}<br>{}<br>To do: {}</p></details>",
            escape(&row.severity),
            escape(&row.title),
            escape(&row.rule),
            escape(&row.confidence),
            row.cwe,
            escape(&row.place),
            escape(&row.evidence),
            escape(&row.remedy)
        )?;
    }
    Ok(())
}
