//! `shakedown load`: mixed load alone, or the search for the largest rate that the platform sustains.

use super::exit::{CliError, Exit};
use super::run::{self, RunOptions};
use super::{ConfigArgs, DisplayArgs};
use crate::config::{Environment, PhaseKind, TimeSpan};
use crate::run::plan::Scope;

/// So long a search may take.
const LONGEST_SEARCH: &str = "1h";

/// Options of `load`.
#[derive(clap::Args, Clone, Debug)]
pub struct LoadArgs {
    /// Looks for the largest rate that the platform sustains, in place of the workload's own load
    #[arg(long)]
    find_limit: bool,
    /// With --find-limit: first rate, flows per second
    #[arg(long, value_name = "N", requires = "find_limit")]
    start_rate: Option<f64>,
    /// With --find-limit: no rate above this one is tried
    #[arg(long, value_name = "N", requires = "find_limit")]
    max_rate: Option<f64>,
    /// With --find-limit: length of a step, such as 15s
    #[arg(long, value_name = "TIME", requires = "find_limit")]
    step: Option<TimeSpan>,
    #[command(flatten)]
    options: RunOptions,
}

/// Runs the command.
pub fn run(config: &ConfigArgs, display: &DisplayArgs, args: &LoadArgs) -> Result<Exit, CliError> {
    let (mut config, mut scope) = (config.clone(), Scope::Only(vec![PhaseKind::Mixed]));
    if args.find_limit {
        scope = Scope::Limit;
        let (resolved, ..) = run::resolve_config(&config, false)?;
        let name = &resolved.target.name;
        let production = resolved.target.environment == Environment::Production;
        if production && args.options.armed_for() != Some(name.as_str()) {
            return Err(CliError::usage(format!(
                "`{name}` is a production target: looking for its limit means to bring it to its \
                 limit. Pass --arm {name} to do that"
            )));
        }
        // It ends by itself; what is set by hand still counts.
        config.set.insert(0, format!("phases.full.mixed={LONGEST_SEARCH}"));
        let mixed = resolved.workloads.of(PhaseKind::Mixed);
        if mixed.is_none_or(|mixed| mixed.find_limit.is_none()) {
            config.set.push("workloads.mixed.find_limit={}".into());
        }
        let settings = [
            ("start_rate", args.start_rate.map(|rate| rate.to_string())),
            ("max_rate", args.max_rate.map(|rate| rate.to_string())),
            ("step", args.step.map(|step| step.to_string())),
        ];
        for (key, value) in settings {
            let given = value.map(|value| format!("workloads.mixed.find_limit.{key}={value}"));
            config.set.extend(given);
        }
    }
    run::start(&config, display, scope, &args.options)
}
