//! What a check found, and what it covered.

use super::prober::ProbeError;
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
    /// Operations tested, where it is about operations.
    pub tested: Option<u32>,
}

impl Outcome {
    /// A check that the target has nothing for.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        Self::ended(CheckStatus::NotApplicable, why)
    }

    /// A check that could not be made.
    pub fn not_tested(why: impl Into<String>) -> Self {
        Self::ended(CheckStatus::NotTested, why)
    }

    /// A check that ended like this.
    pub fn ended(status: CheckStatus, why: impl Into<String>) -> Self {
        Self { status: Some(status), coverage: why.into(), ..Self::default() }
    }

    /// A check that an error ended; what it found before stays.
    pub fn cut_short(mut self, error: &ProbeError) -> Self {
        self.tested.get_or_insert(0);
        self.status = Some(match error {
            ProbeError::Budget => CheckStatus::NotTested,
            ProbeError::Failed(_) => CheckStatus::Error,
        });
        let before = std::mem::take(&mut self.coverage);
        self.coverage = if before.is_empty() {
            error.to_string()
        } else {
            format!("{error}; before that {before}")
        };
        self
    }
}
