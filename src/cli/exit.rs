//! Exit codes, in one place.

use std::fmt;
use std::process::ExitCode;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: passed, or done.
    Pass,
    /// 1: the verdict is fail.
    Fail,
    /// 2: wrong usage or configuration, or the program could not do its work.
    Usage,
    /// 3: inconclusive or invalid.
    Inconclusive,
    /// 130: aborted.
    Aborted,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Aborted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that ends the program, with what to do about it.
#[derive(Debug)]
pub struct CliError {
    message: String,
    /// The exit code that goes with it.
    pub exit: Exit,
}

impl CliError {
    /// Wrong usage or configuration.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), exit: Exit::Usage }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}
