//! The eight penetration tests, one file each. Each returns what it found and what it covered; every
//! positive differs from a control of the same shape, and is repeated.

pub mod authentication;
pub mod cors;
pub mod headers;
pub mod keys;
pub mod rate_limit;
pub mod sql_injection;
pub mod upload;
pub mod xss;

use super::prober::{Answer, ProbeError};
use crate::run::event::{CheckStatus, Finding};

/// What a check found, and what it covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was found.
    pub findings: Vec<Finding>,
    /// How it ended, when that does not follow from the findings.
    pub status: Option<CheckStatus>,
    /// What was covered, or why not, in words.
    pub coverage: String,
}

impl Outcome {
    /// A check that the target has nothing for.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        Self { status: Some(CheckStatus::NotApplicable), coverage: why.into(), ..Self::default() }
    }

    /// A check that could not be made.
    pub fn not_tested(why: impl Into<String>) -> Self {
        Self { status: Some(CheckStatus::NotTested), coverage: why.into(), ..Self::default() }
    }

    /// A check that an error ended.
    pub fn failed(error: &ProbeError) -> Self {
        let status = match error {
            ProbeError::Budget => CheckStatus::NotTested,
            ProbeError::Failed(_) => CheckStatus::Error,
        };
        Self { status: Some(status), coverage: error.to_string(), ..Self::default() }
    }
}

/// Whether two answers say the same: status and, but for digits, nearly all words.
fn similar(one: &Answer, other: &Answer) -> bool {
    one.status == other.status && resemblance(&one.body, &other.body) >= 0.95
}

/// Share of words that two texts have in common, 0-1; numbers count as one word, because times and
/// ids change from answer to answer.
fn resemblance(one: &str, other: &str) -> f64 {
    let words = |text: &str| {
        let mut counts = std::collections::HashMap::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let word = if word.bytes().any(|b| b.is_ascii_digit()) { "#" } else { word };
            *counts.entry(word.to_owned()).or_insert(0_u64) += 1;
        }
        counts
    };
    let (one, other) = (words(one), words(other));
    let total: u64 = one.values().sum::<u64>() + other.values().sum::<u64>();
    if total == 0 {
        return 1.0;
    }
    let common: u64 = one.iter().map(|(word, n)| n.min(other.get(word).unwrap_or(&0))).sum();
    2.0 * common as f64 / total as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ids_do_not_make_answers_differ() {
        assert!(resemblance("id 17 at 12:01 rows a b", "id 18 at 13:55 rows a b") > 0.99);
        assert!(resemblance("rows a b c d", "no rows") < 0.5);
        assert!((resemblance("", "") - 1.0).abs() < 1e-9);
    }
}
