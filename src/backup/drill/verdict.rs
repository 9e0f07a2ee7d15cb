//! What a drill's findings come to. What made a store not pass stands first in its reason.

use crate::backup::stores::{DrillError, Ending};
use crate::platform::text::clean;
use crate::run::event::{DrillStep, StoreReport, Verdict};

/// Longest reason, in characters.
const LONGEST: usize = 400;

/// Puts verdict and reason into a report. `broken_promise` is what is wrong however well the drill
/// itself went.
pub(super) fn decide(
    report: &mut StoreReport,
    step: DrillStep,
    outcome: Result<(), DrillError>,
    broken_promise: Option<&str>,
) {
    let (verdict, reason) = of_steps(report, step, outcome);
    let left =
        (!report.residue.is_empty()).then(|| format!("still there: {}", report.residue.join(", ")));
    let failures = left.into_iter().chain(broken_promise.map(str::to_owned));
    let mut said = vec![(verdict, reason)];
    said.extend(failures.map(|failure| (Verdict::Fail, failure)));
    // Stable: of what is equally bad, what came first stays first.
    said.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
    report.verdict = said[0].0;
    let reasons: Vec<String> = said.into_iter().map(|(_, reason)| reason).collect();
    report.reason = clean(&reasons.join("; "), LONGEST);
}

fn of_steps(
    report: &StoreReport,
    step: DrillStep,
    outcome: Result<(), DrillError>,
) -> (Verdict, String) {
    let missed = report.verifier_missed();
    match outcome {
        Ok(()) if missed.is_empty() => (Verdict::Pass, zero_data_loss(report)),
        // It says that nothing was lost, but would not have noticed.
        Ok(()) => {
            let missed = missed.join(", ");
            let reason = format!("the verifier is not to be trusted, it missed: {missed}");
            (Verdict::Inconclusive, reason)
        }
        Err(DrillError::Ended(Ending { verdict, by })) => {
            (verdict, format!("{by}, during {}", step.words()))
        }
        Err(error) => {
            // The last step is called by what did not come true.
            let reason = match step {
                DrillStep::DataLoss => error.to_string(),
                step => format!("{}: {error}", step.words()),
            };
            (failed_in(step, &error), reason)
        }
    }
}

fn zero_data_loss(report: &StoreReport) -> String {
    let records = report.comparison.as_ref().map_or(0, |comparison| comparison.difference.expected);
    format!("zero data loss, {records} records equal one by one")
}

/// Before there is data nothing can be lost, and what is refused before the restore was not tried.
fn failed_in(step: DrillStep, error: &DrillError) -> Verdict {
    let refused = matches!(error, DrillError::Refused(_)) && step <= DrillStep::Destroy;
    let before = matches!(step, DrillStep::Setup | DrillStep::Inject);
    if before || refused { Verdict::Inconclusive } else { Verdict::Fail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreKind;
    use crate::run::event::VerifierTest;

    fn decided(
        residue: &[&str],
        outcome: Result<(), DrillError>,
        promise: Option<&str>,
    ) -> (Verdict, String) {
        let mut report = StoreReport::begun(StoreKind::Redis, None);
        let caught = Some(true);
        report.verifier =
            VerifierTest { altered: caught, removed: caught, added: caught, flipped: caught };
        report.residue = residue.iter().map(|left| (*left).to_owned()).collect();
        decide(&mut report, DrillStep::Backup, outcome, promise);
        (report.verdict, report.reason)
    }

    #[test]
    fn what_made_a_store_not_pass_stands_first() {
        let refused = || Err(DrillError::Refused("no right to write".into()));
        let (verdict, reason) = decided(&["7 keys"], Ok(()), None);
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(reason, "still there: 7 keys; zero data loss, 0 records equal one by one");
        let (verdict, reason) = decided(&["7 keys"], refused(), Some("the last backup is old"));
        assert_eq!(verdict, Verdict::Fail);
        let failures = "still there: 7 keys; the last backup is old; backup: refused: ";
        assert!(reason.starts_with(failures), "{reason}");
        let wrong = || Err(DrillError::Wrong("one record is missing".into()));
        let (verdict, reason) = decided(&["7 keys"], wrong(), None);
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(reason, "backup: one record is missing; still there: 7 keys");
        assert_eq!(decided(&[], refused(), None).0, Verdict::Inconclusive);
    }

    #[test]
    fn a_drill_that_was_ended_says_by_what_and_when() {
        let by = "ended by its time limit of 5m".into();
        let ended = Err(DrillError::Ended(Ending { verdict: Verdict::Inconclusive, by }));
        let (verdict, reason) = decided(&[], ended, None);
        assert_eq!(verdict, Verdict::Inconclusive);
        assert_eq!(reason, "ended by its time limit of 5m, during backup");
    }
}
