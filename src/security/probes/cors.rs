//! Cross-origin resource sharing: which foreign pages may read answers. Allowing credentials alone is
//! no finding; only an origin that should not be trusted and is.

use super::Outcome;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::prober::{ProbeError, Prober, Question};

/// Asks with origins that nobody trusts, twice each, and with one that says nothing.
pub async fn probe(
    prober: &Prober,
    questions: &[Question],
    mark: &str,
) -> Result<Outcome, ProbeError> {
    let mut outcome = Outcome::default();
    for question in questions {
        for (origin, other) in origins(mark) {
            let answer = prober.ask(&question.clone().with("origin", &origin)).await?;
            let allowed = answer.header("access-control-allow-origin").to_owned();
            let credentials = answer.header("access-control-allow-credentials") == "true";
            if allowed != origin {
                continue;
            }
            // The control: another stranger. Who reflects one reflects the other.
            let control = prober.ask(&question.clone().with("origin", &other)).await?;
            if control.header("access-control-allow-origin") != other {
                continue;
            }
            outcome.findings.push(Finding {
                rule: if origin == "null" { "SDK-CORS-002" } else { "SDK-CORS-001" }.into(),
                title: "any page may read answers".into(),
                severity: if credentials { Severity::High } else { Severity::Medium },
                confidence: Confidence::Confirmed,
                cwe: 942,
                place: question.place(),
                evidence: format!(
                    "Origin: {origin} is answered with access-control-allow-origin: {origin}, \
                     credentials {credentials}; so is {other}"
                ),
                remedy: "compare the origin with a list of exact names".into(),
            });
            break;
        }
    }
    outcome.coverage = format!("{} requests, three strange origins each", questions.len());
    Ok(outcome)
}

/// Strange origins, each with another of its kind.
fn origins(mark: &str) -> [(String, String); 3] {
    [
        (format!("https://{mark}.example"), format!("https://{mark}-other.example")),
        ("null".into(), "null".into()),
        (format!("http://localhost.{mark}.example"), format!("http://localhost.{mark}.invalid")),
    ]
}
