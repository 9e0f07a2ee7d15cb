//! The hidden command that becomes a program of somebody else, which dies with who started it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::exit::{CliError, Exit};
use crate::sandbox::die_with_parent;

/// Who started it, and what it becomes.
#[derive(clap::Args)]
pub struct TetheredArgs {
    /// Process id of who started it
    parent: u32,
    /// The program
    program: OsString,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Becomes the program. It returns only when it cannot.
pub fn run(args: &TetheredArgs) -> Result<Exit, CliError> {
    if !die_with_parent(args.parent) {
        return Err(CliError::usage("who started this is gone"));
    }
    let error = Command::new(&args.program).args(&args.arguments).exec();
    Err(CliError::usage(format!(
        "Error: {} cannot be run: {error}",
        args.program.to_string_lossy()
    )))
}
