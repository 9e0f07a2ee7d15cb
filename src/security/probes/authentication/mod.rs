//! Authentication bypass: what is answered with credentials must not be answered without them, with
//! wrong, malformed or forged ones, by another spelling of the path, or to another user.

mod credentials;
mod forged;
pub mod jwt;
mod owned;
mod sameness;
mod tricks;
mod users;

use std::collections::HashSet;

use super::cover;
use crate::config::CheckKind;
use crate::run::event::{CheckStatus, Confidence, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::baseline::Baseline;
use crate::security::context::{AuditContext, Test, Tested};
use crate::security::evidence::exchange;
use crate::security::landing;
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::probes::xss::token;
use crate::security::replaced::attacked;
use crate::security::request::{Identity, Request};
use crate::security::rules::{BYPASS, Rule};
use crate::security::surface::{Operation, Source};

use sameness::{Sameness, sameness};

/// Places of a form in which something is put that may show.
const MAX_TRIED: usize = 6;

/// Tries every operation that needs credentials without the right to it.
pub async fn probe(context: &AuditContext<'_>, outcome: &mut Outcome) -> Result<(), ProbeError> {
    let operations: Vec<&Operation> =
        context.surface.operations.iter().filter(|one| is_secured(context, one)).collect();
    let private = &context.config.security.private;
    if operations.is_empty() && private.is_empty() {
        *outcome = nothing_secured(context);
        return Ok(());
    }
    let n = operations.len();
    let mut known = HashSet::new();
    outcome.findings.extend(context.prober.services().filter_map(|service| {
        let (_, value) = context.prober.credentials(service)?;
        context.prober.looked().at(service.name());
        // Services may share their credentials.
        known.insert(value.clone()).then(|| forged::weak_key(service, &value))?
    }));
    let attacked = |one| attacked(context, one, attack(context, one));
    let tests = operations.into_iter().map(|one| Test::new(one, attacked(one))).collect();
    context.each(CheckKind::Auth, tests, outcome).await?;
    let between = users::probe(context, outcome).await?;
    cover(outcome, format!("{n} operations that need credentials; between users: {between}"));
    Ok(())
}

/// Whether an operation is known to need credentials: it says so, or it is one of those that are named
/// on a service that has some.
fn is_secured(context: &AuditContext<'_>, operation: &Operation) -> bool {
    let has = context.prober.credentials(operation.request.service).is_some();
    let named = matches!(operation.source, Source::Configured | Source::Service | Source::Tool);
    operation.secured.unwrap_or(has && named)
}

fn nothing_secured(context: &AuditContext<'_>) -> Outcome {
    let services: Vec<_> = context.prober.homes().all().collect();
    // Any description may be that of a service behind the same address.
    let open = context.surface.asks_credentials.is_empty()
        && services.iter().all(|service| {
            context.surface.described.contains(service)
                && context.prober.credentials(*service).is_none()
        });
    if open && !services.is_empty() {
        return Outcome::not_applicable("every service describes itself as open to everybody");
    }
    Outcome::not_tested(
        "no operation that needs credentials is known: configure services.*.endpoint.auth with \
         security.operations, or a description that says so",
    )
}

/// An operation under attack.
struct Attack<'a> {
    context: &'a AuditContext<'a>,
    operation: &'a Operation,
    /// What the right credentials get; none where there are none.
    baseline: Option<Baseline>,
}

/// An answer to a request that had no right to it.
struct Inside {
    answer: Answer,
    /// Whether it is only nearly that of the right credentials.
    alike: bool,
}

async fn attack(context: &AuditContext<'_>, operation: &Operation) -> Result<Tested, ProbeError> {
    let mut tested = Tested::default();
    let service = operation.request.service;
    let baseline = match context.prober.credentials(service) {
        None => None,
        Some(_) => {
            let baseline = Baseline::of(context.prober, &operation.request).await?;
            if let Some(answer) = baseline.refused() {
                tested.open = Some(format!("the right credentials get {}", answer.words()));
                return Ok(tested);
            }
            Some(baseline)
        }
    };
    let attack = Attack { context, operation, baseline };
    let wrong = attack.wrong_credentials().await?;
    let open = wrong.iter().any(|finding| finding.rule == BYPASS.id);
    tested.findings.extend(wrong);
    // Where nothing is checked there is nothing to get around.
    if !open {
        tested.findings.extend(attack.tricks().await?);
        tested.findings.extend(attack.forged_tokens().await?);
    }
    Ok(tested)
}

