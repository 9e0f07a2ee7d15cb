//! Rate limiting: a hundred requests at once to something cheap. Runs last, because what it provokes
//! would spoil every other check.

use futures_util::stream::{self, StreamExt};

use super::Outcome;
use crate::run::event::{CheckStatus, Confidence, Finding, Severity};
use crate::security::prober::{ProbeError, Prober, Question};

const REQUESTS: usize = 100;
const AT_ONCE: usize = 20;

/// Asks each of these a hundred times.
pub async fn probe(prober: &Prober, questions: &[Question]) -> Result<Outcome, ProbeError> {
    let mut outcome = Outcome::default();
    for question in questions {
        let answers = stream::iter(0..REQUESTS).map(|_| prober.ask_at_once(question));
        let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
        let mut statuses = Vec::new();
        for answer in answers {
            statuses.push(answer?.status);
        }
        let broke = statuses.iter().filter(|status| **status >= 500 && **status != 503).count();
        let first_refusal = statuses.iter().position(|status| matches!(status, 429 | 503));
        if broke * 10 > REQUESTS {
            outcome.status = Some(CheckStatus::Vulnerable);
            outcome.findings.push(found(
                question,
                "SDK-RATE-002",
                "a hundred requests break it",
                Severity::High,
                format!("{broke} of {REQUESTS} answered with 5xx"),
            ));
        } else if first_refusal.is_none() {
            outcome.findings.push(found(
                question,
                "SDK-RATE-001",
                "no rate limit",
                Severity::Low,
                format!("none observed within {REQUESTS} requests, {AT_ONCE} at once"),
            ));
        }
    }
    outcome.coverage = format!("{} requests, {REQUESTS} times each", questions.len());
    Ok(outcome)
}

fn found(
    question: &Question,
    rule: &str,
    title: &str,
    severity: Severity,
    evidence: String,
) -> Finding {
    Finding {
        rule: rule.into(),
        title: title.into(),
        severity,
        confidence: Confidence::Firm,
        cwe: 770,
        place: question.place(),
        evidence,
        remedy: "answer 429 with Retry-After above a limit per client".into(),
    }
}
