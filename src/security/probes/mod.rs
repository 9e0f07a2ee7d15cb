//! The eight penetration tests, one file or folder each. Every positive differs from a control of the
//! same shape, and is repeated.

pub mod authentication;
mod cors;
mod exposure;
pub mod headers;
pub mod pages;
mod rate_limit;
mod sqli;
pub mod stored;
pub mod upload;
pub mod xss;

use super::context::AuditContext;
use super::outcome::Outcome;
use super::prober::ProbeError;
use super::surface::Operation;
use crate::config::CheckKind;
use crate::run::event::Finding;

/// Makes one of the tests.
///
/// # Errors
/// When the budget is used up; what was found until then is in the outcome.
pub async fn probe(
    kind: CheckKind,
    context: &AuditContext<'_>,
    outcome: &mut Outcome,
) -> Result<(), ProbeError> {
    match kind {
        // Made by Trivy.
        CheckKind::Images => Ok(()),
        CheckKind::Headers => headers::probe(context, outcome).await,
        CheckKind::Cors => cors::probe(context, outcome).await,
        CheckKind::Keys => exposure::probe(context, outcome).await,
        CheckKind::Sqli => sqli::probe(context, outcome).await,
        CheckKind::Xss => xss::probe(context, outcome).await,
        CheckKind::Auth => authentication::probe(context, outcome).await,
        CheckKind::Upload => upload::probe(context, outcome).await,
        CheckKind::RateLimit => rate_limit::probe(context, outcome).await,
    }
}

/// Operations that have a place for a value.
fn with_points<'a>(context: &AuditContext<'a>) -> Vec<&'a Operation> {
    context.surface.operations.iter().filter(|operation| !operation.points.is_empty()).collect()
}

/// What was found twice: once may have been chance.
fn in_both(mut found: Vec<Finding>, again: &[Finding]) -> Vec<Finding> {
    found.retain(|one| again.iter().any(|other| other.fingerprint == one.fingerprint));
    found
}

/// Puts a coverage in front of what was left open.
fn cover(outcome: &mut Outcome, words: String) {
    let open = std::mem::take(&mut outcome.coverage);
    outcome.coverage = if open.is_empty() { words } else { format!("{words}; {open}") };
}
