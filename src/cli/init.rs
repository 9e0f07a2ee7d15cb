//! `shakedown init`.

use super::exit::{CliError, Exit};

/// Options of `init`.
#[derive(clap::Args)]
pub struct InitArgs {}

/// Runs the command.
pub fn run(_args: &InitArgs) -> Result<Exit, CliError> {
    Ok(Exit::Pass)
}
