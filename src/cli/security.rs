//! `shakedown security`: the security phase alone, or a choice of its checks.

use super::exit::{CliError, Exit};
use super::run::{self, RunOptions};
use super::{ConfigArgs, DisplayArgs};
use crate::config::{CheckKind, PhaseKind};
use crate::run::plan::Scope;

/// Options of `security`.
#[derive(clap::Args, Clone, Debug)]
pub struct SecurityArgs {
    /// These checks only: images, headers, cors, keys, sqli, xss, auth, upload, rate-limit
    #[arg(long, value_delimiter = ',', value_name = "CHECKS", value_parser = parse_check)]
    only: Vec<CheckKind>,
    #[command(flatten)]
    options: RunOptions,
}

fn parse_check(word: &str) -> Result<CheckKind, String> {
    let names = CheckKind::ALL.map(CheckKind::name).join(", ");
    let kind = CheckKind::ALL.into_iter().find(|kind| kind.name() == word);
    kind.ok_or_else(|| format!("expected one of {names}"))
}

/// Runs the command.
pub fn run(
    config: &ConfigArgs,
    display: &DisplayArgs,
    args: &SecurityArgs,
) -> Result<Exit, CliError> {
    let mut config = config.clone();
    if !args.only.is_empty() {
        let names: Vec<&str> = args.only.iter().map(|kind| kind.name()).collect();
        config.set.push(format!("security.checks=[{}]", names.join(", ")));
    }
    run::start(&config, display, Scope::Only(vec![PhaseKind::Security]), &args.options)
}
