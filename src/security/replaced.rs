//! Values of a request of `security.operations` in the place of which attacks put others: the request as
//! it is configured, sent once more, puts them back. That is on record before the first attack, and done
//! whatever ends it.

use super::context::AuditContext;
use super::ledger::{is_kept_out, sending_on};
use super::prober::ProbeError;
use super::request::Request;
use super::surface::{Operation, Source};
use crate::config::{Config, Security};
use crate::run::event::Written;

/// What stands between the mark of the run and the number of the request.
const VALUES: &str = "-values-";

/// Attacks an operation, and puts back what it may have replaced.
///
/// # Errors
/// Those of the attack.
pub async fn attacked<T>(
    context: &AuditContext<'_>,
    operation: &Operation,
    attack: impl Future<Output = Result<T, ProbeError>>,
) -> Result<T, ProbeError> {
    let Some(written) = written(context, operation) else { return attack.await };
    let asked = context.prober.ask(&operation.request).await?;
    let asked = sending_on(context.prober, &operation.request, asked);
    // What is refused as it is configured keeps nothing, and could not be put back either; too often is
    // over soon, and says nothing of what comes later.
    if asked.status != 429 && is_kept_out(&asked) {
        return attack.await;
    }
    let name = written.name.clone();
    context.ledger.replacing(written, operation.request.clone());
    let shown = attack.await;
    context.ledger.remove(context.prober, &name).await;
    shown
}

/// What goes on record; nothing where nothing can be replaced.
fn written(context: &AuditContext<'_>, operation: &Operation) -> Option<Written> {
    if operation.source != Source::Configured || operation.request.is_safe() {
        return None;
    }
    let at = requests(&context.config.security).position(|one| one == operation.request)?;
    Some(Written {
        name: format!("{}{VALUES}{}", context.mark, at + 1),
        stored: None,
        expected: None,
        file: None,
        place: operation.request.place(),
        undo: "the request as it is configured".into(),
    })
}

fn requests(security: &Security) -> impl Iterator<Item = Request> {
    security.operations.iter().map(Request::audited)
}

/// The request that puts back what a killed audit may have replaced; none where it was something else.
pub fn request_of(config: &Config, written: &Written) -> Option<Request> {
    let (_, number) = written.name.rsplit_once(VALUES)?;
    let at = number.parse::<usize>().ok()?.checked_sub(1)?;
    requests(&config.security).nth(at).filter(|request| request.place() == written.place)
}
