//! The engine process: a session of its own, a journal, a control socket, and the orchestrator.

use std::os::fd::AsFd;
use std::path::PathBuf;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::assembly::{Assembly, Inbound, Settings};
use super::clock::RunClock;
use super::event::{EventBody, RunIdentity, RunVerdict};
use super::folder::{EngineGuard, RunFolder};
use super::journal::{Journal, JournalError};
use super::logger;
use super::orchestrator::Orchestrator;
use super::plan::Plan;
use super::recorder::EventSink;
use super::server;
use super::socket::ControlSocket;
use super::state_dir::{StateDir, StateDirError};
use super::target_lock::{LockError, LockHolder, TargetLock};
use crate::config::{Config, ServiceKind, SloDefinitions};

/// Commands that wait for the orchestrator at most.
const INBOX: usize = 64;

/// Everything that an engine needs.
pub struct EngineParts {
    /// The run's folder.
    pub folder: RunFolder,
    /// Held as long as this process works in it.
    pub alive: EngineGuard,
    /// What an operator has to know before anything begins.
    pub warnings: Vec<String>,
    /// What it is put together from.
    pub assembly: Assembly,
    /// Its settings.
    pub settings: Settings,
    /// What it is going to do.
    pub plan: Plan,
    /// Origins of the services, as resolved.
    pub origins: Vec<(ServiceKind, String)>,
    /// Where the configuration came from, in words.
    pub config_source: String,
    /// What the platform promises.
    pub promises: SloDefinitions,
    /// Whether the end of standard input means that the owner of the run is gone.
    pub owned: bool,
    /// Whether another run could have the same target; a sandbox of this run's own is nobody else's.
    pub exclusive: bool,
}

/// Why an engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The target is taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The control socket cannot be used.
    #[error("cannot listen for operators: {0}")]
    Socket(std::io::Error),
    /// Signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(std::io::Error),
}

/// Puts this process into a session of its own, so that no terminal's hang-up reaches it.
pub fn leave_terminal() {
    // Fails only for the leader of a process group, which a freshly started child is not.
    let _ = rustix::process::setsid();
}

/// Runs an engine to the end of its run.
///
/// # Errors
/// When it cannot start; a run that has started always ends with a verdict.
pub async fn run(parts: EngineParts) -> Result<RunVerdict, EngineError> {
    let EngineParts {
        folder,
        alive: _alive,
        warnings,
        assembly,
        settings,
        plan,
        origins,
        config_source,
        promises,
        owned,
        exclusive,
    } = parts;
    let shared = origins.iter().filter(|_| exclusive);
    let names: Vec<String> = shared.map(|(_, origin)| origin.clone()).collect();
    let state_dir = StateDir::open()?;
    let _lock = TargetLock::acquire(&state_dir, &names, &holder(&folder))?;
    let events = EventSink::new(RunClock::start(), Journal::create(folder.path())?);
    logger::install(&events);
    let unchecked = insecure(&settings.config);
    events.emit(EventBody::RunCreated {
        identity: Box::new(identity(&settings, origins, config_source)),
        plan,
        criteria: settings.config.criteria,
        promises: Some(Box::new(promises)),
    });
    for service in unchecked {
        log::warn!("{service}: TLS certificates are NOT checked (tls.insecure)");
    }
    warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let socket = ControlSocket::bind(folder.path(), &folder.id()).map_err(EngineError::Socket)?;
    let (inbox_sender, inbox) = mpsc::channel(INBOX);
    let (operators_sender, operators) = watch::channel(0);
    let (over_sender, over) = watch::channel(false);
    tokio::spawn(forward_signals(Signals::catch()?, inbox_sender.clone()));
    if owned {
        tokio::spawn(watch_owner(inbox_sender.clone()));
    }
    let served =
        tokio::spawn(server::serve(socket, events.clone(), inbox_sender, operators_sender, over));
    let verdict = Orchestrator::new(assembly, settings, events, inbox, operators).run().await;
    let _ = over_sender.send(true);
    let _ = served.await;
    Ok(verdict)
}

fn holder(folder: &RunFolder) -> LockHolder {
    LockHolder { run_id: folder.id(), run_dir: folder.path().to_owned(), pid: std::process::id() }
}

fn identity(
    settings: &Settings,
    origins: Vec<(ServiceKind, String)>,
    config_source: String,
) -> RunIdentity {
    let config: &Config = &settings.config;
    let target = &config.target;
    RunIdentity {
        origins,
        insecure: insecure(config),
        seed: settings.seed,
        config_source,
        ..RunIdentity::new(&settings.run_id, &target.name, target.environment)
    }
}

/// The services whose certificates nobody checks.
fn insecure(config: &Config) -> Vec<ServiceKind> {
    let endpoints = config.services.endpoints();
    let unchecked = endpoints
        .filter(|(_, endpoint)| endpoint.tls.insecure && endpoint.base_url.starts_with("https"));
    unchecked.map(|(service, _)| service).collect()
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> Result<Self, EngineError> {
        let catch = |kind| signal(kind).map_err(EngineError::Signals);
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hangup: catch(SignalKind::hangup())?,
        })
    }
}

/// A hang-up is caught and ignored: the run outlives its terminal.
async fn forward_signals(mut signals: Signals, inbox: mpsc::Sender<Inbound>) {
    loop {
        let name = tokio::select! {
            _ = signals.terminate.recv() => "SIGTERM",
            _ = signals.interrupt.recv() => "SIGINT",
            _ = signals.hangup.recv() => continue,
        };
        let reason = format!("signal {name}");
        if inbox.send(Inbound::Stop { reason }).await.is_err() {
            return;
        }
    }
}

/// The owner holds the other end of standard input; when it dies, however it dies, the end is seen.
async fn watch_owner(inbox: mpsc::Sender<Inbound>) {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned();
    let mut pipe = match stdin.and_then(pipe::Receiver::from_owned_fd) {
        Ok(pipe) => pipe,
        Err(error) => {
            log::warn!("cannot watch the owner of the run: {error}");
            return;
        }
    };
    let mut byte = [0];
    while matches!(pipe.read(&mut byte).await, Ok(n) if n > 0) {}
    let reason = "the process that owns the run is gone".to_owned();
    let _ = inbox.send(Inbound::Stop { reason }).await;
}

/// The file that takes what the engine says on standard error.
pub fn engine_log(folder: &RunFolder) -> PathBuf {
    folder.path().join("engine.log")
}
