//! Trivy on every configured image: the real program, its JSON, nothing guessed. An image in which it
//! finds no packages is not covered, not clean.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::probes::Outcome;
use super::score::IMAGE_RULE;
use crate::config::Images;
use crate::platform::text::excerpt;
use crate::run::event::{CheckStatus, Confidence, Finding, Severity};

/// How long one image may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    results: Vec<ScanResult>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(rename = "OS")]
    os: Option<Os>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Os {
    #[serde(default)]
    family: String,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "EOSL")]
    end_of_life: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScanResult {
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vulnerability {
    #[serde(rename = "VulnerabilityID")]
    id: String,
    #[serde(default)]
    pkg_name: String,
    #[serde(default)]
    installed_version: String,
    #[serde(default)]
    fixed_version: String,
    #[serde(default)]
    severity: String,
}

/// Scans the configured images.
pub async fn scan(images: &Images) -> Outcome {
    if images.none {
        return Outcome::not_applicable("the target has no container images");
    }
    if images.names.is_empty() {
        return Outcome::not_tested("no images are named in security.images.names");
    }
    let program = images.trivy.clone().unwrap_or_else(|| PathBuf::from("trivy"));
    let mut outcome = Outcome::default();
    let mut uncovered = Vec::new();
    for image in &images.names {
        match scan_one(&program, image, images).await {
            Ok(report) if report.results.is_empty() && report.metadata.os.is_none() => {
                uncovered.push(format!("{image}: no packages were found in it"));
            }
            Ok(report) => outcome.findings.extend(findings(image, report)),
            Err(reason) => uncovered.push(format!("{image}: {reason}")),
        }
    }
    let scanned = images.names.len() - uncovered.len();
    outcome.coverage = format!("{scanned} of {} images", images.names.len());
    if !uncovered.is_empty() {
        outcome.status = Some(CheckStatus::NotTested);
        outcome.coverage += &format!("; {}", uncovered.join("; "));
    }
    outcome
}

async fn scan_one(program: &PathBuf, image: &str, images: &Images) -> Result<Report, String> {
    let mut command = Command::new(program);
    command.args([
        "image",
        "--format",
        "json",
        "--severity",
        "HIGH,CRITICAL",
        "--scanners",
        "vuln",
    ]);
    command.args(["--exit-code", "0", "--quiet", "--no-progress", "--timeout", "15m"]);
    if images.offline {
        command.args(["--skip-db-update", "--skip-java-db-update", "--offline-scan"]);
    }
    if let Some(file) = &images.ignore_file {
        command.arg("--ignorefile").arg(file);
    }
    // After the options nothing is taken for one any more, whatever an image is called.
    command.arg("--").arg(image).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output
        .map_err(|_| "Trivy took too long".to_owned())?
        .map_err(|error| format!("Trivy cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(excerpt(&String::from_utf8_lossy(&output.stderr)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("Trivy's answer: {error}"))
}

/// One finding a vulnerability of a package; the same one in several layers is one.
fn findings(image: &str, report: Report) -> Vec<Finding> {
    let mut seen = std::collections::HashSet::new();
    let mut found = Vec::new();
    for vulnerability in report.results.into_iter().flat_map(|result| result.vulnerabilities) {
        let Vulnerability { id, pkg_name, installed_version, fixed_version, severity } =
            vulnerability;
        if !seen.insert((id.clone(), pkg_name.clone())) {
            continue;
        }
        let fixable = !fixed_version.is_empty();
        let severity = if severity == "CRITICAL" { Severity::Critical } else { Severity::High };
        found.push(Finding {
            rule: format!("{IMAGE_RULE}-001"),
            title: excerpt(&format!("{id} in {pkg_name}")),
            // What nobody can fix yet weighs less.
            severity: if fixable { severity } else { Severity::Low },
            confidence: Confidence::Firm,
            cwe: 1104,
            place: excerpt(image),
            evidence: excerpt(&format!("{pkg_name} {installed_version} is installed")),
            remedy: if fixable {
                excerpt(&format!("update {pkg_name} to {fixed_version}"))
            } else {
                "there is no fixed version yet".into()
            },
        });
    }
    if let Some(os) = report.metadata.os.filter(|os| os.end_of_life) {
        found.push(Finding {
            rule: format!("{IMAGE_RULE}-002"),
            title: "its operating system gets no more fixes".into(),
            severity: Severity::High,
            confidence: Confidence::Firm,
            cwe: 1104,
            place: excerpt(image),
            evidence: excerpt(&format!("{} {}", os.family, os.name)),
            remedy: "build it anew on a release that is maintained".into(),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Vec<Finding> {
        findings("app:1", serde_json::from_str(json).expect("a report"))
    }

    #[test]
    fn missing_keys_are_legal_and_duplicates_count_once() {
        assert_eq!(read("{}"), []);
        let one = r#"{"VulnerabilityID":"CVE-1","PkgName":"zlib","Severity":"CRITICAL","FixedVersion":"2"}"#;
        let two = r#"{"VulnerabilityID":"CVE-2","PkgName":"zlib","Severity":"HIGH"}"#;
        let report = format!(
            r#"{{"Metadata":{{"OS":{{"Family":"debian","Name":"9","EOSL":true}}}},
                "Results":[{{"Vulnerabilities":[{one},{one}]}},{{"Vulnerabilities":[{two}]}},{{}}]}}"#
        );
        let found = read(&report);
        let severities: Vec<Severity> = found.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Critical, Severity::Low, Severity::High]);
    }

    #[tokio::test]
    async fn without_the_program_nothing_is_said_to_be_clean() {
        let images = Images {
            names: vec!["app:1".into()],
            trivy: Some("/nonexistent/trivy".into()),
            ..Images::default()
        };
        let outcome = scan(&images).await;
        assert_eq!(outcome.status, Some(CheckStatus::NotTested));
        assert!(outcome.coverage.contains("cannot be run"), "{}", outcome.coverage);
        let none = Images { none: true, ..Images::default() };
        assert_eq!(scan(&none).await.status, Some(CheckStatus::NotApplicable));
    }
}
