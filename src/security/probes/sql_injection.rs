//! SQL injection: by error messages that a quote brings and two quotes do not, and by conditions that
//! are true or false. Never a tautology: a condition is only ever added, never widened.

use serde_json::Value;

use super::{Outcome, similar};
use crate::config::Operation;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::prober::{Answer, ProbeError, Prober, Question};

/// What databases and their drivers say when a statement is broken.
const ERRORS: [&str; 14] = [
    "SQL syntax",
    "PG::SyntaxError",
    "psycopg2.",
    "psycopg.errors",
    "asyncpg.",
    "unterminated quoted",
    "Unclosed quotation mark",
    "SQLITE_ERROR",
    "sqlite3.OperationalError",
    "ORA-0",
    "SQLSTATE[",
    "syntax error at or near",
    "near \"'\": syntax error",
    "MySqlException",
];
/// Rounds in which true and false conditions have to differ, with other numbers each time.
const ROUNDS: u64 = 3;

/// Attacks every text in the bodies of these requests.
pub async fn probe(prober: &Prober, questions: &[Question]) -> Result<Outcome, ProbeError> {
    let mut outcome = Outcome::default();
    let mut points = 0;
    for question in questions {
        for pointer in texts(question.operation.body.as_ref()) {
            points += 1;
            if let Some(finding) = attack(prober, question, &pointer).await? {
                outcome.findings.push(finding);
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

async fn attack(
    prober: &Prober,
    question: &Question,
    pointer: &str,
) -> Result<Option<Finding>, ProbeError> {
    let value = original(question, pointer);
    let ask = async |text: String| prober.ask(&replaced(question, pointer, text)).await;
    let baseline = ask(value.clone()).await?;
    let (quote, quotes) = (ask(format!("{value}'")).await?, ask(format!("{value}''")).await?);
    if let Some(error) = error_in(&quote)
        && error_in(&baseline).is_none()
        && error_in(&quotes).is_none()
        && error_in(&ask(format!("{value}'")).await?).is_some()
    {
        let evidence = format!("one quote brings `{error}`, two quotes and none do not, twice");
        return Ok(Some(finding(question, pointer, Confidence::Confirmed, evidence)));
    }
    for round in 0..ROUNDS {
        let number = 1000 + round * 137;
        let yes = ask(format!("{value}' AND {number}={number} AND 'a'='a")).await?;
        let no = ask(format!("{value}' AND {number}={} AND 'a'='a", number + 1)).await?;
        if !similar(&yes, &baseline) || similar(&no, &baseline) || !no.is_success() {
            return Ok(None);
        }
    }
    let evidence = format!(
        "a true condition is answered like the plain value, a false one otherwise, {ROUNDS} times \
         with other numbers"
    );
    Ok(Some(finding(question, pointer, Confidence::Confirmed, evidence)))
}

fn finding(
    question: &Question,
    pointer: &str,
    confidence: Confidence,
    evidence: String,
) -> Finding {
    Finding {
        rule: "SDK-SQLI-001".into(),
        title: format!("SQL injection in {pointer}"),
        severity: Severity::Critical,
        confidence,
        cwe: 89,
        place: question.place(),
        evidence,
        remedy: "pass values as parameters, never as part of a statement".into(),
    }
}

fn error_in(answer: &Answer) -> Option<&'static str> {
    ERRORS.into_iter().find(|error| answer.body.contains(error))
}

/// Pointers to all texts in a body.
pub(super) fn texts(body: Option<&Value>) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::String(_) => found.push(at.to_owned()),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{at}/{index}"), found);
                }
            }
            Value::Object(fields) => {
                for (name, item) in fields {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    walk(item, &format!("{at}/{name}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Some(body) = body {
        walk(body, "", &mut found);
    }
    found
}

fn original(question: &Question, pointer: &str) -> String {
    let value = question.operation.body.as_ref().and_then(|body| body.pointer(pointer));
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The request with another text in one place.
pub(super) fn replaced(question: &Question, pointer: &str, text: String) -> Question {
    let mut body = question.operation.body.clone();
    if let Some(place) = body.as_mut().and_then(|body| body.pointer_mut(pointer)) {
        *place = Value::String(text);
    }
    Question { operation: Operation { body, ..question.operation.clone() }, ..question.clone() }
}
