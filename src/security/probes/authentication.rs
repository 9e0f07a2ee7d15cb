//! Authentication bypass: what is answered with credentials must not be answered without them, with
//! wrong ones, or with malformed ones.

use reqwest::header::{AUTHORIZATION, HeaderValue};

use super::{Outcome, similar};
use crate::run::event::{CheckStatus, Confidence, Finding, Severity};
use crate::security::prober::{ProbeError, Prober, Question};

/// What is sent in the place of credentials; the first is nothing at all.
const ATTEMPTS: [(&str, Option<&str>); 5] = [
    ("no credentials", None),
    ("an empty bearer token", Some("Bearer ")),
    ("a foreign bearer token", Some("Bearer shakedown-is-not-known-here")),
    ("another scheme", Some("Basic c2hha2Vkb3duOnNoYWtlZG93bg==")),
    (
        "an unsigned token of an administrator",
        Some(
            "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJhZG1pbiJ9.",
        ),
    ),
];

/// Without credentials there is something to test only where a service says that it asks for some.
async fn unsecured(prober: &Prober) -> Result<Outcome, ProbeError> {
    for service in prober.services() {
        let answer = prober.ask(&Question::get(service, "/openapi.json")).await?;
        if !answer.is_success() || answer.body.contains("\"security\"") {
            let why = format!(
                "no operation of {service} with credentials is configured (services.{service}.\
                 endpoint.auth and security.operations)"
            );
            return Ok(Outcome::not_tested(why));
        }
    }
    Ok(Outcome::not_applicable("every service describes itself as open to everybody"))
}

/// Tries every secured request without the right to it.
pub async fn probe(prober: &Prober, secured: &[Question]) -> Result<Outcome, ProbeError> {
    if secured.is_empty() {
        return unsecured(prober).await;
    }
    let mut outcome = Outcome::default();
    for question in secured {
        let baseline = prober.ask(question).await?;
        if !baseline.is_success() {
            outcome.status = Some(CheckStatus::Error);
            outcome.coverage =
                format!("{}: the right credentials get {}", question.place(), baseline.status);
            return Ok(outcome);
        }
        for (words, credentials) in ATTEMPTS {
            let mut attempt = Question { credentials: false, ..question.clone() };
            if let Some(value) = credentials {
                attempt.headers.push((AUTHORIZATION, HeaderValue::from_static(value)));
            }
            let (first, again) = (prober.ask(&attempt).await?, prober.ask(&attempt).await?);
            if first.is_success() && similar(&first, &baseline) && similar(&again, &baseline) {
                outcome.findings.push(Finding {
                    rule: "SDK-AUTH-001".into(),
                    title: format!("answered with {words}"),
                    severity: Severity::Critical,
                    confidence: Confidence::Confirmed,
                    cwe: 287,
                    place: question.place(),
                    evidence: format!(
                        "status {} and the same answer as with credentials, twice",
                        first.status
                    ),
                    remedy: "refuse with 401 whatever does not carry valid credentials".into(),
                });
            }
        }
    }
    outcome.coverage = format!("{} requests, {} attempts each", secured.len(), ATTEMPTS.len());
    Ok(outcome)
}