impl Attack<'_> {
    /// Whether a request without the right to it is answered as if it had it, twice, and how sure that is.
    async fn gets_in(&self, request: &Request) -> Result<Option<Inside>, ProbeError> {
        let first = landing::ask(self.context.prober, request).await?;
        let once = self.sameness(&first);
        if once == Sameness::Other {
            return Ok(None);
        }
        let again = landing::ask(self.context.prober, request).await?;
        let twice = self.sameness(&again);
        if twice == Sameness::Other {
            return Ok(None);
        }
        let alike = [once, twice].contains(&Sameness::Alike);
        if alike && let Some(answer) = self.effect(request).await? {
            return Ok(Some(Inside { answer, alike: false }));
        }
        Ok(Some(Inside { answer: first, alike }))
    }

    /// The page that a form leads to with what it was sent on it, shown to the right credentials, twice;
    /// nothing where that decides nothing.
    async fn effect(&self, request: &Request) -> Result<Option<Answer>, ProbeError> {
        let leads = self.baseline.as_ref().and_then(Baseline::first).and_then(Answer::landing);
        if leads.is_none() || !self.is_declared() {
            return Ok(None);
        }
        let data = self.operation.points.iter().filter(|point| point.is_data());
        for point in data.take(MAX_TRIED) {
            let mut shown = None;
            for _ in 0..2 {
                let token = token();
                let answer = landing::ask(self.context.prober, &request.put(point, &token)).await?;
                let stands = answer.landing() == leads && answer.body.contains(&token);
                shown = stands.then_some(answer);
                if !stands {
                    break;
                }
            }
            if shown.is_some() {
                return Ok(shown);
            }
        }
        Ok(None)
    }

    fn sameness(&self, answer: &Answer) -> Sameness {
        match &self.baseline {
            Some(baseline) => sameness(baseline, answer),
            // Without credentials there is only what the description says.
            None => {
                let request = &self.operation.request;
                let missing = self.context.calibration.is_missing(request, answer);
                if answer.is_taken() && !missing { Sameness::Same } else { Sameness::Other }
            }
        }
    }

    fn finding(
        &self,
        rule: &Rule,
        parameter: &str,
        title: String,
        request: &Request,
        inside: &Inside,
    ) -> Finding {
        let place = self.operation.place();
        let mut finding = rule.finding(Severity::Critical, &place, Some(parameter));
        finding.title = title;
        let Inside { answer, alike } = inside;
        let status = answer.words();
        let right = self.baseline.as_ref().and_then(Baseline::first);
        (finding.confidence, finding.evidence) = match (right, self.is_declared()) {
            (Some(_), _) if *alike => (
                Confidence::Tentative,
                format!(
                    "{status} and nearly the answer of the right credentials, twice; whether it is that, \
                     or what everybody is shown around it, cannot be told"
                ),
            ),
            (Some(right), true) if right.landed.is_some() => (
                Confidence::Confirmed,
                format!("status {status}, and what was sent stands there, twice"),
            ),
            (Some(_), true) => (
                Confidence::Confirmed,
                format!("status {status} and the answer of the right credentials, twice"),
            ),
            // It may be meant for everybody.
            (Some(_), false) => (
                Confidence::Tentative,
                format!(
                    "status {status} and the answer of the right credentials, twice; nothing says \
                     whether it needs any"
                ),
            ),
            (None, _) => (
                Confidence::Firm,
                format!("status {status} twice; the description says that it needs credentials"),
            ),
        };
        finding.exchanges = vec![exchange("attack", request, answer, "")];
        let control = right.map(|right| exchange("control", &self.operation.request, right, ""));
        finding.exchanges.extend(control);
        finding
    }

    /// Whether more than a list of requests says that credentials are needed: the description, or
    /// that the service itself is configured with some for this.
    fn is_declared(&self) -> bool {
        self.operation.secured == Some(true) || self.operation.source != Source::Configured
    }

    /// The request without the configured credentials.
    fn bare(&self) -> Request {
        self.operation.request.clone().by(Identity::Nobody)
    }
}

/// A check that something kept from being made.
fn leave_open(outcome: &mut Outcome, why: String) {
    outcome.status = Some(CheckStatus::NotTested);
    cover(outcome, why);
}
