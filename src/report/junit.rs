//! JUnit XML: a suite a phase, a case a check. What is inconclusive is no pass: it is skipped there,
//! with the reason.

use std::fmt::Write as _;

use super::cases::{Case, CaseStatus, Suite, suites};
use super::html::escape;
use super::json::Report;

/// The report as JUnit XML.
pub fn document(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing into a String cannot fail.
    let _ = write_suites(&mut xml, &suites(report));
    xml
}

fn write_suites(xml: &mut String, suites: &[Suite]) -> std::fmt::Result {
    let all = totals(suites.iter().flat_map(|suite| &suite.cases));
    writeln!(xml, "<testsuites name=\"shakedown\" {all}>")?;
    suites.iter().try_for_each(|suite| write_suite(xml, suite))?;
    writeln!(xml, "</testsuites>")
}

fn count<'a>(cases: impl Iterator<Item = &'a Case>, status: CaseStatus) -> usize {
    cases.filter(|case| case.status() == status).count()
}

/// Counts and time of cases, as the attributes that suites have and a set of suites has too.
fn totals<'a>(cases: impl Iterator<Item = &'a Case> + Clone) -> String {
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\"",
        cases.clone().count(),
        count(cases.clone(), CaseStatus::Failed),
        count(cases.clone(), CaseStatus::Broken),
        cases.map(|case| case.seconds).sum::<f64>()
    )
}

fn write_suite(xml: &mut String, suite: &Suite) -> std::fmt::Result {
    let (name, totals) = (escape(&suite.name), totals(suite.cases.iter()));
    let skipped = count(suite.cases.iter(), CaseStatus::Skipped);
    writeln!(xml, "  <testsuite name=\"{name}\" {totals} skipped=\"{skipped}\">")?;
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
