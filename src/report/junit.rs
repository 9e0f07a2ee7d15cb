//! JUnit XML: a suite a phase, a case a check. What is inconclusive is no pass: it is skipped there,
//! with the reason.

use std::fmt::Write as _;

use super::html::escape;
use super::json::{PhaseSection, Report};

/// One check.
struct Case {
    class: String,
    name: String,
    verdict: String,
    why: String,
    seconds: f64,
}

/// The report as JUnit XML.
pub fn document(report: &Report) -> String {
    let mut suites: Vec<(String, Vec<Case>)> =
        report.phases.iter().map(|phase| (phase.phase.name().to_owned(), cases(phase))).collect();
    let objectives = report.slo_compliance.iter().map(|row| Case {
        class: "shakedown.slo".into(),
        name: format!("{} {}", row.id, row.objective),
        verdict: row.verdict.clone(),
        why: format!("measured {} (n {}): {}{}", row.measured, row.n, row.reason, row.bound),
        seconds: 0.0,
    });
    suites.push(("objectives".into(), objectives.collect()));
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (name, cases) in &suites {
        // Writing into a String cannot fail.
        let _ = suite(&mut xml, name, cases);
    }
    xml + "</testsuites>\n"
}

fn cases(phase: &PhaseSection) -> Vec<Case> {
    let name = phase.phase.name();
    let mut cases = vec![Case {
        class: format!("shakedown.{name}"),
        name: name.to_owned(),
        verdict: phase.status.clone(),
        why: phase.reason.clone(),
        seconds: phase.seconds,
    }];
    let thresholds = phase.load.iter().flat_map(|load| &load.thresholds);
    cases.extend(thresholds.map(|row| Case {
        class: format!("shakedown.{name}.thresholds"),
        name: format!("{} {}", row.metric, row.threshold),
        verdict: row.verdict.clone(),
        why: format!("measured {} (n {}) {}", row.value, row.n, row.reason),
        seconds: 0.0,
    }));
    let experiments = phase.chaos.iter().flat_map(|chaos| &chaos.experiments);
    cases.extend(experiments.map(|row| Case {
        class: format!("shakedown.{name}.{}", row.kind),
        name: row.title.clone(),
        verdict: row.verdict.clone(),
        why: row.reason.clone(),
        seconds: 0.0,
    }));
    for drill in &phase.backup {
        cases.extend(drill.stores.iter().map(|store| Case {
            class: format!("shakedown.{name}.{}", store.store),
            name: format!("{} backup of {}", drill.way, store.store),
            verdict: store.verdict.clone().unwrap_or_else(|| "aborted".into()),
            why: store.reason.clone(),
            seconds: store.steps.iter().map(|step| step.ms / 1e3).sum(),
        }));
    }
    cases
}

fn suite(xml: &mut String, name: &str, cases: &[Case]) -> std::fmt::Result {
    let count = |wanted: fn(&str) -> bool| cases.iter().filter(|c| wanted(&c.verdict)).count();
    writeln!(
        xml,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        escape(name),
        cases.len(),
        count(is_failure),
        count(is_error),
        count(is_skipped)
    )?;
    for case in cases {
        let message = escape(&format!("{}: {}", case.verdict, case.why));
        let inside = match case.verdict.as_str() {
            verdict if is_failure(verdict) => format!("<failure message=\"{message}\"/>"),
            verdict if is_error(verdict) => format!("<error message=\"{message}\"/>"),
            verdict if is_skipped(verdict) => format!("<skipped message=\"{message}\"/>"),
            _ => String::new(),
        };
        writeln!(
            xml,
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\">{inside}</testcase>",
            escape(&case.class),
            escape(&case.name),
            case.seconds
        )?;
    }
    writeln!(xml, "  </testsuite>")
}

fn is_failure(verdict: &str) -> bool {
    verdict == "fail"
}

fn is_error(verdict: &str) -> bool {
    matches!(verdict, "invalid" | "aborted" | "running")
}

fn is_skipped(verdict: &str) -> bool {
    matches!(verdict, "inconclusive" | "skipped" | "pending")
}
