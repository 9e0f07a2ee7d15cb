//! The `shakedown` program: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    shakedown::cli::main()
}
