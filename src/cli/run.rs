//! `shakedown`, `shakedown run` and its short forms: an order, an engine, and somebody who watches.

use std::path::Path;
use std::process::Child;
use std::sync::Once;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::dashboard;
use super::exit::{CliError, Exit, say, say_error};
use super::headless;
use super::order::{EngineOrder, start_engine};
use super::session::{self, AtLogout};
use super::{ConfigArgs, DisplayArgs, compare, has_terminal, retention, runtime, security};
use crate::config::{
    self, BackupWay, Config, Environment, InconclusiveExit, Loaded, LoadedSlos, OnDetach,
    PhaseKind, SloDefinitions,
};
use crate::run::connection::was_refused;
use crate::run::folder::RunFolder;
use crate::run::plan::{Plan, Scope};
use crate::sandbox::{self, StoreSource};
use crate::slo;

/// Options of `run`.
#[derive(Args)]
pub struct RunArgs {
    /// All phases (default)
    #[arg(long, group = "plan")]
    full: bool,
    /// No chaos and no ramping load; short lengths
    #[arg(long, group = "plan")]
    quick: bool,
    /// All phases, for hours: a soak
    #[arg(long, group = "plan")]
    extended: bool,
    /// Disaster recovery: the drill of the platform's own backups alone, with time for them
    #[arg(long, group = "plan")]
    dr: bool,
    /// These phases only, such as `mixed,backup`
    #[arg(long, group = "plan", value_delimiter = ',', value_name = "PHASES",
          value_parser = parse_phase)]
    only: Vec<PhaseKind>,
    #[command(flatten)]
    pub options: RunOptions,
}

impl RunArgs {
    /// What is asked for.
    pub fn scope(&self) -> Scope {
        match self {
            Self { quick: true, .. } => Scope::Quick,
            Self { extended: true, .. } => Scope::Extended,
            Self { dr: true, .. } => Scope::Dr,
            Self { only, .. } if !only.is_empty() => Scope::Only(only.clone()),
            _ => Scope::Full,
        }
    }
}

/// Options of everything that starts a run.
#[derive(Args, Clone, Debug, Default)]
pub struct RunOptions {
    /// Phases to leave out, such as `chaos,security` (`locust` and `k6` mean mixed and ramping)
    #[arg(long, value_delimiter = ',', value_name = "PHASES", value_parser = parse_phase)]
    skip: Vec<PhaseKind>,
    /// Lines instead of a dashboard; ending this process aborts the run
    #[arg(long)]
    headless: bool,
    /// With --headless: starts the run and returns; it goes on by itself
    #[arg(long, requires = "headless")]
    detach: bool,
    /// Name of a production target, to be allowed to work on it
    #[arg(long, value_name = "NAME")]
    arm: Option<String>,
    /// What the run does when nobody watches it
    #[arg(long, value_enum, value_name = "WHAT")]
    on_detach: Option<OnDetachWord>,
    /// Seed of every random choice
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Compares the run with this earlier one (id, folder or JSON report); what became worse is a failure
    #[arg(long, value_name = "RUN")]
    baseline: Option<String>,
    /// What an inconclusive run means for the exit code
    #[arg(long, value_enum, value_name = "EXIT")]
    inconclusive: Option<InconclusiveWord>,
    /// Stores of the sandbox: `embedded` (default), or `local`, which prefers servers installed here
    #[arg(long, value_name = "WHICH")]
    stores: Option<StoreSource>,
    /// Name of the target, for a restore into its own stores
    #[arg(skip)]
    pub arm_in_place: Option<String>,
}

impl RunOptions {
    /// The name of the production target that it may work on.
    pub fn armed_for(&self) -> Option<&str> {
        self.arm.as_deref()
    }

    /// Where the stores of a sandbox come from.
    pub fn stores(&self) -> StoreSource {
        self.stores.unwrap_or_default()
    }

