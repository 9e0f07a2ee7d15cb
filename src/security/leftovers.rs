//! What an audit could not remove itself, because its engine was killed.

use tokio::sync::watch;

use super::ledger::{Undo, remove};
use super::prober::Prober;
use super::probes::{stored, upload};
use crate::config::Config;
use crate::run::event::Written;

/// Removes what an audit wrote and has not shown to be gone; returns what is left, with the reason.
/// Doing it again changes nothing.
///
/// # Errors
/// When the services cannot be addressed at all.
pub async fn remove_leftovers(
    config: &Config,
    written: &[Written],
) -> Result<Vec<(String, String)>, String> {
    let (_gate, open) = watch::channel(true);
    let prober = Prober::new(config, open).map_err(|error| error.to_string())?;
    let mut left = Vec::new();
    for one in written {
        let mut undos: Vec<Undo> = stored::undo_of(config, one).into_iter().collect();
        undos.extend(upload::undos_of(config, one));
        let mut outcome = Ok(());
        for undo in &undos {
            outcome = outcome.and(remove(&prober, undo).await);
        }
        if undos.is_empty() {
            outcome = upload::remove_by_name(config, &prober, one).await;
        }
        if let Err(reason) = outcome {
            left.push((one.name.clone(), reason));
        }
    }
    Ok(left)
}
