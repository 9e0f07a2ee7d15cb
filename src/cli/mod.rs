//! The command line: one file per command, exit codes, nothing else.

mod attach;
mod backup;
mod chaos;
mod check;
mod clean;
mod compare;
mod dashboard;
mod engine;
mod exit;
mod github;
mod headless;
mod helper;
mod init;
mod load;
mod notify;
mod order;
mod recover;
mod recover_audit;
mod report;
mod retention;
mod run;
mod runs;
mod sandbox;
mod security;
mod session;
mod slo;
mod tethered;
mod tools;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::config::LoadOptions;

pub use exit::{CliError, Exit};

/// Takes a production AI platform on a shakedown run, live in the terminal.
///
/// Alone it opens the dashboard on the plan with nothing running.
#[derive(Parser)]
#[command(name = "shakedown", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    display: DisplayArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the configuration comes from.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// Configuration file; without one `shakedown.yaml` where it exists, else the embedded sandbox
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Overrides one value, such as `--set phases.cooldown=10s` (may be repeated)
    #[arg(long, global = true, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// With the variables of this process.
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions::from_process(self.config.clone(), self.set.clone())
    }
}

/// How the dashboard looks.
#[derive(Args, Clone, Debug, Default)]
pub struct DisplayArgs {
    /// Most frames per second, 1-10
    #[arg(long, global = true, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u8).range(1..=10))]
    pub fps: u8,
    /// ASCII only: no block elements, no special glyphs
    #[arg(long, global = true)]
    pub ascii: bool,
    /// No colours (also by the environment variable NO_COLOR)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Theme file in place of the built-in one
    #[arg(long, global = true, value_name = "FILE")]
    pub theme: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the plan at once
    Run(run::RunArgs),
    /// The full plan (as `run --full`)
    Full(run::RunOptions),
    /// A short plan: no chaos, no ramping load (as `run --quick`)
    Quick(run::RunOptions),
    /// Mixed load alone
    #[command(alias = "mixed")]
    Locust(run::RunOptions),
    /// Ramping load alone
    #[command(alias = "ramping")]
    K6(run::RunOptions),
    /// Mixed load alone, or the search for the largest sustained rate (--find-limit)
    Load(load::LoadArgs),
    /// Chaos alone
    Chaos(chaos::ChaosArgs),
    /// Security alone
    Security(security::SecurityArgs),
    /// Backup drill alone
    Backup(backup::BackupArgs),
    /// The full plan compressed to about three minutes, on the embedded sandbox
    Demo(run::RunOptions),
    /// Watches a run that goes on somewhere else, or looks at one that is over
    Attach(attach::AttachArgs),
    /// Lists runs, or shows their figures over time
    Runs(runs::RunsArgs),
    /// Compares two runs; what became worse is a failure
    Compare(compare::CompareArgs),
    /// Writes the report of a run anew from its journal
    Report(report::ReportArgs),
    /// Prints the last run's results
    Results,
    /// Removes what runs left behind whose engine was killed
    Recover(recover::RecoverArgs),
    /// Removes folders of runs that are over
    Clean(clean::CleanArgs),
    /// Writes a commented configuration after looking at what is there
    #[command(visible_alias = "install")]
    Init(init::InitArgs),
    /// Checks configuration, reachability, health and optional tools
    Check(check::CheckArgs),
    /// Checks, explains and exports the service level objectives
    Slo(slo::SloArgs),
    /// Tries out the channels of alerts
    Notify(notify::NotifyArgs),
    /// Runs the embedded practice platform alone
    Sandbox(sandbox::SandboxArgs),
    /// One service of the sandbox
    #[command(hide = true)]
    SandboxService(sandbox::ServiceArgs),
    /// One store of the sandbox
    #[command(hide = true)]
    SandboxStore(sandbox::StoreArgs),
    /// A helper that holds a fault
    #[command(hide = true)]
    ChaosHelper(helper::HelperArgs),
    /// The engine of a run
    #[command(hide = true)]
    Engine(engine::EngineArgs),
    /// A program of somebody else that dies with who started it
    #[command(hide = true, name = crate::platform::tethered::COMMAND)]
    Tethered(tethered::TetheredArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(mut cli) => {
            let arguments = std::env::args_os();
            cli.config.set = overrides(arguments.map(|one| one.to_string_lossy().into_owned()));
            cli
        }
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Pass }.into();
        }
    };
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            exit::say_error(&error);
            error.exit.into()
        }
    }
}

