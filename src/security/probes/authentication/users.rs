//! Access between users: what belongs to the first, or only the first may do, asked by the second.

use super::leave_open;
use crate::config::{PrivateOperation, PrivateReason};
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::answer::similar;
use crate::security::context::AuditContext;
use crate::security::evidence::exchange;
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::request::{Identity, Request};
use crate::security::rules::{FUNCTION, OBJECT};

/// Asks as the second user; returns what that covered, in words.
///
/// # Errors
/// When the budget is used up.
pub async fn probe(
    context: &AuditContext<'_>,
    outcome: &mut Outcome,
) -> Result<String, ProbeError> {
    let private = &context.config.security.private;
    if context.config.security.second_user.is_empty() {
        if !private.is_empty() {
            leave_open(outcome, "security.private is named, but no security.second_user".into());
        }
        return Ok("not tested, no second user is configured".into());
    }
    if private.is_empty() {
        return Ok("not tested, security.private names nothing".into());
    }
    for one in private {
        match attack(context, one).await {
            Ok(finding) => outcome.findings.extend(finding),
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(ProbeError::Failed(why)) => leave_open(outcome, why),
        }
    }
    Ok(format!("{} private requests", private.len()))
}

async fn attack(
    context: &AuditContext<'_>,
    private: &PrivateOperation,
) -> Result<Option<Finding>, ProbeError> {
    let request = Request::of(private.service, &private.request);
    if !context.prober.has_second_user(private.service) {
        let why = format!("{}: the service has no second user", request.place());
        return Err(ProbeError::Failed(why));
    }
    let owner = context.prober.ask(&request).await?;
    if !owner.is_success() {
        let why = format!("{}: the first user gets {}", request.place(), owner.status);
        return Err(ProbeError::Failed(why));
    }
    let other = request.clone().by(Identity::Second);
    let (first, again) = (context.prober.ask(&other).await?, context.prober.ask(&other).await?);
    if !similar(&first, &owner) || !similar(&again, &owner) {
        return Ok(None);
    }
    let (rule, title) = match private.because {
        PrivateReason::OwnObject => (&OBJECT, "another user sees what belongs to the first"),
        PrivateReason::PrivilegedFunction => {
            (&FUNCTION, "another user may do what only the first has the right to")
        }
    };
    let mut finding = rule.finding(Severity::Critical, &request.place(), None);
    finding.title = title.into();
    finding.confidence = Confidence::Confirmed;
    finding.evidence = "the second user gets the answer of the first, twice".into();
    finding.exchanges = vec![
        exchange(context.prober, "attack", &other, &first, ""),
        exchange(context.prober, "control", &request, &owner, ""),
    ];
    Ok(Some(finding))
}
