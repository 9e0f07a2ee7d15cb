//! Rate limiting: a hundred requests at once to something cheap, to a login with a throw-away user, and
//! to what costs much where it is named. Runs last, because what it provokes would spoil every other
//! check.

mod burst;
mod judge;

use reqwest::Method;

use super::cover;
use crate::config::{CheckKind, Login};
use crate::run::event::{CheckStatus, Confidence};
use crate::security::context::AuditContext;
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::request::{Identity, Request};
use crate::security::surface::{Operation, Source};

use burst::Burst;
use judge::{Kind, judge};

/// Asks each of these a hundred times.
pub async fn probe(context: &AuditContext<'_>, outcome: &mut Outcome) -> Result<(), ProbeError> {
    let asked = asked(context)?;
    if asked.is_empty() {
        *outcome = Outcome::not_tested("no service has an operation that can be asked");
        return Ok(());
    }
    let mut seen = Vec::new();
    let made = each(context, &asked, outcome, &mut seen).await;
    if context.config.security.login.is_none() {
        seen.push("login not tested, security.login is not configured".into());
    }
    cover(outcome, seen.join("; "));
    made
}

/// What is asked: a request, where it is, and what it costs.
type Asked = (Request, String, Kind);

fn asked(context: &AuditContext<'_>) -> Result<Vec<Asked>, ProbeError> {
    let mut asked: Vec<Asked> = Vec::new();
    for service in context.prober.homes().all() {
        let own = context.surface.operations.iter();
        let own = own.filter(|one| context.prober.homes().of(one.request.service) == service);
        if let Some(cheap) = own.min_by_key(|one| cost(one)) {
            asked.push((cheap.request.clone(), cheap.place(), Kind::Cheap));
        }
    }
    for costly in &context.config.security.expensive {
        let request = Request::audited(costly);
        let place = request.place();
        asked.push((request, place, Kind::Expensive));
    }
    if let Some(login) = &context.config.security.login {
        let request = wrong_login(login).map_err(ProbeError::Failed)?;
        let place = request.place();
        asked.push((request, place, Kind::Login));
    }
    Ok(asked)
}

/// Asks one after the other, and tells what was seen. What one of them showed stands, whatever ends the rest.
async fn each(
    context: &AuditContext<'_>,
    asked: &[Asked],
    outcome: &mut Outcome,
    seen: &mut Vec<String>,
) -> Result<(), ProbeError> {
    for (done, (request, place, kind)) in asked.iter().enumerate() {
        context.progress(CheckKind::RateLimit, done, asked.len(), place);
        let burst = match Burst::confirmed(context, request).await {
            Ok(burst) => burst,
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(ProbeError::Failed(why)) => {
                outcome.status = Some(CheckStatus::Error);
                seen.push(why);
                continue;
            }
        };
        let bypass = burst.bypass(context, request).await;
        *outcome.tested.get_or_insert(0) += 1;
        seen.push(format!("{place}: {}", burst.words()));
        let (bypass, ended) = match bypass {
            Ok(bypass) => (bypass, Ok(())),
            Err(error) => (None, Err(error)),
        };
        let findings = judge(*kind, place, &burst, bypass);
        let is_open = findings.iter().any(|one| one.confidence == Confidence::Tentative);
        if burst.is_undecided() || is_open {
            outcome.status.get_or_insert(CheckStatus::NotTested);
        }
        outcome.findings.extend(findings);
        ended?;
    }
    Ok(())
}

/// What is asked rather than something else: what reads, without a model behind it, and not health,
/// which is often without a limit on purpose.
fn cost(operation: &Operation) -> u8 {
    let is_get = operation.request.method == Method::GET;
    match (operation.source, is_get) {
        (Source::Configured | Source::Description | Source::Link, true) => 0,
        (Source::Service, false) => 1,
        (Source::Service, true) => 2,
        (Source::Tool, _) => 3,
        _ => 4,
    }
}

/// A login with a wrong password; the throw-away user may be locked out by it.
fn wrong_login(login: &Login) -> Result<Request, String> {
    let user = login.user.read_name().map_err(|error| error.to_string())?;
    let request = Request::of(login.service, &login.request).by(Identity::Nobody);
    let points = request.points();
    Ok(points.iter().fold(request, |request, point| {
        let value = point.original.replace("{user}", &user);
        let value = value.replace("{password}", "shakedown-wrong-password");
        if value == point.original { request } else { request.put(point, &value) }
    }))
}
