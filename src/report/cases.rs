//! The checks of a run as test cases, for formats that know only suites of those (JUnit, CTRF).

use super::json::{PhaseSection, Report};
use super::slo::ObjectiveRow;

/// What a check means to a reader that knows only tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseStatus {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// Nothing can be said, because the run itself went wrong.
    Broken,
    /// It did not run, or does not decide: never a pass.
    Skipped,
}

/// One check.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it belongs, such as `shakedown.chaos.kill`.
    pub class: String,
    /// Its name.
    pub name: String,
    /// The verdict in our own words.
    pub verdict: String,
    /// Why.
    pub why: String,
    /// Seconds that it took; 0 where that is not known.
    pub seconds: f64,
}

impl Case {
    /// What its verdict means.
    pub fn status(&self) -> CaseStatus {
        match self.verdict.as_str() {
            "pass" => CaseStatus::Passed,
            "fail" | "vulnerable" => CaseStatus::Failed,
            "inconclusive" | "skipped" | "pending" | "not applicable" | "not tested"
            | "blocked" => CaseStatus::Skipped,
            // invalid, aborted, running, error, and whatever a later version says.
            _ => CaseStatus::Broken,
        }
    }
}

/// Cases of one phase, or of the objectives.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Name of the phase, or `objectives`.
    pub name: String,
    /// Its checks.
    pub cases: Vec<Case>,
}

/// All checks of a run, a suite a phase and one for the objectives.
pub fn suites(report: &Report) -> Vec<Suite> {
    let phases = report.phases.iter();
    let mut suites: Vec<Suite> = phases
        .map(|phase| Suite { name: phase.phase.name().to_owned(), cases: of_phase(phase) })
        .collect();
    let objectives = report.slo_compliance.iter().map(|row| Case {
        class: "shakedown.slo".into(),
        name: format!("{} {}", row.id, row.objective),
        verdict: row.verdict.clone(),
        why: found(row),
        seconds: 0.0,
    });
    suites.push(Suite { name: "objectives".into(), cases: objectives.collect() });
    suites
}

/// What was measured, then why it does not decide, then between which bounds it lies.
fn found(row: &ObjectiveRow) -> String {
    format!("measured {} (n {}): {}", row.measured, row.n, row.reason_and_bound())
}

fn of_phase(phase: &PhaseSection) -> Vec<Case> {
    let name = phase.phase.name();
    let case = |class: &str, name: &str, verdict: &str, why: &str| Case {
        class: class.to_owned(),
        name: name.to_owned(),
        verdict: verdict.to_owned(),
        why: why.to_owned(),
        seconds: 0.0,
    };
    let whole = case(&format!("shakedown.{name}"), name, &phase.status, &phase.reason);
    let mut cases = vec![Case { seconds: phase.seconds, ..whole }];
    let thresholds = phase.load.iter().flat_map(|load| &load.thresholds);
    cases.extend(thresholds.map(|row| {
        let why = format!("measured {} (n {}) {}", row.value, row.n, row.reason);
        let title = format!("{} {}", row.metric, row.threshold);
        case(&format!("shakedown.{name}.thresholds"), &title, &row.verdict, &why)
    }));
    let experiments = phase.chaos.iter().flat_map(|chaos| &chaos.experiments);
    cases.extend(experiments.map(|row| {
        let class = format!("shakedown.{name}.{}", row.kind);
        case(&class, &row.title, &row.verdict, &row.reason)
    }));
    let checks = phase.security.iter().flat_map(|security| &security.checks);
    cases.extend(
        checks
            .map(|row| case(&format!("shakedown.{name}"), &row.check, &row.status, &row.coverage)),
    );
    for drill in &phase.backup {
        cases.extend(drill.stores.iter().map(|row| {
            let class = format!("shakedown.{name}.{}", row.store);
            let title = format!("{}: {} backup", row.store, drill.way);
            case(&class, &title, row.verdict.as_deref().unwrap_or("aborted"), &row.reason)
        }));
        cases.extend(drill.skipped.iter().map(|(store, why)| {
            let title = format!("{store}: {} backup", drill.way);
            case(&format!("shakedown.{name}.{store}"), &title, "skipped", why)
        }));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_and_the_bounds_of_an_objective_are_told_apart() {
        let row = |reason: &str, bound: &str| ObjectiveRow {
            id: "p99".into(),
            objective: "< 2000 ms".into(),
            measured: "-".into(),
            n: 0,
            bad: 0,
            bad_ratio: None,
            verdict: "inconclusive".into(),
            reason: reason.into(),
            bound: bound.into(),
            method: String::new(),
            gate: true,
            budget: None,
            whole_window: None,
        };
        let said = [("nothing was measured", "0 to 100 %"), ("", "0 to 1 %"), ("left out", "")]
            .map(|(reason, bound)| found(&row(reason, bound)));
        assert_eq!(
            said,
            [
                "measured - (n 0): nothing was measured; 0 to 100 %",
                "measured - (n 0): 0 to 1 %",
                "measured - (n 0): left out"
            ]
        );
    }
}
