//! The hidden command that is the engine: puts the rooms together and runs the order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::exit::{CliError, Exit};
use super::order::EngineOrder;
use super::recover;
use super::recover_audit;
use super::runtime;
use crate::backup::{BackupOptions, BackupPhase};
use crate::chaos::ChaosPhase;
use crate::config::{Config, NotifyMode, PhaseKind, ServiceKind, StoreKind};
use crate::load;
use crate::monitor::{GrafanaMarks, MetricsServer, Textfile};
use crate::notify::{self, ChaosAlerts};
use crate::platform::descriptors;
use crate::platform::endpoint::ResolvedEndpoint;
use crate::platform::health::HealthProbe;
use crate::platform::steady;
use crate::report;
use crate::run::assembly::{Assembly, Engine, Healer, ReportWriter, Settings, Steady, SteadyWatch};
use crate::run::companion::Companion;
use crate::run::connection::write_refusal;
use crate::run::engine::{self, EngineParts};
use crate::run::event::EventBody;
use crate::run::folder::{EngineGuard, RunFolder, write_atomically};
use crate::run::live_runs;
use crate::run::recorder::EventSink;
use crate::run::state::RunState;
use crate::run::state_dir::StateDir;
use crate::run::summary::RunSummary;
use crate::sandbox::{Options, Sandbox, StoreSource};
use crate::security::SecurityPhase;
use crate::slo::{MonitoredBudget, SloJudge, SloPhase, StoreWatch};

/// Options of the engine.
#[derive(clap::Args)]
pub struct EngineArgs {
    /// Folder of the run.
    run_dir: PathBuf,
}

/// Runs an engine to the end of its run.
pub fn run(args: &EngineArgs) -> Result<Exit, CliError> {
    engine::leave_terminal();
    descriptors::raise_limit();
    let folder = RunFolder::at(args.run_dir.clone());
    let ended = runtime(2)?.block_on(run_order(&folder));
    if let Err(error) = &ended {
        write_refusal(folder.path(), &error.to_string());
    }
    ended
}

async fn run_order(folder: &RunFolder) -> Result<Exit, CliError> {
    // First of all, so that whoever waits for this engine, or looks for runs, knows that it is there.
    let alive = folder.claim().map_err(CliError::usage)?;
    let state_dir = StateDir::open().map_err(CliError::usage)?;
    let announced = live_runs::announce(&state_dir, folder);
    let mut order: EngineOrder = folder.read_order().map_err(CliError::usage)?;
    let undone = recover::undo_leftovers().await?;
    let sandbox = start_sandbox(&mut order).await?;
    let mut parts = parts(folder, alive, order)?;
    parts.warnings.extend(undone.lines());
    parts.warnings.extend(recover_audit::clean_earlier(folder).await.lines());
    parts.warnings.extend(neighbours(&state_dir, folder));
    if let Err(error) = &announced {
        parts.warnings.push(format!("this run is not found from other directories: {error}"));
    }
    let ended = engine::run(parts).await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    let verdict = ended.map_err(CliError::usage)?;
    Ok(Exit::of(verdict.verdict, crate::config::InconclusiveExit::Own))
}

/// Other runs of this user that go on here: on other targets, but on the same processors.
fn neighbours(state_dir: &StateDir, own: &RunFolder) -> Option<String> {
    let others = live_runs::live_runs(state_dir).into_iter().filter(|run| run != own);
    let ids: Vec<String> = others.map(|run| run.id()).collect();
    (!ids.is_empty()).then(|| {
        format!(
            "not alone on this machine, beside {}: whoever shares processors measures slower",
            ids.join(" and ")
        )
    })
}

async fn start_sandbox(order: &mut EngineOrder) -> Result<Option<Sandbox>, CliError> {
    match order.sandbox {
        true => launch_sandbox(&mut order.config, order.seed, order.stores).await.map(Some),
        false => Ok(None),
    }
}

/// Starts a sandbox, and puts its addresses into its configuration.
pub async fn launch_sandbox(
    config: &mut Config,
    seed: u64,
    source: StoreSource,
) -> Result<Sandbox, CliError> {
    let executable = std::env::current_exe().map_err(CliError::usage)?;
    let options = Options { seed, stores: source, ..Options::default() };
    let sandbox = Sandbox::launch(&executable, &options).await.map_err(CliError::usage)?;
    let endpoints = sandbox.endpoints();
    let services = &mut config.services;
    let addresses = [
        (services.chat.as_mut().map(|service| &mut service.endpoint), &endpoints.chat),
        (services.rag.as_mut().map(|service| &mut service.endpoint), &endpoints.rag),
        (services.mcp.as_mut().map(|service| &mut service.endpoint), &endpoints.mcp),
    ];
    for (endpoint, address) in addresses {
        if let Some(endpoint) = endpoint {
            endpoint.base_url.clone_from(address);
        }
    }
    let stores = &mut config.stores;
    for kind in StoreKind::ALL {
        let found = endpoints.stores.get(kind).cloned();
        let slot = stores.slot(kind);
        // This build may lack a store that is installed.
        if slot.is_some() || source == StoreSource::Local {
            *slot = found.or_else(|| slot.take());
        }
    }
    if config.chaos.sandbox.is_some() {
        config.chaos.sandbox = Some(endpoints.admin.clone());
    }
    Ok(sandbox)
}

