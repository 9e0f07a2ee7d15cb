//! `shakedown sandbox`, and the hidden commands that run one of its services or stores.

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{CliError, Exit, say};
use super::runtime;
use crate::config::{ServiceKind, StoreKind};
use crate::sandbox::{self, Endpoints, Options, StoreSource};

/// Options of `sandbox`.
#[derive(Args)]
pub struct SandboxArgs {
    /// Seed of its latencies
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Factor on every latency
    #[arg(long, value_name = "F", default_value_t = 1.0, value_parser = parse_scale)]
    latency_scale: f64,
    /// Where its stores come from: `embedded`, or `local`, which prefers servers installed here
    #[arg(long, value_name = "WHICH", default_value = "embedded")]
    stores: StoreSource,
    /// Ends when standard input is closed
    #[arg(long, hide = true)]
    lifeline: bool,
    /// Prints the addresses as one line of JSON
    #[arg(long, hide = true)]
    ready_json: bool,
}

/// Options of one service.
#[derive(Args)]
pub struct ServiceArgs {
    #[arg(value_parser = parse_service)]
    service: ServiceKind,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    seed: u64,
    #[arg(long, value_parser = parse_scale)]
    latency_scale: f64,
    /// Process id of the supervisor
    #[arg(long)]
    parent: u32,
    /// Base URL of the service that it calls
    #[arg(long)]
    peer: Option<String>,
}

/// Options of one store.
#[derive(Args)]
pub struct StoreArgs {
    #[arg(value_parser = parse_store)]
    store: StoreKind,
    #[arg(long)]
    port: u16,
    /// Port of its other protocol
    #[arg(long)]
    second_port: Option<u16>,
    #[arg(long)]
    password_file: PathBuf,
    /// Folder for what an installed server writes
    #[arg(long)]
    folder: PathBuf,
    /// Program of an installed server that it becomes
    #[arg(long)]
    program: Option<PathBuf>,
    /// Process id of the supervisor
    #[arg(long)]
    parent: u32,
}

fn parse_scale(text: &str) -> Result<f64, String> {
    let scale = text.parse::<f64>().ok().filter(|scale| (0.0..=1000.0).contains(scale));
    scale.ok_or_else(|| "expected a number from 0 to 1000".into())
}

fn parse_service(word: &str) -> Result<ServiceKind, String> {
    ServiceKind::ALL
        .into_iter()
        .find(|service| service.name() == word)
        .ok_or_else(|| "expected chat, rag or mcp".into())
}

fn parse_store(word: &str) -> Result<StoreKind, String> {
    let names = StoreKind::ALL.map(StoreKind::name).join(", ");
    let found = StoreKind::ALL.into_iter().find(|store| store.name() == word);
    found.ok_or_else(|| format!("expected one of {names}"))
}

/// Runs the sandbox until it is stopped.
pub fn run(args: &SandboxArgs) -> Result<Exit, CliError> {
    let executable = std::env::current_exe().map_err(CliError::usage)?;
    let options =
        Options { seed: args.seed, latency_scale: args.latency_scale, stores: args.stores };
    let ready = |endpoints: &Endpoints| {
        if args.ready_json {
            say(serde_json::to_string(endpoints).unwrap_or_default());
        } else {
            introduce(endpoints);
        }
    };
    runtime(1)?.block_on(async {
        let stop = stopped(args.lifeline)?;
        let supervised = sandbox::supervise(&executable, &options, ready, stop).await;
        supervised.map(|()| Exit::Pass).map_err(CliError::usage)
    })
}

/// Runs one service.
pub fn serve(args: &ServiceArgs) -> Result<Exit, CliError> {
    let settings = sandbox::ServiceSettings {
        service: args.service,
        port: args.port,
        seed: args.seed,
        latency_scale: args.latency_scale,
        parent: args.parent,
        peer: args.peer.clone(),
    };
    runtime(1)?.block_on(async {
        let served = sandbox::serve(&settings).await;
        served.map(|()| Exit::Pass).map_err(CliError::usage)
    })
}

/// Runs one store.
pub fn serve_store(args: &StoreArgs) -> Result<Exit, CliError> {
    let settings = sandbox::stores::StoreSettings {
        store: args.store,
        port: args.port,
        second_port: args.second_port,
        password_file: args.password_file.clone(),
        folder: args.folder.clone(),
        program: args.program.clone(),
        parent: args.parent,
    };
    runtime(1)?.block_on(async {
        let served = sandbox::stores::serve(&settings).await;
        served.map(|()| Exit::Pass).map_err(CliError::usage)
    })
}

/// A future that ends when the sandbox has to.
fn stopped(lifeline: bool) -> Result<impl Future<Output = ()>, CliError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::usage)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::usage)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(CliError::usage)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv(), if !lifeline => {}
            () = sandbox::parent_gone(), if lifeline => {}
        }
    })
}

fn introduce(endpoints: &Endpoints) {
    // All of it is YAML, so that it can be sent into a file as it is.
    say("# A shakedown.yaml for the embedded practice platform:");
    match serde_yaml::to_string(&sandbox::config(endpoints)) {
        Ok(yaml) => say(yaml),
        Err(error) => say(format_args!("# cannot be written: {error}")),
    }
    say("# The practice platform is up (Ctrl-C ends it):");
    for (name, url) in [("chat", &endpoints.chat), ("rag", &endpoints.rag), ("mcp", &endpoints.mcp)]
    {
        say(format_args!("#   {name:<8} {url}   (faults: POST {url}/sandbox/knobs)"));
    }
    for (kind, store) in endpoints.stores.configured() {
        let label = store.label.as_deref().unwrap_or_default();
        say(format_args!("#   {:<8} {}   ({label})", kind.name(), store.url));
    }
    say(format_args!("#   {:<8} {}/sandbox/services", "admin", endpoints.admin));
}
