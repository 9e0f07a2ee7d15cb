//! SQL injection: by errors that one quote brings and two do not, by conditions that are true or false,
//! and by delays that come out as long as they were asked for. Never a tautology, never a comment that
//! would cut off the rest of a statement, never a second statement: a condition is only ever added.

mod attack;
mod boundary;
mod delay;
mod errors;
mod telling;

use super::{cover, with_points};
use crate::config::CheckKind;
use crate::security::context::{AuditContext, Test};
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::replaced::attacked;

/// Attacks every place of every operation.
pub async fn probe(context: &AuditContext<'_>, outcome: &mut Outcome) -> Result<(), ProbeError> {
    let operations = with_points(context);
    let points: usize = operations.iter().map(|one| one.points.len()).sum();
    if points == 0 {
        let why = "no operation with a place for a value was found or is listed in \
                   security.operations";
        *outcome = Outcome::not_tested(why);
        return Ok(());
    }
    let n = operations.len();
    let tests = operations.into_iter();
    let attacked = |one| attacked(context, one, attack::attack(context, one));
    let tests = tests.map(|one| Test::new(one, attacked(one))).collect();
    context.each(CheckKind::Sqli, tests, outcome).await?;
    let delays = if context.config.security.delays { ", delays" } else { "; no delays" };
    cover(outcome, format!("{points} places in {n} operations: errors, conditions{delays}"));
    Ok(())
}