fn parts(
    folder: &RunFolder,
    alive: EngineGuard,
    order: EngineOrder,
) -> Result<EngineParts, CliError> {
    let on_detach = order.unwatched();
    let probe = HealthProbe::new(&order.config.services).map_err(CliError::usage)?;
    let companions = companions(&order, &probe);
    let config = Arc::new(order.config);
    let origins = origins(&config)?;
    let backup = BackupOptions {
        run_folder: folder.path().to_owned(),
        embedded: order.sandbox,
        in_place: order.in_place,
    };
    let engines = PhaseKind::ALL.into_iter().map(|kind| (kind, engine_of(kind, &config, &backup)));
    let assembly = Assembly {
        phases: engines.collect(),
        steady: Arc::new(PlatformWatch(probe)),
        reports: Arc::new(JsonReports {
            folder: folder.clone(),
            copy_to: config.report.copy_to.clone(),
        }),
        judge: Arc::new(SloJudge),
        healer: Arc::new(LeftoverHealer),
        companions,
    };
    let settings = Settings {
        config,
        run_id: folder.id(),
        seed: order.seed,
        autostart: order.autostart,
        armed: order.armed,
        on_detach,
    };
    Ok(EngineParts {
        folder: folder.clone(),
        alive,
        warnings: order.warnings,
        assembly,
        settings,
        plan: order.plan,
        origins,
        config_source: order.config_source,
        promises: order.promises,
        owned: order.owned,
        exclusive: !order.sandbox,
    })
}

/// What goes beside the run.
fn companions(order: &EngineOrder, probe: &HealthProbe) -> Vec<Arc<dyn Companion>> {
    let promises = &order.promises;
    let mut all = vec![companion(StoreWatch::new(promises, probe.clone()))];
    let monitoring = order.config.monitoring.clone();
    all.extend(monitoring.listen.map(|at| companion(MetricsServer::new(at))));
    all.extend(monitoring.textfile.map(|path| companion(Textfile::new(path))));
    all.extend(monitoring.grafana.map(|grafana| companion(GrafanaMarks::new(grafana))));
    let mode = notify_mode(order);
    if mode == NotifyMode::Off {
        return all;
    }
    for manager in ChaosAlerts::of(promises) {
        all.push(companion(manager));
    }
    match StateDir::open() {
        Ok(state) => {
            let watch = notify::Watch::new(promises, mode, &order.config.target.name, state);
            all.extend(watch.map(companion));
        }
        Err(error) => log::error!("nobody is told of alerts: {error}"),
    }
    all
}

fn companion(one: impl Companion + 'static) -> Arc<dyn Companion> {
    Arc::new(one)
}

/// Nobody is woken for the practice platform, and nobody counts on where a client waits for the end.
const fn notify_mode(order: &EngineOrder) -> NotifyMode {
    match order.promises.notify.mode {
        NotifyMode::Auto if order.sandbox => NotifyMode::Off,
        NotifyMode::Auto if order.owned => NotifyMode::OneShot,
        NotifyMode::Auto => NotifyMode::Escalate,
        asked => asked,
    }
}

fn origins(config: &Config) -> Result<Vec<(ServiceKind, String)>, CliError> {
    let resolve = |(service, endpoint)| {
        let resolved = ResolvedEndpoint::resolve(endpoint).map_err(CliError::usage)?;
        Ok((service, resolved.origin()))
    };
    config.services.endpoints().map(resolve).collect()
}

/// The engine of a phase, or why there is none.
fn engine_of(kind: PhaseKind, config: &Config, backup: &BackupOptions) -> Engine {
    match kind {
        PhaseKind::Mixed | PhaseKind::Ramping => load::engine(kind, config),
        PhaseKind::Slo => Ok(Arc::new(SloPhase)),
        PhaseKind::Chaos => Ok(Arc::new(ChaosPhase { budget: Arc::new(MonitoredBudget) })),
        PhaseKind::Security => Ok(Arc::new(SecurityPhase)),
        PhaseKind::Backup => Ok(Arc::new(BackupPhase(backup.clone()))),
    }
}

/// Undoes what a phase left that crashed or was given up, as if its engine had died.
struct LeftoverHealer;

#[async_trait]
impl Healer for LeftoverHealer {
    async fn heal(&self) -> Vec<String> {
        match recover::undo_leftovers().await {
            Ok(undone) => {
                undone.healed.iter().for_each(|line| log::warn!("{line}"));
                undone.unhealed
            }
            Err(error) => vec![format!("what is on record cannot be read: {error}")],
        }
    }
}

/// Watches the configured services between two phases.
struct PlatformWatch(HealthProbe);

#[async_trait]
impl SteadyWatch for PlatformWatch {
    async fn until_steady(&self, max: Duration, events: &EventSink) -> Steady {
        let watched = steady::wait_until_steady(&self.0, max, |answers| {
            for (service, answer) in answers {
                events.emit(EventBody::Health {
                    service: *service,
                    healthy: answer.healthy,
                    latency_us: answer.latency.as_micros() as u64,
                    detail: answer.detail.clone(),
                });
            }
        });
        let steady::Steady { steady, reason } = watched.await;
        Steady { steady, reason }
    }
}

/// Writes the JSON report into the run's folder and, when the run is over, beside the operator.
struct JsonReports {
    folder: RunFolder,
    copy_to: PathBuf,
}

impl ReportWriter for JsonReports {
    fn write(&self, state: &RunState) -> Result<PathBuf, String> {
        let path =
            report::json::write(self.folder.path(), state).map_err(|error| error.to_string())?;
        if state.verdict.is_some() {
            RunSummary::keep(&self.folder, state);
        }
        // A plan that was closed before it began takes the place of no run's report.
        if state.verdict.is_some() && state.started_us.is_some() {
            let copy = self.copy_to.join(report::json::REPORT_FILE);
            let content = std::fs::read(&path);
            content
                .and_then(|content| write_atomically(&copy, &content))
                .map_err(|error| format!("{}: {error}", copy.display()))?;
        }
        Ok(path)
    }
}
