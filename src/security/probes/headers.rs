//! Security headers, by the profile of a JSON API: what a browser or proxy could be led astray by.

use super::Outcome;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::prober::{Answer, ProbeError, Prober, Question};

/// Half a year, the least that counts for strict transport security.
const LEAST_HSTS_SECONDS: u64 = 15_768_000;

/// Asks every service for its health and for something that is not there: error pages come from other
/// code than answers.
pub async fn probe(prober: &Prober, health: &[Question]) -> Result<Outcome, ProbeError> {
    let mut outcome = Outcome::default();
    for question in health {
        let missing = Question::get(question.service, "/shakedown-nothing-is-here");
        for question in [question, &missing] {
            let answer = prober.ask(question).await?;
            outcome.findings.extend(judge(question, &answer, prober.is_tls(question.service)));
        }
    }
    // The same header that is missing on both pages of a service is one finding.
    let mut seen = std::collections::HashSet::new();
    outcome.findings.retain(|finding| {
        let service = finding.place.split(' ').next().unwrap_or_default().to_owned();
        seen.insert((finding.rule.clone(), service))
    });
    outcome.coverage = format!("{} services, an answer and an error page each", health.len());
    Ok(outcome)
}

fn judge(question: &Question, answer: &Answer, tls: bool) -> Vec<Finding> {
    let finding = |rule: &str, title: &str, severity, evidence: String, remedy: &str| Finding {
        rule: rule.into(),
        title: title.into(),
        severity,
        confidence: Confidence::Firm,
        cwe: 693,
        place: question.place(),
        evidence,
        remedy: remedy.into(),
    };
    let mut findings = Vec::new();
    if !answer.header("x-content-type-options").eq_ignore_ascii_case("nosniff") {
        findings.push(finding(
            "SDK-HEAD-001",
            "content types may be guessed",
            Severity::Low,
            format!("x-content-type-options: `{}`", answer.header("x-content-type-options")),
            "send X-Content-Type-Options: nosniff",
        ));
    }
    for name in ["server", "x-powered-by"] {
        let value = answer.header(name);
        if value.bytes().any(|byte| byte.is_ascii_digit()) {
            findings.push(finding(
                "SDK-HEAD-002",
                "a header tells the version of the software",
                Severity::Low,
                format!("{name}: {}", crate::platform::text::excerpt(value)),
                "leave the version out",
            ));
        }
    }
    if tls {
        let value = answer.header("strict-transport-security").to_lowercase();
        let age =
            value.split(';').find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok());
        if age.is_none_or(|age: u64| age < LEAST_HSTS_SECONDS) {
            findings.push(finding(
                "SDK-HEAD-003",
                "TLS may be stripped",
                Severity::Medium,
                format!("strict-transport-security: `{}`", crate::platform::text::excerpt(&value)),
                "send Strict-Transport-Security with a max-age of a year",
            ));
        }
    }
    if answer.header("content-type").starts_with("text/html")
        && answer.header("content-security-policy").is_empty()
    {
        findings.push(finding(
            "SDK-HEAD-004",
            "an HTML page without a content security policy",
            Severity::Medium,
            "content-security-policy is not there".into(),
            "send a Content-Security-Policy without unsafe-inline",
        ));
    }
    findings
}
