//! Documents that a load phase could not remove itself, because its engine was killed.

use std::sync::Arc;
use std::time::Duration;

use super::documents::Documents;
use super::rag::Cleaner;
use crate::config::{Config, PhaseKind};
use crate::platform::client::ClientError;
use crate::platform::endpoint::{EndpointError, ResolvedEndpoint};
use crate::run::event::CleanupReport;

/// How long the removal may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why nothing could be removed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The configuration of the run names no scratch collection.
    #[error(
        "the run's configuration names no scratch collection, so nothing can have been written"
    )]
    NoScratch,
    /// The endpoint cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// There is no HTTP client.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] ClientError),
}

/// Removes every document that a phase of a run may have written, up to the last number on record,
/// and checks that it is gone. Doing it again changes nothing.
///
/// # Errors
/// When the service cannot be addressed at all; what could not be removed is in the report.
pub async fn remove_leftovers(
    config: &Config,
    run_id: &str,
    phase: PhaseKind,
    last: u64,
) -> Result<CleanupReport, RecoverError> {
    let rag = config.services.rag.as_ref().ok_or(RecoverError::NoScratch)?;
    let scratch = rag.scratch.clone().ok_or(RecoverError::NoScratch)?;
    let endpoint = Arc::new(ResolvedEndpoint::resolve(&rag.endpoint)?);
    let documents = Documents::left_by(run_id, phase.name(), last);
    Ok(Cleaner::new(endpoint, scratch)?.clean(&documents, PATIENCE).await)
}
