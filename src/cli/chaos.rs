//! `shakedown chaos`: the chaos phase alone, a choice of its experiments, or what it would do.

use super::exit::{CliError, Exit, HANGING, say_folded};
use super::run::{self, RunOptions};
use super::{ConfigArgs, DisplayArgs, runtime};
use crate::chaos;
use crate::config::{Config, ExperimentKind, PhaseKind};
use crate::run::plan::Scope;
use crate::sandbox::{Options, Sandbox};
use crate::slo::MonitoredBudget;

/// Options of `chaos`.
#[derive(clap::Args, Clone, Debug)]
pub struct ChaosArgs {
    /// These experiments only: kill, cpu, memory, partition
    #[arg(long, value_delimiter = ',', value_name = "KINDS", value_parser = parse_kind)]
    experiment: Vec<ExperimentKind>,
    /// Says what would be done to what, and does nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: RunOptions,
}

fn parse_kind(word: &str) -> Result<ExperimentKind, String> {
    let kind = ExperimentKind::ALL.into_iter().find(|kind| kind.name() == word);
    kind.ok_or_else(|| "expected kill, cpu, memory or partition".into())
}

/// Runs the command.
pub fn run(config: &ConfigArgs, display: &DisplayArgs, args: &ChaosArgs) -> Result<Exit, CliError> {
    let mut config = config.clone();
    if !args.experiment.is_empty() {
        let names: Vec<&str> = args.experiment.iter().map(|kind| kind.name()).collect();
        config.set.push(format!("chaos.experiments=[{}]", names.join(", ")));
    }
    if args.dry_run {
        let (resolved, _, embedded) = run::resolve_config(&config, false)?;
        return dry_run(resolved, embedded, args.options.seed());
    }
    run::start(&config, display, scope(), &args.options)
}

fn scope() -> Scope {
    Scope::Only(vec![PhaseKind::Chaos])
}

fn dry_run(mut config: Config, embedded: bool, seed: u64) -> Result<Exit, CliError> {
    let promises = run::promises(&config)?;
    runtime(2)?.block_on(async {
        let mut sandbox = None;
        if embedded {
            let executable = std::env::current_exe().map_err(CliError::usage)?;
            let launched = Sandbox::launch(&executable, &Options::default()).await;
            let launched = launched.map_err(CliError::usage)?;
            config.chaos.sandbox = Some(launched.endpoints().admin.clone());
            sandbox = Some(launched);
        }
        let length = scope().length(&config.phases, PhaseKind::Chaos);
        let lines = chaos::dry_run(&config, promises, seed, length, &MonitoredBudget).await;
        if let Some(sandbox) = sandbox {
            sandbox.stop().await;
        }
        let lines = lines.map_err(CliError::usage)?;
        lines.iter().for_each(|line| say_folded(line, HANGING));
        Ok(Exit::Pass)
    })
}
