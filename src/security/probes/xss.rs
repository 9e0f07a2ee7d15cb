//! Cross-site scripting: a mark that comes back unescaped in a page that a browser would take for
//! HTML. A JSON answer that repeats it is none.

use super::Outcome;
use super::sql_injection::{replaced, texts};
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::prober::{Answer, ProbeError, Prober, Question};

/// Sends a mark in every text of these requests, and looks where it comes back.
pub async fn probe(
    prober: &Prober,
    questions: &[Question],
    mark: &str,
) -> Result<Outcome, ProbeError> {
    let mut outcome = Outcome::default();
    let mut points = 0;
    for question in questions {
        for pointer in texts(question.operation.body.as_ref()) {
            points += 1;
            let attack = |n: u32| format!("{mark}{n}\"'><sdk{n}>");
            let mut reflected = 0;
            for n in 1..=2 {
                let sent = replaced(question, &pointer, attack(n));
                let answer = prober.ask(&sent).await?;
                reflected +=
                    u32::from(is_html(&answer) && answer.body.contains(&format!("<sdk{n}>")));
            }
            if reflected == 2 {
                outcome.findings.push(Finding {
                    rule: "SDK-XSS-001".into(),
                    title: format!("{pointer} comes back as HTML"),
                    severity: Severity::High,
                    confidence: Confidence::Confirmed,
                    cwe: 79,
                    place: question.place(),
                    evidence: "an element of ours stands unescaped in the page, with two marks"
                        .into(),
                    remedy: "escape on output, by the place in which a value stands".into(),
                });
            }
        }
    }
    if points == 0 {
        let why = "no operation with a text is configured in security.operations";
        return Ok(Outcome::not_tested(why));
    }
    outcome.coverage = format!("{points} texts in {} requests", questions.len());
    Ok(outcome)
}

/// Whether a browser would parse the answer as HTML.
fn is_html(answer: &Answer) -> bool {
    let kind = answer.header("content-type").to_lowercase();
    let html = ["text/html", "application/xhtml", "image/svg", "text/xml"];
    html.iter().any(|html| kind.starts_with(html))
        || (kind.is_empty() && answer.header("x-content-type-options") != "nosniff")
}