/// The values of every `--set`, in the order in which they stand. The parser keeps only those after a
/// command where there are some before it, too.
fn overrides(arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut arguments = arguments.into_iter().take_while(|argument| argument != "--");
    let mut values = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--set") {
            Some("") => values.extend(arguments.next()),
            Some(rest) => values.extend(rest.strip_prefix('=').map(str::to_owned)),
            None => {}
        }
    }
    values
}

fn dispatch(cli: Cli) -> Result<Exit, CliError> {
    use crate::config::PhaseKind;
    use crate::run::plan::Scope;
    let Cli { config, display, command } = cli;
    if let Some(theme) = &display.theme {
        crate::tui::check_theme(theme).map_err(CliError::usage)?;
    }
    let start = |scope, options: &run::RunOptions| run::start(&config, &display, scope, options);
    let only = |phase| Scope::Only(vec![phase]);
    match command {
        None => run::open(&config, &display),
        Some(Command::Run(args)) => start(args.scope(), &args.options),
        Some(Command::Full(options)) => start(Scope::Full, &options),
        Some(Command::Quick(options)) => start(Scope::Quick, &options),
        Some(Command::Locust(options)) => start(only(PhaseKind::Mixed), &options),
        Some(Command::K6(options)) => start(only(PhaseKind::Ramping), &options),
        Some(Command::Load(args)) => load::run(&config, &display, &args),
        Some(Command::Chaos(args)) => chaos::run(&config, &display, &args),
        Some(Command::Security(args)) => security::run(&config, &display, &args),
        Some(Command::Backup(args)) => backup::run(&config, &display, &args),
        Some(Command::Demo(options)) => start(Scope::Demo, &options),
        Some(Command::Attach(args)) => attach::run(&config, &display, &args),
        Some(Command::Runs(args)) => runs::run(&config, &args),
        Some(Command::Compare(args)) => compare::run(&config, &args),
        Some(Command::Report(args)) => report::run(&config, &args),
        Some(Command::Recover(args)) => recover::run(&config, &args),
        Some(Command::Results) => report::results(&config),
        Some(Command::Slo(args)) => slo::run(&config, &args),
        Some(Command::Notify(args)) => notify::run(&config, &args),
        Some(Command::Clean(args)) => clean::run(&config, &args),
        Some(Command::Init(args)) => init::run(&config, &args),
        Some(Command::Check(args)) => check::run(&config, &args),
        Some(Command::Sandbox(args)) => sandbox::run(&args),
        Some(Command::SandboxService(args)) => sandbox::serve(&args),
        Some(Command::SandboxStore(args)) => sandbox::serve_store(&args),
        Some(Command::ChaosHelper(args)) => helper::run(&args),
        Some(Command::Engine(args)) => engine::run(&args),
        Some(Command::Tethered(args)) => tethered::run(&args),
    }
}

/// Whether somebody can look at a dashboard and press its keys. A terminal that calls itself dumb would
/// show what it is told to do.
fn has_terminal() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !dumb && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// A runtime: with one worker everything happens on the calling thread.
fn runtime(workers: usize) -> Result<Runtime, CliError> {
    let mut builder = match workers {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let built = builder.worker_threads(workers).enable_all().build();
    built.map_err(|error| CliError::usage(format!("cannot start: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_count_on_both_sides_of_the_command() {
        let told = [
            "shakedown",
            "--set",
            "a=1",
            "run",
            "--only",
            "mixed",
            "--set=b=--set",
            "--set",
            "c=3",
        ];
        let values = overrides(told.map(str::to_owned));
        assert_eq!(values, ["a=1", "b=--set", "c=3"]);
        let parsed =
            Cli::try_parse_from(told).map_err(|error| error.to_string()).expect("understood");
        assert!(parsed.config.set.iter().all(|value| values.contains(value)));
    }
}
