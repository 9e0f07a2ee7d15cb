//! What became of the scan of images.

use serde::{Deserialize, Serialize};

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageReport {
    /// Its name; all of them, when several names are one image.
    pub image: String,
    /// Its id, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How its scan ended.
    pub status: ImageStatus,
    /// Why it is not covered, or what was scanned.
    pub detail: String,
    /// Vulnerabilities that have a fixed version.
    pub fixable: Counts,
    /// Vulnerabilities that have none.
    pub unfixed: Counts,
    /// Operating system, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Whether that gets no more fixes.
    pub end_of_life: bool,
}

/// How the scan of an image ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageStatus {
    /// Its packages were looked up.
    Scanned,
    /// There was nothing in it that Trivy knows: not covered, not clean.
    NotCovered,
    /// The scan failed.
    Failed,
}

/// Numbers of vulnerabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// CRITICAL ones.
    pub critical: u32,
    /// HIGH ones.
    pub high: u32,
}

/// Trivy's vulnerability database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VulnerabilityDatabase {
    /// Trivy's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trivy: Option<String>,
    /// When it was made (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    /// How old it is, hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_hours: Option<u64>,
    /// What became of its download, in words.
    pub detail: String,
}
