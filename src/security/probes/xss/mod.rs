//! Cross-site scripting: a value that becomes part of a page. Where it stands decides what would break
//! out, and what broke out must be there once the page is parsed as a browser does. A JSON answer that
//! repeats a value is none.

mod attack;
pub mod context;
mod payload;
mod planted;
mod script;

use super::{cover, stored, with_points};
use crate::config::CheckKind;
use crate::run::event::CheckStatus;
use crate::security::context::{AuditContext, Test};
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::replaced::attacked;
use crate::security::request::Request;
use crate::security::surface::{Operation, Source};

pub use attack::{breaks_out, lowered};
pub use payload::{Payload, token};

/// Attacks every place of every operation, and the path of error pages.
pub async fn probe(context: &AuditContext<'_>, outcome: &mut Outcome) -> Result<(), ProbeError> {
    let missing: Vec<Operation> = context
        .prober
        .homes()
        .all()
        .map(|service| {
            let request = Request::get(service, "/shakedown-nothing");
            Operation::new(request, "/{path}".into(), Source::Service)
        })
        .collect();
    let mut operations = with_points(context);
    let known: usize = operations.iter().map(|one| one.points.len()).sum();
    operations.extend(&missing);
    let n = operations.len() - missing.len();
    let tests = operations.into_iter();
    let attacked = |one| attacked(context, one, attack::attack(context, one));
    let tests = tests.map(|one| Test::new(one, attacked(one))).collect();
    context.each(CheckKind::Xss, tests, outcome).await?;
    // Error pages are no operations.
    outcome.tested = outcome.tested.map(|tested| tested.saturating_sub(missing.len() as u32));
    let (stored, whole) = stored::probe(context, &mut outcome.findings).await?;
    let (planted, all) = planted::probe(context, &mut outcome.findings).await?;
    if !whole || !all {
        outcome.status.get_or_insert(CheckStatus::Error);
    }
    if known == 0 && outcome.findings.is_empty() {
        let why = "no operation with a place for a value was found or is listed in \
                   security.operations; only error pages were tested";
        *outcome = Outcome::not_tested(why);
        return Ok(());
    }
    let words = format!(
        "{known} places in {n} operations, paths of error pages; stored: {stored}; {planted}"
    );
    cover(outcome, words);
    Ok(())
}
