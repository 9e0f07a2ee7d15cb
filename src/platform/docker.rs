//! What Docker engines say when something is not there.

use bollard::errors::Error;

/// Whether the engine says that there is no such thing.
pub const fn is_absent(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}