    /// The seed that was asked for, or a new one.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(rand::random)
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnDetachWord {
    Continue,
    Hold,
    Abort,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum InconclusiveWord {
    Pass,
    Fail,
}

fn parse_phase(word: &str) -> Result<PhaseKind, String> {
    let names = PhaseKind::ALL.map(PhaseKind::name).join(", ");
    PhaseKind::from_name(word).ok_or_else(|| format!("expected one of {names}, locust, k6"))
}

/// Opens the dashboard on the plan with nothing running.
pub fn open(config: &ConfigArgs, display: &DisplayArgs) -> Result<Exit, CliError> {
    if !has_terminal() {
        return Err(CliError::usage(
            "the dashboard needs a terminal to draw on (TERM=dumb is none) and one to read keys from: \
             `shakedown run --headless` runs without",
        ));
    }
    let options = RunOptions::default();
    let order = order(config, &Scope::Full, &options, false)?;
    watch(order, display, &options)
}

/// Starts a run at once, and watches it.
pub fn start(
    config: &ConfigArgs,
    display: &DisplayArgs,
    scope: Scope,
    options: &RunOptions,
) -> Result<Exit, CliError> {
    let order = order(config, &scope, options, true)?;
    watch(order, display, options)
}

fn order(
    args: &ConfigArgs,
    scope: &Scope,
    options: &RunOptions,
    autostart: bool,
) -> Result<EngineOrder, CliError> {
    let demo = *scope == Scope::Demo;
    let (loaded, sandbox) = resolve(args, demo)?;
    let mut config = loaded.config.clone();
    if let Some(word) = options.inconclusive {
        config.criteria.inconclusive = match word {
            InconclusiveWord::Pass => InconclusiveExit::Pass,
            InconclusiveWord::Fail => InconclusiveExit::Fail,
        };
    }
    // What is written there is for the search; other runs play the workload.
    if *scope != Scope::Limit {
        let all = [&mut config.workloads.mixed, &mut config.workloads.ramping];
        all.into_iter().flatten().for_each(|workload| workload.find_limit = None);
    }
    // Our own copy of the data says nothing about the recovery from a disaster.
    if *scope == Scope::Dr && config.backup.way == BackupWay::BuiltIn {
        config.backup.way = BackupWay::Platform;
    }
    let promises = promises(&config)?;
    let armed = arm(&config, "--arm", options.arm.as_deref())?;
    let in_place = arm(&config, "--arm-in-place", options.arm_in_place.as_deref())?;
    let times = if config.backup.way == BackupWay::Both { 2 } else { 1 };
    let plan = Plan::new(&config.phases, scope, &options.skip)
        .with_room_for(config.backup.documents, times);
    if plan.phases.iter().all(|phase| phase.skip || phase.kind == PhaseKind::Slo) {
        return Err(CliError::usage(
            "every phase that does something is left out: there is nothing to run",
        ));
    }
    check_copy_to(&config.report.copy_to)?;
    let wanted = plan.phases.iter().filter(|phase| !phase.skip);
    let wanted: Vec<PhaseKind> = wanted.map(|phase| phase.kind).collect();
    config::check_feeders(&loaded, &wanted).map_err(CliError::usage)?;
    if wanted.contains(&PhaseKind::Security) {
        security::accepted(&loaded)?;
    }
    Ok(EngineOrder {
        on_detach: on_detach(&config, options),
        config,
        config_source: loaded.source,
        promises,
        plan,
        seed: options.seed(),
        autostart,
        armed,
        in_place,
        owned: false,
        warnings: loaded.unknown_variables,
        sandbox,
        stores: options.stores(),
    })
}

/// Whether the report's copy has somewhere to go, asked before hours have gone into it.
fn check_copy_to(folder: &Path) -> Result<(), CliError> {
    match folder.is_dir() {
        true => Ok(()),
        false => Err(CliError::usage(format!(
            "report.copy_to: expected a folder that is there, not {}",
            folder.display()
        ))),
    }
}

/// What the platform promises; definitions with errors are refused.
pub fn promises(config: &Config) -> Result<SloDefinitions, CliError> {
    let loaded = LoadedSlos::load(config.slo_definitions.as_ref()).map_err(CliError::usage)?;
    let found = slo::lint(&loaded, &config.workloads);
    let errors = found.into_iter().filter(|f| f.weight == slo::Weight::Error);
    let errors: Vec<String> = errors.map(|f| format!("{}: {}", loaded.source, f.message)).collect();
    if !errors.is_empty() {
        return Err(CliError::usage(errors.join("\n")));
    }
    Ok(slo::with_criteria(loaded.definitions, &config.criteria))
}

/// The configuration, where it came from, and whether it is the embedded sandbox's.
pub fn resolve_config(
    args: &ConfigArgs,
    sandbox_only: bool,
) -> Result<(Config, String, bool), CliError> {
    let (loaded, sandbox) = resolve(args, sandbox_only)?;
    Ok((loaded.config, loaded.source, sandbox))
}

/// As [`resolve_config`], with the places of its values.
fn resolve(args: &ConfigArgs, sandbox_only: bool) -> Result<(Loaded, bool), CliError> {
    if sandbox_only && args.config.is_some() {
        return Err(CliError::usage("the demo runs on the embedded sandbox: leave --config out"));
    }
    let options = args.load_options();
    if !sandbox_only && let Some(loaded) = config::load(&options).map_err(CliError::usage)? {
        tell_unknown_variables(&loaded);
        return Ok((loaded, false));
    }
    let nowhere = sandbox::Endpoints::placeholder();
    let base =
        if sandbox_only { sandbox::demo_config(&nowhere) } else { sandbox::config(&nowhere) };
    let mut loaded = config::apply_overrides(base, &options).map_err(CliError::usage)?;
    loaded.source = "embedded sandbox".into();
    tell_unknown_variables(&loaded);
    Ok((loaded, true))
}

/// Warns of variables that count for nothing: one may be a slip of the pen. A command that reads its
/// configuration twice warns once.
pub fn tell_unknown_variables(loaded: &Loaded) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| loaded.unknown_variables.iter().for_each(say_error));
}

