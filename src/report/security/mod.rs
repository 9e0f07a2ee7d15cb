//! The security audit in reports.

mod defectdojo;
mod html;
mod sarif;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use defectdojo::defectdojo;
pub use html::write_html;
pub use sarif::sarif;

use crate::run::event::{
    CheckReport, Comparison, Counts, Discovered, Finding, ImageReport, ImageStatus,
};
use crate::run::state::SecurityState;

/// Name of the SARIF file in the run's folder.
pub const SARIF_FILE: &str = "security.sarif";
/// Name of the file for DefectDojo in the run's folder.
pub const DEFECTDOJO_FILE: &str = "security_defectdojo.json";

/// What the audit showed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SecuritySection {
    /// 0-100; null when the audit did not come to its end.
    pub score: Option<f64>,
    /// Checks that came to an end, of those that apply, such as `7/8`.
    pub coverage: String,
    /// What there was to be audited.
    #[serde(default)]
    pub discovered: Option<DiscoveredSection>,
    /// The checks.
    pub checks: Vec<CheckRow>,
    /// Trivy's database.
    #[serde(default)]
    pub database: Option<DatabaseRow>,
    /// The images.
    #[serde(default)]
    pub images: Vec<ImageRow>,
    /// The findings, the worst first; what is accepted stands at the end.
    pub findings: Vec<FindingRow>,
    /// Findings that were too many to be kept here; they stand in the journal.
    #[serde(default)]
    pub findings_dropped: u64,
    /// How they differ from those of the run before.
    #[serde(default)]
    pub comparison: Option<ComparisonSection>,
    /// How many things the audit wrote into the platform.
    #[serde(default)]
    pub written: u32,
    /// Of those, what is not shown to be gone.
    #[serde(default)]
    pub residue: Vec<String>,
}

/// What there was to be audited.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DiscoveredSection {
    /// Operations found.
    pub found: u32,
    /// Of those, the ones that may be attacked.
    pub attackable: u32,
    /// Insertion points in those.
    pub points: u32,
    /// How many came from where.
    pub sources: Vec<SourceRow>,
    /// Those that may not be attacked.
    pub skipped: Vec<SkippedRow>,
    /// What is worth knowing of the discovery itself.
    pub notes: Vec<String>,
}

/// How many operations came from where.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SourceRow {
    /// Where from.
    pub source: String,
    /// How many.
    pub operations: u32,
}

/// An operation that is not attacked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SkippedRow {
    /// Which.
    pub place: String,
    /// Why.
    pub reason: String,
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
    /// Operations found; null where it is not about operations.
    #[serde(default)]
    pub operations_found: Option<u32>,
    /// Operations tested by this check.
    #[serde(default)]
    pub operations_tested: Option<u32>,
}

/// Trivy's vulnerability database.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DatabaseRow {
    /// Trivy's version.
    pub trivy: Option<String>,
    /// When the database was made (RFC 3339).
    pub updated: Option<String>,
    /// How old it was, hours.
    pub age_hours: Option<u64>,
    /// What became of its download.
    pub detail: String,
}

/// One image.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ImageRow {
    /// Its names.
    pub image: String,
    /// Its id.
    pub id: Option<String>,
    /// scanned, not covered or failed.
    pub status: String,
    /// Why, or what was found.
    pub detail: String,
    /// Vulnerabilities that have a fixed version.
    pub fixable: CountsRow,
    /// Vulnerabilities that have none.
    pub unfixed: CountsRow,
    /// Its operating system.
    pub os: Option<String>,
    /// Whether that gets no more fixes.
    pub end_of_life: bool,
}

/// Numbers of vulnerabilities.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CountsRow {
    /// CRITICAL ones.
    pub critical: u32,
    /// HIGH ones.
    pub high: u32,
}

/// One finding.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FindingRow {
    /// Stable id of the rule.
    pub rule: String,
    /// The same for the same weakness in the same place, run after run.
    #[serde(default)]
    pub fingerprint: String,
    /// What its rule is about, whatever was found.
    #[serde(default)]
    pub about: String,
    /// What it is.
    pub title: String,
    /// info, low, medium, high or critical.
    pub severity: String,
    /// tentative, firm or confirmed; only firm and above counts.
    pub confidence: String,
    /// CWE number.
    pub cwe: u32,
    /// What it is called elsewhere.
    #[serde(default)]
    pub references: Vec<String>,
    /// Where.
    pub place: String,
    /// The parameter or package that it is in.
    #[serde(default)]
    pub parameter: Option<String>,
    /// What proves it.
    pub evidence: String,
    /// What was asked and what came, the attack and its control.
    #[serde(default)]
    pub exchanges: Vec<ExchangeRow>,
    /// What to do.
    pub remedy: String,
    /// Whether there is a version that mends it; for packages of images.
    #[serde(default)]
    pub fixable: Option<bool>,
    /// Why it is accepted, when it is.
    #[serde(default)]
    pub suppressed: Option<String>,
    /// new or unchanged, beside the run before.
    #[serde(default)]
    pub novelty: Option<String>,
}

