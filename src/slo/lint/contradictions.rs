//! Numbers that are right each by itself and do not go together.

use super::Lint;
use crate::config::{Slo, SloKind, TimeSpan};
use crate::slo::budget;

/// Tells them.
pub(super) fn find(lint: &mut Lint<'_>) {
    let definitions = &lint.loaded.definitions;
    let (rto, rpo) = (definitions.recovery.rto, definitions.recovery.rpo);
    let whole = |slo: &&Slo| slo.kind == SloKind::Availability && slo.store.is_none();
    let tightest = definitions.slos.iter().filter(whole).filter_map(|slo| {
        let month = TimeSpan::secs(30 * 86_400);
        budget::allowed(slo, month).map(|allowed| (slo.id.as_str(), allowed))
    });
    if let Some((id, allowed)) = tightest.min_by_key(|(_, allowed)| *allowed)
        && rto.get() > allowed
    {
        let share = rto.get().as_secs_f64() * 100.0 / allowed.as_secs_f64().max(1.0);
        lint.warn(
            "recovery.rto",
            format!("a restore that meets it spends {share:.0} % of a month's budget of `{id}`"),
        );
    }
    let no_loss = definitions.slos.iter().any(|slo| slo.kind == SloKind::DataLoss);
    if no_loss && !rpo.get().is_zero() {
        lint.warn(
            "recovery.rpo",
            format!(
                "{rpo} of data may be lost, and none may: data_loss speaks of the drill only, of \
                 what was acknowledged before the backup"
            ),
        );
    }
    let dependencies = definitions.slos.iter().filter(|slo| slo.store.is_some());
    let shares =
        dependencies.filter_map(|slo| slo.objective_percent.map(|percent| percent / 100.0));
    let together = 100.0 * shares.product::<f64>();
    let front = definitions.slos.iter().filter(whole).filter_map(|slo| slo.objective_percent);
    if let Some(front) = front.reduce(f64::max)
        && together < front
    {
        lint.warn(
            "slos",
            format!(
                "stores that keep their promises are up {together:.2} % together: below {front} %"
            ),
        );
    }
    quantiles(lint);
}

/// A percentile that may be slower than a higher one asks for nothing.
fn quantiles(lint: &mut Lint<'_>) {
    let slos = &lint.loaded.definitions.slos;
    let limit = |slo: &Slo| Some((slo.quantile?, slo.below?));
    let same = |a: &Slo, b: &Slo| {
        (a.kind, a.service, &a.store, &a.step) == (b.kind, b.service, &b.store, &b.step)
    };
    for (at, slo) in slos.iter().enumerate() {
        let Some((quantile, below)) = limit(slo) else { continue };
        let stricter = slos.iter().find(|other| {
            same(slo, other) && limit(other).is_some_and(|(q, b)| q > quantile && b < below)
        });
        if let Some(other) = stricter {
            lint.warn(
                &format!("slos.{at}.below"),
                format!(
                    "`{}` asks for more, of more requests: `{}` can never be what breaks",
                    other.id, slo.id
                ),
            );
        }
    }
}
