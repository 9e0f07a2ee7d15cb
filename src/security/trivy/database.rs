//! How old Trivy's database is.

use jiff::Timestamp;
use serde::Deserialize;

use crate::platform::text::excerpt;
use crate::run::event::VulnerabilityDatabase;

/// A database that is older leaves the scan open: a week.
pub const STALE_HOURS: u64 = 7 * 24;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Version {
    version: Option<String>,
    #[serde(rename = "VulnerabilityDB")]
    database: Option<Database>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Database {
    updated_at: Option<Timestamp>,
}

/// Reads what `trivy version --format json` says; an older Trivy says nothing that can be read.
pub fn parse(bytes: &[u8]) -> VulnerabilityDatabase {
    let version: Version = serde_json::from_slice(bytes).unwrap_or_default();
    let updated = version.database.and_then(|database| database.updated_at);
    let age = updated.map(|at| Timestamp::now().duration_since(at).as_hours());
    VulnerabilityDatabase {
        trivy: version.version.map(|version| excerpt(&version)),
        updated: updated.map(|at| at.to_string()),
        age_hours: age.map(|hours| u64::try_from(hours).unwrap_or(0)),
        detail: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_that_of_the_database() {
        let then = Timestamp::now() - jiff::SignedDuration::from_hours(30);
        let text = format!(
            r#"{{"Version":"0.66.0","VulnerabilityDB":{{"Version":2,"UpdatedAt":"{then}"}}}}"#
        );
        let database = parse(text.as_bytes());
        assert_eq!((database.trivy.as_deref(), database.age_hours), (Some("0.66.0"), Some(30)));
        assert_eq!(parse(b"Version: 0.1").age_hours, None);
        assert_eq!(parse(br#"{"Version":"0.66.0"}"#).updated, None);
    }
}
