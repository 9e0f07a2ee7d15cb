//! What every check is given to work with.

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use super::calibration::Calibration;
use super::ledger::Ledger;
use super::outcome::Outcome;
use super::prober::{ProbeError, Prober};
use super::probes::pages::Pages;
use super::surface::{Operation, Surface};
use crate::config::{CheckKind, Config};
use crate::run::event::{CheckStatus, EventBody, Finding, SecurityEvent};
use crate::run::recorder::EventSink;

/// Operations that are tested at the same time.
const AT_ONCE: usize = 4;
/// Reasons that are told one by one.
const TOLD: usize = 3;

/// What every check is given to work with.
pub struct AuditContext<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The client.
    pub prober: &'a Prober,
    /// What there is to be attacked.
    pub surface: &'a Surface,
    /// What is answered when there is nothing.
    pub calibration: &'a Calibration,
    /// What is written carries it.
    pub mark: &'a str,
    /// What is written stands in it.
    pub ledger: &'a Ledger,
    /// Where progress is told.
    pub events: &'a EventSink,
    /// Pages on which something may be shown that was written elsewhere.
    pub pages: Pages,
}

/// What the test of one operation showed.
#[derive(Clone, Debug, Default)]
pub struct Tested {
    /// What was found.
    pub findings: Vec<Finding>,
    /// Whether something in between refused every attack.
    pub blocked: bool,
    /// What could not be tested, in words.
    pub open: Option<String>,
}

/// The test of one operation.
pub struct Test<'a> {
    place: String,
    work: BoxFuture<'a, Result<Tested, ProbeError>>,
}

impl<'a> Test<'a> {
    /// A test that begins when it is its turn.
    pub fn new(
        operation: &Operation,
        work: impl Future<Output = Result<Tested, ProbeError>> + Send + 'a,
    ) -> Self {
        Self { place: operation.place(), work: Box::pin(work) }
    }
}

impl AuditContext<'_> {
    /// Says how far a check is.
    pub fn progress(&self, check: CheckKind, done: usize, of: usize, at: &str) {
        self.events.emit(EventBody::Security(SecurityEvent::Progress {
            check: check.title().to_owned(),
            done: done as u32,
            of: of as u32,
            at: crate::platform::text::excerpt(at),
        }));
    }

    /// Tests operations, some at the same time. One that gives no answer does not end the check, but
    /// leaves it open.
    ///
    /// # Errors
    /// When the budget is used up.
    pub async fn each(
        &self,
        check: CheckKind,
        tests: Vec<Test<'_>>,
        outcome: &mut Outcome,
    ) -> Result<(), ProbeError> {
        let of = tests.len();
        let mut open: Vec<String> = Vec::new();
        let (mut blocked, mut failed) = (0, 0);
        let (places, work): (Vec<String>, Vec<_>) =
            tests.into_iter().map(|test| (test.place, test.work)).unzip();
        let mut results = stream::iter(work).buffered(AT_ONCE).zip(stream::iter(places));
        let mut done = 0;
        while let Some((result, place)) = results.next().await {
            done += 1;
            self.progress(check, done, of, &place);
            match result {
                Ok(tested) => {
                    outcome.findings.extend(tested.findings);
                    blocked += usize::from(tested.blocked);
                    open.extend(tested.open.map(|why| format!("{place}: {why}")));
                }
                Err(ProbeError::Budget) => return Err(ProbeError::Budget),
                Err(ProbeError::Failed(why)) => {
                    failed += 1;
                    open.push(format!("{place}: {why}"));
                }
            }
            outcome.tested = Some((done - failed) as u32);
        }
        if failed > 0 {
            outcome.status = Some(CheckStatus::Error);
        } else if blocked > 0 {
            outcome.status = Some(CheckStatus::Blocked);
            open.push(format!("{blocked} of {of} operations refuse every attack before it counts"));
        } else if !open.is_empty() {
            outcome.status = Some(CheckStatus::NotTested);
        }
        if !open.is_empty() {
            let more = open.len().saturating_sub(TOLD);
            open.truncate(TOLD);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            outcome.coverage = format!("{}{more}", open.join("; "));
        }
        Ok(())
    }
}
