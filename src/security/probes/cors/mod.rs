//! Cross-origin resource sharing: which foreign pages may read answers. Allowing credentials alone is
//! no finding, and neither is `*` on what is public; only an origin that should not be trusted and is.

mod origins;

use std::collections::BTreeMap;

use reqwest::Method;

use super::cover;
use crate::config::{CheckKind, ServiceKind};
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::context::{AuditContext, Test, Tested};
use crate::security::evidence::exchange;
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::request::Request;
use crate::security::rules::{
    ANY_ORIGIN, LOOKALIKE_ORIGIN, NULL_ORIGIN, PLAIN_ORIGIN, Rule, SUBDOMAIN_ORIGIN,
};
use crate::security::surface::Operation;

use origins::{Kind, Lookalike, lookalikes, strangers};

/// Operations of each service that are asked.
const MAX_OPERATIONS: usize = 100;
/// Other places of a finding that are named.
const TOLD: usize = 10;
/// Trusted origins whose lookalikes are tried.
const MAX_TRUSTED: usize = 4;

/// Asks with origins that nobody trusts, and with such that look like trusted ones.
pub async fn probe(context: &AuditContext<'_>, outcome: &mut Outcome) -> Result<(), ProbeError> {
    let mut chosen: Vec<&Operation> = Vec::new();
    for service in context.prober.homes().all() {
        let own = context.surface.operations.iter();
        let own = own.filter(|one| context.prober.homes().of(one.request.service) == service);
        chosen.extend(own.take(MAX_OPERATIONS));
    }
    let asked = chosen.len();
    let tests = chosen.into_iter().map(|one| Test::new(one, attack(context, one))).collect();
    context.each(CheckKind::Cors, tests, outcome).await?;
    outcome.findings = by_service(std::mem::take(&mut outcome.findings));
    cover(outcome, format!("{asked} operations, strange, null and lookalike origins, preflights"));
    Ok(())
}

/// What is wrong on every operation of a service is one finding: the worst, with where else it is.
fn by_service(findings: Vec<Finding>) -> Vec<Finding> {
    let mut kept: BTreeMap<(String, String), (Finding, Vec<String>)> = BTreeMap::new();
    for finding in findings {
        let service = finding.place.split(' ').next().unwrap_or_default().to_owned();
        let place = kept.entry((service, finding.rule.clone()));
        let (worst, places) = place.or_insert_with(|| (finding.clone(), Vec::new()));
        places.push(finding.place.clone());
        if finding.severity > worst.severity {
            *worst = finding;
        }
    }
    let told = |(mut finding, mut places): (Finding, Vec<String>)| {
        places.retain(|place| *place != finding.place);
        let more = places.len().saturating_sub(TOLD);
        places.truncate(TOLD);
        if !places.is_empty() {
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            finding.evidence += &format!("; also at {}{more}", places.join(", "));
        }
        finding
    };
    kept.into_values().map(told).collect()
}

struct Attack<'a> {
    context: &'a AuditContext<'a>,
    operation: &'a Operation,
}

/// What an answer lets an origin do.
struct Grant {
    allowed: bool,
    credentials: bool,
}

fn grant(answer: &Answer, origin: &str) -> Grant {
    Grant {
        allowed: answer.header("access-control-allow-origin") == origin,
        credentials: answer.header("access-control-allow-credentials") == "true",
    }
}

async fn attack(context: &AuditContext<'_>, operation: &Operation) -> Result<Tested, ProbeError> {
    let attack = Attack { context, operation };
    let findings = attack.run().await?.into_iter().collect();
    Ok(Tested { findings, ..Tested::default() })
}

