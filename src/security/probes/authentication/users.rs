//! Access between users: what belongs to the first, or only the first may do, asked by the second.

use super::leave_open;
use super::owned::{Shown, shown};
use super::sameness::{Sameness, sameness};
use crate::config::{PrivateOperation, PrivateReason};
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::baseline::Baseline;
use crate::security::context::AuditContext;
use crate::security::evidence::exchange;
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::request::{Identity, Request};
use crate::security::rules::{FUNCTION, OBJECT, Rule};

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
    let owner = [context.prober.ask(&request).await?, context.prober.ask(&request).await?];
    if let Some(answer) = owner.iter().find(|answer| !answer.is_success()) {
        let why = format!("{}: the first user gets {}", request.place(), answer.status);
        return Err(ProbeError::Failed(why));
    }
    let second = request.clone().by(Identity::Second);
    let other = [context.prober.ask(&second).await?, context.prober.ask(&second).await?];
    let Some(sight) = sight(private.because, &request, &owner, &other)? else { return Ok(None) };
    let mut finding = sight.rule.finding(Severity::Critical, &request.place(), None);
    finding.title = sight.title.into();
    finding.confidence = sight.confidence;
    finding.evidence = sight.evidence.into();
    finding.exchanges = vec![
        exchange("attack", &second, &other[0], ""),
        exchange("control", &request, &owner[0], ""),
    ];
    Ok(Some(finding))
}

/// What the second user saw that he should not.
struct Sight {
    rule: &'static Rule,
    title: &'static str,
    confidence: Confidence,
    evidence: &'static str,
}

fn sight(
    because: PrivateReason,
    request: &Request,
    owner: &[Answer; 2],
    other: &[Answer; 2],
) -> Result<Option<Sight>, ProbeError> {
    if because == PrivateReason::PrivilegedFunction {
        let right = Baseline::from_answers(owner.to_vec());
        let (confidence, evidence) = match other.each_ref().map(|one| sameness(&right, one)) {
            [Sameness::Same, Sameness::Same] => {
                (Confidence::Confirmed, "the second user gets the answer of the first, twice")
            }
            [Sameness::Other, _] | [_, Sameness::Other] => return Ok(None),
            _ => (
                Confidence::Tentative,
                "the second user gets nearly the answer of the first, twice; whether it is that, or what \
                 everybody is shown around it, cannot be told",
            ),
        };
        let title = "another user may do what only the first has the right to";
        return Ok(Some(Sight { rule: &FUNCTION, title, confidence, evidence }));
    }
    let (confidence, evidence) = match shown(owner, other) {
        Shown::Same => (
            Confidence::Confirmed,
            "the second user is shown the ids, owners and data of the first, twice",
        ),
        Shown::Alike => (
            Confidence::Tentative,
            "the second user is shown nearly the same, twice; whether it is the same cannot be told",
        ),
        Shown::Other => return Ok(None),
        Shown::Nothing => {
            let why = format!(
                "{}: what the first user is shown holds no data that could be told apart",
                request.place()
            );
            return Err(ProbeError::Failed(why));
        }
    };
    let title = "another user sees what belongs to the first";
    Ok(Some(Sight { rule: &OBJECT, title, confidence, evidence }))
}