/// A request and its answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExchangeRow {
    /// attack, control, answer or written.
    pub role: String,
    /// What was asked.
    pub request: String,
    /// What came.
    pub response: String,
}

/// How the findings differ from those of the run before.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ComparisonSection {
    /// Id of the run before.
    pub run: String,
    /// Findings that it did not have.
    pub new: u32,
    /// Findings that it had too.
    pub unchanged: u32,
    /// What it had and this run looked for in vain.
    pub fixed: Vec<String>,
}

/// The section of a security phase.
pub fn section(security: &SecurityState) -> SecuritySection {
    let score = security.score.as_ref();
    SecuritySection {
        // Nothing tested is no score.
        score: score.filter(|score| score.covered > 0).map(|score| score.score),
        coverage: score.map_or_else(|| "-".into(), |s| format!("{}/{}", s.covered, s.asked)),
        discovered: security.discovered.as_ref().map(discovered),
        checks: security.checks.iter().map(check).collect(),
        database: security.database.as_ref().map(|database| DatabaseRow {
            trivy: database.trivy.clone(),
            updated: database.updated.clone(),
            age_hours: database.age_hours,
            detail: database.detail.clone(),
        }),
        images: security.images.iter().map(image).collect(),
        findings: security.findings.iter().map(finding).collect(),
        findings_dropped: security.findings_dropped,
        comparison: security.comparison.as_ref().map(comparison),
        written: security.written,
        residue: security.residue.iter().map(|w| format!("{} at {}", w.name, w.place)).collect(),
    }
}

fn discovered(found: &Discovered) -> DiscoveredSection {
    let source = |(source, n): &(String, u32)| SourceRow { source: source.clone(), operations: *n };
    let skipped = found.skipped.iter();
    DiscoveredSection {
        found: found.found,
        attackable: found.attackable,
        points: found.points,
        sources: found.sources.iter().map(source).collect(),
        skipped: skipped
            .map(|one| SkippedRow { place: one.place.clone(), reason: one.reason.clone() })
            .collect(),
        notes: found.notes.clone(),
    }
}

fn check(check: &CheckReport) -> CheckRow {
    CheckRow {
        check: check.check.clone(),
        status: check.status.words().to_owned(),
        coverage: check.coverage.clone(),
        requests: check.requests,
        operations_found: check.operations.map(|of| of.found),
        operations_tested: check.operations.map(|of| of.tested),
    }
}

fn image(image: &ImageReport) -> ImageRow {
    let counts = |of: Counts| CountsRow { critical: of.critical, high: of.high };
    ImageRow {
        image: image.image.clone(),
        id: image.id.clone(),
        status: match image.status {
            ImageStatus::Scanned => "scanned",
            ImageStatus::NotCovered => "not covered",
            ImageStatus::Failed => "failed",
        }
        .to_owned(),
        detail: image.detail.clone(),
        fixable: counts(image.fixable),
        unfixed: counts(image.unfixed),
        os: image.os.clone(),
        end_of_life: image.end_of_life,
    }
}

fn finding(finding: &Finding) -> FindingRow {
    let exchanges = finding.exchanges.iter().map(|one| ExchangeRow {
        role: one.role.clone(),
        request: one.request.clone(),
        response: one.response.clone(),
    });
    FindingRow {
        rule: finding.rule.clone(),
        fingerprint: finding.fingerprint.clone(),
        about: finding.about.clone(),
        title: finding.title.clone(),
        severity: finding.severity.word().to_owned(),
        confidence: finding.confidence.word().to_owned(),
        cwe: finding.cwe,
        references: finding.references.clone(),
        place: finding.place.clone(),
        parameter: finding.parameter.clone(),
        evidence: finding.evidence.clone(),
        exchanges: exchanges.collect(),
        remedy: finding.remedy.clone(),
        fixable: finding.fixable,
        suppressed: finding.suppressed.clone(),
        novelty: finding.novelty.map(|novelty| novelty.word().to_owned()),
    }
}

fn comparison(compared: &Comparison) -> ComparisonSection {
    ComparisonSection {
        run: compared.run.clone(),
        new: compared.new,
        unchanged: compared.unchanged,
        fixed: compared.fixed.iter().map(|gone| gone.title.clone()).collect(),
    }
}
