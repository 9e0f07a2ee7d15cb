//! `shakedown sandbox`, and the hidden command that runs one of its services.

use super::exit::{CliError, Exit};

/// Options of `sandbox`.
#[derive(clap::Args)]
pub struct SandboxArgs {}

/// Options of one service.
#[derive(clap::Args)]
pub struct ServiceArgs {}

/// Runs the sandbox until it is stopped.
pub fn run(_args: &SandboxArgs) -> Result<Exit, CliError> {
    Ok(Exit::Pass)
}

/// Runs one service.
pub fn serve(_args: &ServiceArgs) -> Result<Exit, CliError> {
    Ok(Exit::Pass)
}
