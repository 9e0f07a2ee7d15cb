//! `shakedown security`: the security phase alone, or a choice of its checks.

use super::exit::{CliError, Exit, say};
use super::run::{self, RunOptions};
use super::{ConfigArgs, DisplayArgs};
use crate::config::{CheckKind, ConfigError, Loaded, PhaseKind};
use crate::run::plan::Scope;
use crate::security::Suppressions;

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

/// The file of accepted findings, where one is named: what is wrong with it is told before anything
/// is asked, and not when the phase begins.
pub fn accepted(loaded: &Loaded) -> Result<Option<Suppressions>, CliError> {
    let Some(file) = &loaded.config.security.suppressions else { return Ok(None) };
    Suppressions::load(file).map(Some).map_err(|why| {
        let hint = "each entry needs `reason`, `expires`, and `fingerprint` or `rule` and `place`";
        let problem = loaded.problem("security.suppressions", &why, Some(hint.into()));
        CliError::usage(ConfigError::Problems(vec![problem]))
    })
}

/// Tells of the accepted findings for `check`.
pub fn tell_accepted(loaded: &Loaded) -> Result<(), CliError> {
    let Some(accepted) = accepted(loaded)? else { return Ok(()) };
    say(format_args!("accepted       ok       {} findings", accepted.count()));
    for reason in accepted.over(jiff::Zoned::now().date()) {
        say(format_args!("accepted       over     {reason}"));
    }
    Ok(())
}
