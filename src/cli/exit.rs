//! Exit codes, in one place, and what is said when the program ends.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use crate::config::InconclusiveExit;
use crate::report::text::folded;
use crate::run::event::Verdict;

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

    /// The code for a verdict; what an inconclusive one means is configured.
    pub const fn of(verdict: Verdict, inconclusive: InconclusiveExit) -> Self {
        match (verdict, inconclusive) {
            (Verdict::Pass, _) => Self::Pass,
            (Verdict::Fail, _) => Self::Fail,
            (Verdict::Aborted, _) => Self::Aborted,
            (Verdict::Inconclusive | Verdict::Skipped, InconclusiveExit::Pass) => Self::Pass,
            (Verdict::Inconclusive | Verdict::Skipped, InconclusiveExit::Fail) => Self::Fail,
            // An invalid measurement is nobody's pass, whatever is configured.
            (Verdict::Invalid, InconclusiveExit::Fail) => Self::Fail,
            (Verdict::Inconclusive | Verdict::Skipped | Verdict::Invalid, _) => Self::Inconclusive,
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

/// Prints text on standard output; a reader that went away is no error of ours.
pub fn say(text: impl fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints text on standard output, broken between words where that is a terminal; lines go on in
/// column `indent`, or further left where there would be no room for words.
pub fn say_folded(text: &str, indent: usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 => {
            let columns = usize::from(size.ws_col);
            let indent = if indent + ROOM_FOR_WORDS > columns { HANGING } else { indent };
            say(folded(text, columns, indent));
        }
        _ => say(text),
    }
}

/// Fewer columns hold no words.
const ROOM_FOR_WORDS: usize = 20;
/// Column in which lines go on that have no column of their own for it.
pub const HANGING: usize = 4;

/// Prints an error or a warning on standard error.
pub fn say_error(text: &impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "shakedown: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_exit_codes_holds() {
        use InconclusiveExit::{Fail, Own, Pass};
        let table = [
            (Verdict::Pass, Own, 0),
            (Verdict::Fail, Pass, 1),
            (Verdict::Inconclusive, Own, 3),
            (Verdict::Inconclusive, Pass, 0),
            (Verdict::Inconclusive, Fail, 1),
            (Verdict::Invalid, Pass, 3),
            (Verdict::Invalid, Fail, 1),
            (Verdict::Aborted, Pass, 130),
        ];
        for (verdict, inconclusive, code) in table {
            assert_eq!(Exit::of(verdict, inconclusive).code(), code, "{verdict} {inconclusive:?}");
        }
    }
}
