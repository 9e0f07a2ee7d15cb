//! The command line: one file per command, exit codes, nothing else.

mod check;
mod exit;
mod init;
mod sandbox;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use exit::{CliError, Exit};

/// Takes a production AI platform on a shakedown run, live in the terminal.
#[derive(Parser)]
#[command(name = "shakedown", version, disable_help_subcommand = false)]
struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the configuration comes from.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// Configuration file. Without one `shakedown.yaml` is used where it exists, else the embedded sandbox.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Overrides one value, such as `--set phases.cooldown=10s`. May be repeated.
    #[arg(long, global = true, value_name = "PATH=VALUE")]
    set: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Writes a commented configuration after looking at what is there.
    #[command(alias = "install")]
    Init(init::InitArgs),
    /// Checks configuration, reachability, health and optional tools.
    Check(check::CheckArgs),
    /// Runs the embedded practice platform alone.
    Sandbox(sandbox::SandboxArgs),
    /// One service of the sandbox.
    #[command(hide = true)]
    SandboxService(sandbox::ServiceArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Pass }.into();
        }
    };
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("shakedown: {error}");
            error.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, CliError> {
    match cli.command {
        None => Ok(Exit::Pass),
        Some(Command::Init(args)) => init::run(&args),
        Some(Command::Check(args)) => check::run(&cli.config, &args),
        Some(Command::Sandbox(args)) => sandbox::run(&args),
        Some(Command::SandboxService(args)) => sandbox::serve(&args),
    }
}
