//! `shakedown backup`: the drill alone, a choice of its stores, what it would do, or the cleaning
//! after one that was killed.

use super::exit::{CliError, Exit, HANGING, say, say_error, say_folded};
use super::run::{self, RunOptions};
use super::{ConfigArgs, DisplayArgs, engine, recover, runtime};
use crate::backup;
use crate::config::{MAX_DOCUMENTS, PhaseKind, StoreKind};
use crate::run::plan::Scope;

/// Options of `backup`.
#[derive(clap::Args, Clone, Debug)]
pub struct BackupArgs {
    /// These stores only: postgres, redis, qdrant, neo4j, minio
    #[arg(long, value_delimiter = ',', value_name = "STORES", value_parser = parse_store)]
    store: Vec<StoreKind>,
    /// Synthetic documents that are put into every store [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_DOCUMENTS))]
    documents: Option<u64>,
    /// Says what would be done to which store, and writes nothing
    #[arg(long, conflicts_with = "cleanup")]
    dry_run: bool,
    /// Removes exactly what drills left behind whose engine was killed
    #[arg(long)]
    cleanup: bool,
    /// Name of the target, to let the platform's backup service restore into the platform's own stores
    #[arg(long, value_name = "NAME")]
    arm_in_place: Option<String>,
    #[command(flatten)]
    options: RunOptions,
}

fn parse_store(word: &str) -> Result<StoreKind, String> {
    let kind = StoreKind::ALL.into_iter().find(|kind| kind.name() == word);
    kind.ok_or_else(|| "expected postgres, redis, qdrant, neo4j or minio".into())
}

/// Runs the command.
pub fn run(
    config: &ConfigArgs,
    display: &DisplayArgs,
    args: &BackupArgs,
) -> Result<Exit, CliError> {
    if args.cleanup {
        return clean_up();
    }
    let mut config = config.clone();
    if !args.store.is_empty() {
        let names: Vec<&str> = args.store.iter().map(|kind| kind.name()).collect();
        config.set.push(format!("backup.stores=[{}]", names.join(", ")));
    }
    if let Some(documents) = args.documents {
        config.set.push(format!("backup.documents={documents}"));
    }
    if args.dry_run {
        return dry_run(&config, &args.options);
    }
    let mut options = args.options.clone();
    options.arm_in_place.clone_from(&args.arm_in_place);
    run::start(&config, display, Scope::Only(vec![PhaseKind::Backup]), &options)
}

fn clean_up() -> Result<Exit, CliError> {
    let cleaned = runtime(2)?.block_on(recover::clean_drills())?;
    cleaned.lines().for_each(|line| say_error(&line));
    if cleaned.lines().next().is_none() {
        say("nothing to clean: no drill on this machine left anything behind");
    }
    Ok(if cleaned.unhealed.is_empty() { Exit::Pass } else { Exit::Fail })
}

fn dry_run(config: &ConfigArgs, options: &RunOptions) -> Result<Exit, CliError> {
    let (mut resolved, _, embedded) = run::resolve_config(config, false)?;
    let seed = options.seed();
    runtime(2)?.block_on(async {
        let sandbox = match embedded {
            true => Some(engine::launch_sandbox(&mut resolved, seed, options.stores()).await?),
            false => None,
        };
        let lines = backup::dry_run(&resolved, seed).await;
        if let Some(sandbox) = sandbox {
            sandbox.stop().await;
        }
        lines.iter().for_each(|line| say_folded(line, HANGING));
        Ok(Exit::Pass)
    })
}
