//! JUnit XML: a suite a phase, a case a check. What is inconclusive is no pass: it is skipped there,
//! with the reason.

use std::fmt::Write as _;

use super::cases::{Case, CaseStatus, Suite, suites};
use super::html::escape;
use super::json::Report;

/// The report as JUnit XML.
pub fn document(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in suites(report) {
        // Writing into a String cannot fail.
        let _ = write_suite(&mut xml, &suite);
    }
    xml + "</testsuites>\n"
}

fn write_suite(xml: &mut String, suite: &Suite) -> std::fmt::Result {
    let count = |status| suite.cases.iter().filter(|case| case.status() == status).count();
    writeln!(
        xml,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        escape(&suite.name),
        suite.cases.len(),
        count(CaseStatus::Failed),
        count(CaseStatus::Broken),
        count(CaseStatus::Skipped)
    )?;
    for case in &suite.cases {
        writeln!(
            xml,
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\">{}</testcase>",
            escape(&case.class),
            escape(&case.name),
            case.seconds,
            outcome(case)
        )?;
    }
    writeln!(xml, "  </testsuite>")
}

fn outcome(case: &Case) -> String {
    let message = escape(&format!("{}: {}", case.verdict, case.why));
    match case.status() {
        CaseStatus::Passed => String::new(),
        CaseStatus::Failed => format!("<failure message=\"{message}\"/>"),
        CaseStatus::Broken => format!("<error message=\"{message}\"/>"),
        CaseStatus::Skipped => format!("<skipped message=\"{message}\"/>"),
    }
}
