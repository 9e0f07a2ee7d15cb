//! Trivy's JSON, schema version 2. Nearly every field may be absent.

use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::keys;
use crate::security::rules::{END_OF_LIFE, KEY_IN_IMAGE, VULNERABLE_PACKAGE};

/// The schema that is read.
const SCHEMA: u32 = 2;
/// Most vulnerabilities of one image that become findings; more are counted.
const MAX_FINDINGS: usize = 2000;

/// What Trivy says of an image.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Report {
    schema_version: Option<u32>,
    #[serde(deserialize_with = "nullable")]
    metadata: Metadata,
    #[serde(deserialize_with = "nullable")]
    results: Vec<ScanResult>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(rename = "OS")]
    os: Option<Os>,
    #[serde(rename = "ImageID")]
    image_id: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Os {
    family: String,
    name: String,
    #[serde(rename = "EOSL")]
    end_of_life: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ScanResult {
    target: String,
    #[serde(deserialize_with = "nullable")]
    packages: Vec<IgnoredAny>,
    #[serde(deserialize_with = "nullable")]
    vulnerabilities: Vec<Vulnerability>,
    #[serde(deserialize_with = "nullable")]
    secrets: Vec<Secret>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Vulnerability {
    #[serde(rename = "VulnerabilityID")]
    id: String,
    pkg_name: String,
    installed_version: String,
    fixed_version: String,
    severity: String,
    title: String,
    #[serde(rename = "PrimaryURL")]
    url: String,
    #[serde(rename = "CweIDs", deserialize_with = "nullable")]
    cwes: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Secret {
    #[serde(rename = "RuleID")]
    rule: String,
    title: String,
    severity: String,
}

/// Go writes an empty list as null.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Report {
    /// Reads Trivy's answer.
    ///
    /// # Errors
    /// When it is no report, or one of another schema.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let report: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("Trivy's answer cannot be read: {error}"))?;
        match report.schema_version {
            Some(SCHEMA) => Ok(report),
            Some(other) => Err(format!("Trivy answers in schema {other}; {SCHEMA} is read")),
            None => Err("Trivy's answer is no report: it has no SchemaVersion".into()),
        }
    }

    /// Whether there was anything in the image that Trivy knows. An operating system without packages has a
    /// result of its own all the same.
    pub fn is_covered(&self) -> bool {
        let known =
            |result: &ScanResult| !result.packages.is_empty() || !result.vulnerabilities.is_empty();
        self.results.iter().any(known)
    }

    /// The id of the image, where Trivy tells it.
    pub fn image_id(&self) -> Option<String> {
        let id = self.metadata.image_id.as_deref();
        id.filter(|id| !id.is_empty()).map(excerpt)
    }

    /// The operating system.
    pub fn os(&self) -> Option<String> {
        self.metadata.os.as_ref().map(|os| excerpt(&format!("{} {}", os.family, os.name)))
    }

    /// Whether that gets no more fixes.
    pub fn is_end_of_life(&self) -> bool {
        self.metadata.os.as_ref().is_some_and(|os| os.end_of_life)
    }

    /// Severity of each vulnerability, and whether there is a version that mends it.
    pub fn severities(&self) -> Vec<(Severity, bool)> {
        let all = self.vulnerabilities().into_iter();
        all.map(|one| (severity(&one.severity), !one.fixed_version.is_empty())).collect()
    }

    /// Each vulnerability of a package once, whatever the layer, of those that are asked for.
    fn vulnerabilities(&self) -> Vec<&Vulnerability> {
        let mut seen = HashSet::new();
        let all = self.results.iter().flat_map(|result| &result.vulnerabilities);
        let asked = all.filter(|one| matches!(one.severity.as_str(), "CRITICAL" | "HIGH"));
        asked.filter(|one| seen.insert((&one.id, &one.pkg_name))).collect()
    }

    /// The findings.
    pub fn findings(&self, image: &str) -> Vec<Finding> {
        let all = self.vulnerabilities();
        let mut found: Vec<Finding> =
            all.iter().take(MAX_FINDINGS).map(|one| vulnerability(image, one)).collect();
        if self.is_end_of_life() {
            let mut finding = END_OF_LIFE.finding(Severity::High, image, None);
            finding.title = "its operating system gets no more fixes".into();
            finding.evidence = self.os().unwrap_or_default();
            found.push(finding);
        }
        for result in &self.results {
            found.extend(result.secrets.iter().map(|one| secret(image, &result.target, one)));
        }
        found
    }
}

fn severity(word: &str) -> Severity {
    if word == "CRITICAL" { Severity::Critical } else { Severity::High }
}

fn vulnerability(image: &str, one: &Vulnerability) -> Finding {
    let package = format!("{} {}", one.id, one.pkg_name);
    let mut finding = VULNERABLE_PACKAGE.finding(severity(&one.severity), image, Some(&package));
    let fixable = !one.fixed_version.is_empty();
    finding.title = excerpt(&format!("{} in {}", one.id, one.pkg_name));
    finding.fixable = Some(fixable);
    let number = one.cwes.first().and_then(|cwe| cwe.strip_prefix("CWE-")?.parse().ok());
    finding.cwe = number.unwrap_or(finding.cwe);
    let about = if one.title.is_empty() { &one.url } else { &one.title };
    finding.evidence =
        excerpt(&format!("{} {} is installed: {about}", one.pkg_name, one.installed_version));
    finding.remedy = if fixable {
        excerpt(&format!("update {} to {}", one.pkg_name, one.fixed_version))
    } else {
        "there is no fixed version yet".into()
    };
    finding
}

/// A secret that Trivy found; what it matched is not kept.
fn secret(image: &str, file: &str, one: &Secret) -> Finding {
    let severity = if one.severity == "CRITICAL" { Severity::Critical } else { Severity::High };
    let mut finding = KEY_IN_IMAGE.finding(severity, image, Some(&format!("{} {file}", one.rule)));
    finding.title = excerpt(&format!("{} in {file}", keys::redacted(&one.title)));
    finding.confidence = Confidence::Firm;
    finding.evidence = excerpt(&format!("Trivy's rule {}", one.rule));
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Report {
        Report::parse(format!("{{\"SchemaVersion\":2{json}}}").as_bytes()).expect("a report")
    }

    #[test]
    fn missing_keys_and_nulls_are_legal_and_duplicates_count_once() {
        assert!(!read("").is_covered(), "nothing was scanned");
        assert!(!read(r#","Results":null,"Metadata":null"#).is_covered());
        let one = r#"{"VulnerabilityID":"CVE-1","PkgName":"zlib","Severity":"CRITICAL","FixedVersion":"2"}"#;
        let two = r#"{"VulnerabilityID":"CVE-2","PkgName":"zlib","Severity":"HIGH"}"#;
        let low = r#"{"VulnerabilityID":"CVE-3","PkgName":"zlib","Severity":"LOW"}"#;
        let report = read(&format!(
            r#","Metadata":{{"OS":{{"Family":"debian","Name":"9","EOSL":true}}}},
                "Results":[{{"Class":"os-pkgs","Vulnerabilities":[{one},{one}]}},
                {{"Class":"lang-pkgs","Vulnerabilities":[{two},{low}]}},{{"Vulnerabilities":null}}]"#
        ));
        let found = report.findings("app:1");
        let rows: Vec<_> = found.iter().map(|f| (f.severity, f.fixable)).collect();
        assert_eq!(
            rows,
            [
                (Severity::Critical, Some(true)),
                (Severity::High, Some(false)),
                (Severity::High, None),
            ]
        );
        let of = |packages: &str| {
            read(&format!(r#","Results":[{{"Class":"os-pkgs","Target":"alpine"{packages}}}]"#))
        };
        let clean = of(r#","Packages":[{"Name":"musl"}]"#);
        assert!(clean.is_covered() && clean.findings("app:1").is_empty());
        for none in ["", r#","Packages":[]"#, r#","Packages":null"#] {
            assert!(!of(none).is_covered(), "its list of packages was removed: {none}");
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            "null",
            "{\"SchemaVersion\":1}",
            "{\"SchemaVersion\":2,\"Results\":[{\"Vuln",
        ] {
            assert!(Report::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_told_and_not_shown() {
        let report = read(
            r#","Results":[{"Class":"secret","Target":"/app/.env","Secrets":[{"RuleID":"github-pat",
               "Title":"GitHub token","Severity":"CRITICAL","Match":"ghp_a8Kd03jFq91LmZx7RtYw5Vb2NcPe6HsUg4Ti"}]}]"#,
        );
        let found = report.findings("app:1");
        assert_eq!(found.len(), 1);
        assert!(!format!("{found:?}").contains("a8Kd03"));
    }
}
