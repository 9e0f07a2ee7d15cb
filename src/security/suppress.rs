//! Findings that are known and accepted: each with a reason and a day on which that ends.

use std::path::Path;

use jiff::civil::Date;
use serde::Deserialize;

use crate::run::event::Finding;

/// One accepted finding.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suppression {
    /// The beginning of a fingerprint, twelve characters at least.
    #[serde(default)]
    fingerprint: Option<String>,
    /// A rule; with it a place.
    #[serde(default)]
    rule: Option<String>,
    /// The place as reports show it.
    #[serde(default)]
    place: Option<String>,
    /// Why it is accepted.
    reason: String,
    /// The last day on which it is.
    expires: Date,
}

/// Accepted findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suppressions(Vec<Suppression>);

/// Fewest characters of a fingerprint that stand for it.
const MIN_FINGERPRINT: usize = 12;

impl Suppressions {
    /// Reads a file: a list of mappings.
    ///
    /// # Errors
    /// When it cannot be read, or an entry lacks its reason, its day, or what it is about.
    pub fn load(path: &Path) -> Result<Self, String> {
        let refuse = |why: String| format!("{}: {why}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        Self::parse(&text).map_err(refuse)
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// Those whose last day is over, in words.
    pub fn over(&self, today: Date) -> Vec<String> {
        let over = self.0.iter().filter(|one| one.expires < today);
        over.map(|one| format!("{} (until {})", one.reason, one.expires)).collect()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let all: Vec<Suppression> =
            serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        for (at, one) in all.iter().enumerate() {
            let known = match (&one.fingerprint, &one.rule, &one.place) {
                (Some(print), None, None) => is_fingerprint(print),
                (None, Some(_), Some(_)) => true,
                _ => false,
            };
            if !known {
                return Err(format!(
                    "entry {}: expected `fingerprint` (its first {MIN_FINGERPRINT} characters at \
                     least, as reports show it), or `rule` and `place`",
                    at + 1
                ));
            }
            if one.reason.trim().is_empty() {
                return Err(format!("entry {}: expected a reason", at + 1));
            }
        }
        Ok(Self(all))
    }

    /// Marks a finding that is accepted; one whose day is over only says so.
    pub fn apply(&self, finding: &mut Finding, today: Date) {
        let about = self.0.iter().filter(|one| one.is_about(finding));
        let Some(one) = about.max_by_key(|one| one.expires) else { return };
        if one.expires >= today {
            finding.suppressed = Some(format!("{} (until {})", one.reason, one.expires));
        } else {
            finding.evidence +=
                &format!(" (it was accepted until {}: {})", one.expires, one.reason);
        }
    }
}

/// Whether this is the beginning of a fingerprint: digits of a SHA-256 in lower case.
fn is_fingerprint(text: &str) -> bool {
    (MIN_FINGERPRINT..=64).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Suppression {
    fn is_about(&self, finding: &Finding) -> bool {
        match &self.fingerprint {
            Some(print) => finding.fingerprint.starts_with(print.as_str()),
            None => {
                self.rule.as_deref() == Some(&finding.rule)
                    && self.place.as_deref() == Some(&finding.place)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::Severity;
    use crate::security::rules::ANY_ORIGIN;

    #[test]
    fn an_accepted_finding_counts_no_more_until_its_day() {
        let mut finding = ANY_ORIGIN.finding(Severity::High, "rag GET /a", None);
        let text = format!(
            "- fingerprint: {}\n  reason: \"internal only\"\n  expires: 2026-12-31\n",
            &finding.fingerprint[..16]
        );
        let list = Suppressions::parse(&text).expect("valid");
        let mut late = finding.clone();
        list.apply(&mut finding, jiff::civil::date(2026, 12, 31));
        assert!(!finding.counts());
        list.apply(&mut late, jiff::civil::date(2027, 1, 1));
        assert_eq!(list.over(jiff::civil::date(2026, 12, 31)), [""; 0]);
        let over = list.over(jiff::civil::date(2027, 1, 1));
        assert_eq!(
            (over.as_slice(), list.count()),
            (["internal only (until 2026-12-31)".to_owned()].as_slice(), 1)
        );
        assert!(late.counts() && late.evidence.contains("accepted until 2026-12-31"));
        let other = "- rule: SDK-CORS-001\n  place: rag GET /b\n  reason: x\n  expires: 2030-01-01";
        let mut elsewhere = late.clone();
        Suppressions::parse(other)
            .expect("valid")
            .apply(&mut elsewhere, jiff::civil::date(2026, 1, 1));
        assert!(elsewhere.counts(), "another place");
    }

    #[test]
    fn of_several_for_one_finding_the_one_that_lasts_longest_counts() {
        let mut finding = ANY_ORIGIN.finding(Severity::High, "rag GET /a", None);
        let entry = |day: &str| {
            format!("- {{rule: SDK-CORS-001, place: rag GET /a, reason: x, expires: {day}}}\n")
        };
        let list = ["2026-01-01", "2030-01-01", "2027-01-01"].map(entry).concat();
        let list = Suppressions::parse(&list).expect("valid");
        list.apply(&mut finding, jiff::civil::date(2028, 1, 1));
        assert_eq!(finding.suppressed.as_deref(), Some("x (until 2030-01-01)"));
    }

    #[test]
    fn what_has_no_reason_no_day_or_no_object_is_refused() {
        for text in [
            "- fingerprint: abcdefabcdef\n  expires: 2030-01-01",
            "- fingerprint: abcdefabcdef\n  reason: x",
            "- fingerprint: abc\n  reason: x\n  expires: 2030-01-01",
            "- fingerprint: ABCDEFABCDEF\n  reason: x\n  expires: 2030-01-01",
            "- fingerprint: a fingerprint of mine\n  reason: x\n  expires: 2030-01-01",
            "- rule: SDK-CORS-001\n  reason: x\n  expires: 2030-01-01",
            "- rule: A\n  place: b\n  reason: ' '\n  expires: 2030-01-01",
            "- rule: A\n  place: b\n  reason: x\n  expires: soon",
            "- rule: A\n  place: b\n  reason: x\n  expires: 2030-01-01\n  severity: low",
            "{",
        ] {
            assert!(Suppressions::parse(text).is_err(), "{text}");
        }
    }
}