fn arm(config: &Config, option: &str, name: Option<&str>) -> Result<bool, CliError> {
    match name {
        Some(name) if name == config.target.name => Ok(true),
        Some(name) => Err(CliError::usage(format!(
            "{option} {name}: the target's name is `{}`; nothing has been started",
            config.target.name
        ))),
        None => Ok(false),
    }
}

fn on_detach(config: &Config, options: &RunOptions) -> OnDetach {
    let production = config.target.environment == Environment::Production;
    match options.on_detach {
        Some(OnDetachWord::Continue) => OnDetach::Continue,
        Some(OnDetachWord::Hold) => OnDetach::Hold,
        Some(OnDetachWord::Abort) => OnDetach::Abort,
        None => {
            config.on_detach.unwrap_or(if production { OnDetach::Hold } else { OnDetach::Continue })
        }
    }
}

fn watch(
    mut order: EngineOrder,
    display: &DisplayArgs,
    options: &RunOptions,
) -> Result<Exit, CliError> {
    let lines = options.headless || !has_terminal();
    let production = order.config.target.environment == Environment::Production;
    if lines && production && !order.armed {
        return Err(CliError::usage(format!(
            "`{name}` is a production target: pass --arm {name} to work on it",
            name = order.config.target.name
        )));
    }
    order.owned = lines && !options.detach;
    let own_scope = !order.owned && outlive_session(&mut order.warnings)?;
    let runs = &order.config.report.runs;
    let baseline = options.baseline.as_deref().map(|name| compare::load(runs, Some(name)));
    let baseline = baseline.transpose()?;
    retention::apply(runs, &order.config.runs.keep);
    let folder = RunFolder::create(runs).map_err(CliError::usage)?;
    let engine = start_engine(&folder, &order, own_scope)?;
    let inconclusive = order.config.criteria.inconclusive;
    let ended = match (lines, options.detach) {
        (true, true) => headless::start_and_leave(&folder),
        (true, false) => headless::watch(&folder, inconclusive),
        (false, _) => runtime(1)?.block_on(dashboard::watch(&folder, display, false, inconclusive)),
    };
    leave(&folder, engine, order.owned);
    match (ended?, baseline) {
        (ended @ (Exit::Pass | Exit::Fail | Exit::Inconclusive), Some(baseline))
            if !options.detach =>
        {
            // What became worse is a failure, whatever else is not decided.
            let compared = compare::with_baseline(&baseline, &folder)?;
            Ok(if compared == Exit::Fail { compared } else { ended })
        }
        (ended, _) => Ok(ended),
    }
}

/// How long an engine that is ours may take to clear its table after its run is over.
const CLEARING: Duration = Duration::from_secs(10);

/// Waits for an engine that is ours, so that nothing is left running; another one goes on. A run
/// that was refused leaves nothing but its order, which is no run.
fn leave(folder: &RunFolder, mut engine: Child, owned: bool) {
    drop(engine.stdin.take());
    let deadline = Instant::now() + CLEARING;
    while owned && matches!(engine.try_wait(), Ok(None)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    if was_refused(folder.path()) {
        folder.discard_unbegun();
    }
}

/// Whether the engine gets a scope of its own, where it would die with the login session. That it may
/// end all the same is a warning of the run itself: what is said here goes as soon as the screen is taken.
fn outlive_session(warnings: &mut Vec<String>) -> Result<bool, CliError> {
    let mut warn = |warning: &str| {
        say_error(&warning);
        warnings.push(warning.to_owned());
    };
    match AtLogout::look() {
        AtLogout::GoesOn => return Ok(false),
        AtLogout::EndsWithLastSession => {
            warn(WITH_LAST_SESSION);
            return Ok(false);
        }
        AtLogout::EndsWithSession => {}
    }
    if !session::can_start_scope() {
        warn(
            "this login session kills its processes when it ends (KillUserProcesses=yes), and no \
             `systemd-run --user` is at hand: the run will end with the session",
        );
        return Ok(false);
    }
    if has_terminal() && !offer_scope()? {
        warn("the run will end with this login session (KillUserProcesses=yes)");
        return Ok(false);
    }
    if !session::lingers() {
        warn(WITH_LAST_SESSION);
    }
    Ok(true)
}

/// What is below a user's service manager ends with it.
const WITH_LAST_SESSION: &str = "the run ends with your last login session, as all of your user services: \
                                 `loginctl enable-linger` keeps them";

fn offer_scope() -> Result<bool, CliError> {
    say("This login session kills its processes when it ends (KillUserProcesses=yes).");
    say("Start the engine in a scope of its own with `systemd-run --user --scope`? [Y/n]");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(CliError::usage)?;
    Ok(!answer.trim().eq_ignore_ascii_case("n"))
}
