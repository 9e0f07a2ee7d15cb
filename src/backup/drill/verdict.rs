//! What a drill's findings come to.

use crate::backup::stores::DrillError;
use crate::run::event::{DrillStep, StoreReport, Verdict};

/// Puts verdict and reason into a report.
pub(super) fn decide(
    report: &mut StoreReport,
    step: DrillStep,
    outcome: Result<(), DrillError>,
    stopped: Option<Verdict>,
) {
    let missed = report.verifier_missed();
    let (verdict, reason) = match outcome {
        Ok(()) if missed.is_empty() => (Verdict::Pass, zero_data_loss(report)),
        // It says that nothing was lost, but would not have noticed.
        Ok(()) => {
            let missed = missed.join(", ");
            (
                Verdict::Inconclusive,
                format!("the verifier is not to be trusted, it missed: {missed}"),
            )
        }
        Err(error) => {
            let verdict = stopped.unwrap_or_else(|| failed_in(step, &error));
            // The last step is called by what did not come true.
            let reason = match step {
                DrillStep::DataLoss => error.to_string(),
                step => format!("{}: {error}", step.words()),
            };
            (verdict, reason)
        }
    };
    (report.verdict, report.reason) = (verdict, crate::platform::text::clean(&reason, 400));
    if !report.residue.is_empty() {
        report.verdict = report.verdict.max(Verdict::Fail);
        report.reason += &format!("; still there: {}", report.residue.join(", "));
    }
}

fn zero_data_loss(report: &StoreReport) -> String {
    let records = report.comparison.as_ref().map_or(0, |comparison| comparison.expected);
    format!("zero data loss, {records} records equal one by one")
}

/// Before there is data nothing can be lost, and what is refused before the restore was not tried.
fn failed_in(step: DrillStep, error: &DrillError) -> Verdict {
    let refused = matches!(error, DrillError::Refused(_)) && step <= DrillStep::Destroy;
    let before = matches!(step, DrillStep::Setup | DrillStep::Inject);
    if before || refused { Verdict::Inconclusive } else { Verdict::Fail }
}