impl Attack<'_> {
    async fn run(&self) -> Result<Option<Finding>, ProbeError> {
        let request = &self.operation.request;
        let [stranger, other] = strangers(self.context.mark);
        let first = self.ask(request, &stranger).await?;
        if grant(&first, &stranger).allowed {
            // The control is another stranger: who reflects one reflects the other.
            return self.confirm(&ANY_ORIGIN, request, &stranger, &other, &first).await;
        }
        let null = self.ask(request, "null").await?;
        if grant(&null, "null").allowed {
            return self.confirm(&NULL_ORIGIN, request, "null", "null", &null).await;
        }
        for trusted in self.trusted(&first) {
            // What does not let the trusted one in compares nothing that could be mistaken for it.
            let right = self.ask(request, &trusted).await?;
            if !grant(&right, &trusted).allowed {
                continue;
            }
            for Lookalike { origin, kind } in lookalikes(&trusted, self.context.mark) {
                let answer = self.ask(request, &origin).await?;
                if grant(&answer, &origin).allowed {
                    let rule = match kind {
                        Kind::Mistaken => &LOOKALIKE_ORIGIN,
                        Kind::Plain => &PLAIN_ORIGIN,
                        Kind::Below => &SUBDOMAIN_ORIGIN,
                    };
                    return self.confirm(rule, request, &origin, &origin, &answer).await;
                }
            }
        }
        for method in ["PUT", "DELETE"] {
            let mut preflight = request.clone().with("access-control-request-method", method);
            preflight = preflight.with("access-control-request-headers", "authorization");
            preflight.method = Method::OPTIONS;
            preflight.body = crate::security::request::Body::Empty;
            let answer = self.ask(&preflight, &stranger).await?;
            let methods = answer.header("access-control-allow-methods").to_uppercase();
            let named = methods.split(',').any(|one| one.trim() == method) || methods.trim() == "*";
            if named && grant(&answer, &stranger).allowed {
                return self.confirm(&ANY_ORIGIN, &preflight, &stranger, &other, &answer).await;
            }
        }
        Ok(None)
    }

    async fn ask(&self, request: &Request, origin: &str) -> Result<Answer, ProbeError> {
        self.context.prober.ask(&request.clone().with("origin", origin)).await
    }

    /// Origins that are trusted on purpose: configured ones, the service's own, and one that an answer
    /// names to whomever it does not trust.
    fn trusted(&self, answer: &Answer) -> Vec<String> {
        let own = self.context.prober.web_origin(self.operation.request.service);
        let named = answer.header("access-control-allow-origin");
        let named = named.contains("://").then(|| named.to_owned());
        let configured = self.context.config.security.trusted_origins.iter().cloned();
        let mut all: Vec<String> = configured.chain(named).chain(own).collect();
        all.dedup();
        all.truncate(MAX_TRUSTED);
        all
    }

    /// Asks once more, with another origin of the kind.
    async fn confirm(
        &self,
        rule: &Rule,
        request: &Request,
        origin: &str,
        other: &str,
        first: &Answer,
    ) -> Result<Option<Finding>, ProbeError> {
        let again = self.ask(request, other).await?;
        let (one, two) = (grant(first, origin), grant(&again, other));
        if !two.allowed {
            return Ok(None);
        }
        // The control: who lets everybody in says so to nobody; who mistakes one refuses a stranger.
        let control = if *rule == ANY_ORIGIN {
            request.clone()
        } else {
            let [stranger, _] = strangers(self.context.mark);
            request.clone().with("origin", &stranger)
        };
        let refused = self.context.prober.ask(&control).await?;
        let credentials = one.credentials && two.credentials;
        let severity = severity(rule, credentials, self.is_private());
        let mut finding = rule.finding(severity, &self.operation.place(), None);
        finding.title = title(rule).into();
        // Nothing says whether those below a trusted one are meant to be trusted too.
        let meant = rule.id == SUBDOMAIN_ORIGIN.id;
        finding.confidence = if meant { Confidence::Tentative } else { Confidence::Confirmed };
        finding.evidence = excerpt(&format!(
            "origin {origin} is allowed, with credentials: {credentials}; so is {other}"
        ));
        let attack = request.clone().with("origin", origin);
        for (role, request, answer) in [("attack", attack, first), ("control", control, &refused)] {
            let mut shown = exchange(role, &request, answer, "");
            shown.response = excerpt(&format!(
                "{} {}",
                answer.status,
                ["access-control-allow-origin", "access-control-allow-credentials"]
                    .map(|name| match answer.header(name) {
                        "" => format!("(no {name})"),
                        value => format!("{name}: {value}"),
                    })
                    .join(" ")
            ));
            finding.exchanges.push(shown);
        }
        Ok(Some(finding))
    }

    /// Whether answers are for one user only.
    fn is_private(&self) -> bool {
        let service: ServiceKind = self.operation.request.service;
        self.operation.secured.unwrap_or(true) && self.context.prober.credentials(service).is_some()
    }
}

fn severity(rule: &Rule, credentials: bool, private: bool) -> Severity {
    if rule.id == SUBDOMAIN_ORIGIN.id {
        return Severity::Low;
    }
    match (rule.id == PLAIN_ORIGIN.id, credentials, private) {
        (false, true, _) => Severity::High,
        (false, false, true) | (true, true, _) => Severity::Medium,
        _ => Severity::Low,
    }
}

fn title(rule: &Rule) -> &'static str {
    if rule.id == NULL_ORIGIN.id {
        "pages without an origin may read answers"
    } else if rule.id == LOOKALIKE_ORIGIN.id {
        "an origin that only looks like a trusted one may read answers"
    } else if rule.id == PLAIN_ORIGIN.id {
        "pages without TLS may read answers"
    } else if rule.id == SUBDOMAIN_ORIGIN.id {
        "whatever is below a trusted origin may read answers"
    } else {
        "any page may read answers"
    }
}
