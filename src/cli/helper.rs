//! The hidden command that holds a fault of the chaos phase.

use super::exit::{CliError, Exit};
use crate::chaos::helper::{self, Task};

/// Options of the helper.
#[derive(clap::Args)]
pub struct HelperArgs {
    /// Tells this helper from every other process
    #[arg(long)]
    token: String,
    /// What to do, as JSON
    #[arg(long)]
    task: String,
}

/// Holds the fault until it is over.
pub fn run(args: &HelperArgs) -> Result<Exit, CliError> {
    let task: Task = serde_json::from_str(&args.task).map_err(CliError::usage)?;
    helper::run(&task).map_err(|error| CliError::usage(format!("{}: {error}", args.token)))?;
    Ok(Exit::Pass)
}
