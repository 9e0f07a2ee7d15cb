//! `shakedown slo`: checks, explains and exports the objectives.

use std::path::PathBuf;

use super::ConfigArgs;
use super::exit::{CliError, Exit, HANGING, say, say_folded};
use super::run::resolve_config;
use crate::config::{LoadedSlos, Workloads};
use crate::slo::export::{Format, export};
use crate::slo::{Weight, explain, lint};

/// Options of `slo`.
#[derive(clap::Args)]
pub struct SloArgs {
    /// The definitions; without it those that the configuration names, else slo_definitions.yaml where
    /// it exists, else the built-in ones
    #[arg(long, value_name = "FILE", global = true)]
    definitions: Option<PathBuf>,
    #[command(subcommand)]
    command: SloCommand,
}

#[derive(clap::Subcommand)]
enum SloCommand {
    /// Says what is wrong with the definitions, and what in them contradicts itself
    Lint,
    /// Says what an objective means, and how many samples can prove it
    Explain {
        /// The objective; all of them without one
        id: Option<String>,
    },
    /// Writes the definitions for another tool
    Export {
        /// openslo, sloth, pyrra or prometheus-rules
        #[arg(long, value_parser = parse_format)]
        format: Format,
    },
}

fn parse_format(word: &str) -> Result<Format, String> {
    let format = Format::ALL.into_iter().find(|format| format.name() == word);
    let names = Format::ALL.map(Format::name).join(", ");
    format.ok_or_else(|| format!("expected one of {names}"))
}

/// Runs the command.
pub fn run(config: &ConfigArgs, args: &SloArgs) -> Result<Exit, CliError> {
    // Definitions and workloads are those that a run would have.
    let (config, ..) = resolve_config(config, false)?;
    let named = args.definitions.as_ref().or(config.slo_definitions.as_ref());
    let loaded = LoadedSlos::load(named).map_err(CliError::usage)?;
    match &args.command {
        SloCommand::Lint => Ok(tell_findings(&loaded, &config.workloads)),
        SloCommand::Explain { id } => explain_some(&loaded, id.as_deref()),
        SloCommand::Export { format } => {
            say(export(&loaded.definitions, *format).trim_end());
            Ok(Exit::Pass)
        }
    }
}

fn tell_findings(loaded: &LoadedSlos, workloads: &Workloads) -> Exit {
    let found = lint(loaded, workloads);
    for finding in &found {
        let word = match finding.weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        let place = finding.place.map_or_else(String::new, |p| format!(":{}:{}", p.line, p.column));
        let line = format!("{}{place}: {word}: {}", loaded.source, finding.message);
        say_folded(&line, HANGING);
    }
    let errors = found.iter().filter(|finding| finding.weight == Weight::Error).count();
    say(format_args!(
        "{}: {} objectives, {errors} errors, {} warnings",
        loaded.source,
        loaded.definitions.slos.len(),
        found.len() - errors
    ));
    if errors == 0 { Exit::Pass } else { Exit::Usage }
}

fn explain_some(loaded: &LoadedSlos, id: Option<&str>) -> Result<Exit, CliError> {
    let slos = &loaded.definitions.slos;
    let wanted: Vec<_> = slos.iter().filter(|slo| id.is_none_or(|id| id == slo.id)).collect();
    if wanted.is_empty() {
        let known: Vec<&str> = slos.iter().map(|slo| slo.id.as_str()).collect();
        return Err(CliError::usage(format!(
            "no objective `{}`: expected one of {}",
            id.unwrap_or_default(),
            known.join(", ")
        )));
    }
    for slo in wanted {
        let lines = explain(slo, &loaded.definitions);
        lines.iter().for_each(|line| say_folded(line, HANGING));
    }
    Ok(Exit::Pass)
}
