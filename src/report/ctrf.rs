//! CTRF, the Common Test Report Format (<https://ctrf.io>): one test a check. What is inconclusive is
//! `other` there, with our own word as its raw status.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cases::{Case, CaseStatus, suites};
use super::json::Report;

/// The version of the format that is written.
const SPEC_VERSION: &str = "0.0.0";

/// The report as CTRF.
pub fn document(report: &Report) -> Value {
    let mut tests = Vec::new();
    let mut counts = std::collections::BTreeMap::from(
        ["passed", "failed", "skipped", "pending", "other"].map(|word| (word, 0)),
    );
    for suite in suites(report) {
        for case in &suite.cases {
            *counts.entry(word(case)).or_default() += 1;
            tests.push(test(&suite.name, case));
        }
    }
    let run = report.run.as_ref();
    let time = |of: Option<&String>| {
        let parsed = of.and_then(|text| text.parse::<Timestamp>().ok());
        parsed.map_or(0, Timestamp::as_millisecond)
    };
    let mut summary = json!({
        "tests": tests.len(),
        "start": time(run.and_then(|run| run.created.as_ref())),
        "stop": time(run.and_then(|run| run.last_event.as_ref())),
    });
    for (word, count) in counts {
        summary[word] = count.into();
    }
    json!({
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        "generatedBy": "shakedown",
        "results": {
            "tool": {
                "name": "shakedown",
                "version": run.map_or(env!("CARGO_PKG_VERSION"), |run| &run.shakedown_version),
            },
            "summary": summary,
            "tests": tests,
            "environment": {
                "appName": run.map_or("", |run| &run.target),
                "testEnvironment": run.map_or("", |run| &run.environment),
            },
            "extra": { "verdict": report.verdict, "run": run.map(|run| &run.id) },
        },
    })
}

fn test(suite: &str, case: &Case) -> Value {
    json!({
        "name": case.name,
        "status": word(case),
        "rawStatus": case.verdict,
        "duration": (case.seconds * 1000.0) as u64,
        "suite": [suite],
        "message": case.why,
    })
}

fn word(case: &Case) -> &'static str {
    match (case.status(), case.verdict.as_str()) {
        (CaseStatus::Passed, _) => "passed",
        (CaseStatus::Failed, _) => "failed",
        (CaseStatus::Broken, _) | (CaseStatus::Skipped, "inconclusive") => "other",
        (CaseStatus::Skipped, "pending") => "pending",
        (CaseStatus::Skipped, _) => "skipped",
    }
}
