//! `shakedown check`: configuration, reachability, health and optional tools.

use std::error::Error as _;
use std::fmt::Display;
use std::net::ToSocketAddrs;
use std::time::Duration;

use futures_util::future::join_all;

use super::ConfigArgs;
use super::exit::{CliError, Exit, say, say_folded};
use super::run::tell_unknown_variables;
use super::runtime;
use super::security;
use super::tools::TOOLS;
use crate::config::{
    self, Channel, Config, Loaded, LoadedSlos, NotifyMode, PhaseKind, ServiceKind, SloDefinitions,
    StoreKind,
};
use crate::platform::endpoint::ResolvedEndpoint;
use crate::platform::health::{AskHealth, HealthProbe};
use crate::platform::text::with_causes;
use crate::sandbox;

/// Longest wait for a store's port.
const STORE_PATIENCE: Duration = Duration::from_secs(3);

/// Column in which lines go on that do not fit the terminal.
const HANGING: usize = 24;

/// Options of `check`.
#[derive(clap::Args)]
pub struct CheckArgs {
    /// Shows where each value that is not a default came from
    #[arg(long)]
    origins: bool,
}

/// Runs the command.
pub fn run(args: &ConfigArgs, check: &CheckArgs) -> Result<Exit, CliError> {
    let options = args.load_options();
    let Some(loaded) = config::load(&options).map_err(CliError::usage)? else {
        say(format_args!(
            "no {}: runs use the embedded sandbox (`shakedown init` writes a configuration)",
            config::DEFAULT_FILE
        ));
        // What overrides a file overrides the sandbox's configuration, too.
        let base = sandbox::config(&sandbox::Endpoints::placeholder());
        let loaded = config::apply_overrides(base, &options).map_err(CliError::usage)?;
        tell_unknown_variables(&loaded);
        print_origins(&loaded, check.origins);
        check_tools();
        return Ok(Exit::Pass);
    };
    tell_unknown_variables(&loaded);
    config::check_feeders(&loaded, &PhaseKind::ALL).map_err(CliError::usage)?;
    say(format_args!("configuration  ok       {}", loaded.source));
    print_origins(&loaded, check.origins);
    if !check.origins {
        say("  (--origins shows where every value came from; what is not listed is a default)");
    }
    security::tell_accepted(&loaded)?;
    let services = check_services(&loaded.config)?;
    let stores = check_stores(&loaded.config);
    check_channels(&loaded.config)?;
    check_tools();
    Ok(if services && stores { Exit::Pass } else { Exit::Fail })
}

fn print_origins(loaded: &Loaded, all: bool) {
    let overridden = |source: &&String| !source.starts_with(&loaded.source);
    for (path, source) in &loaded.origins {
        if all || overridden(&source) {
            let value = loaded.value(path).map_or_else(String::new, |value| format!(" = {value}"));
            say_folded(&format!("  {:<56} {source}", format!("{path}{value}")), 6);
        }
    }
}

fn check_services(config: &Config) -> Result<bool, CliError> {
    if config.services.endpoints().next().is_none() {
        say("services       missing  none is configured: load phases will be skipped");
    }
    let mut all = true;
    let mut probes = Vec::new();
    for (service, endpoint) in config.services.endpoints() {
        // One by one: a service that cannot be asked keeps no other from being asked.
        match HealthProbe::of([(service, endpoint)]) {
            Ok(probe) => {
                probe.endpoints().for_each(|(service, endpoint)| tell_way(service, endpoint));
                probes.push(probe);
            }
            Err(error) => {
                // Whose it is stands in front.
                let why = error.source().map_or_else(|| error.to_string(), with_causes);
                tell_line(service, "failed", &why);
                all = false;
            }
        }
    }
    let answers = runtime(1)?.block_on(join_all(probes.iter().map(HealthProbe::ask_all)));
    for (service, answer) in answers.into_iter().flatten() {
        let word = if answer.healthy { "ok" } else { "failed" };
        let millis = answer.latency.as_millis();
        tell_line(service, word, &format!("{} in {millis} ms", answer.detail));
        all &= answer.healthy;
    }
    Ok(all)
}

/// What is out of the ordinary on the way to a service.
fn tell_way(service: ServiceKind, endpoint: &ResolvedEndpoint) {
    if endpoint.tls && endpoint.trust.insecure {
        tell_line(
            service,
            "WARNING",
            "TLS certificates are NOT checked (tls.insecure): whoever stands between can read and \
             change everything",
        );
    }
    if let Some(proxy) = &endpoint.proxy {
        tell_line(service, "proxy", &proxy.url());
    }
}

fn check_stores(config: &Config) -> bool {
    let mut all = true;
    for (name, store) in config.stores.configured() {
        let reached = reach(name, &store.url);
        all &= reached.is_ok();
        match reached {
            Ok(()) => tell_line(name, "ok", "its port answers"),
            Err(reason) => tell_line(name, "failed", &reason),
        }
    }
    all
}

fn reach(kind: StoreKind, url: &str) -> Result<(), String> {
    let uri: hyper::Uri = url.parse().map_err(|_| format!("`{url}` is no URL"))?;
    let host = uri.host().ok_or_else(|| format!("`{url}` names no host"))?;
    let port = uri.port_u16().unwrap_or(kind.default_port());
    let addresses = (host.trim_matches(['[', ']']), port).to_socket_addrs();
    let mut failure = "the name has no address".to_owned();
    for address in addresses.map_err(|error| error.to_string())? {
        match std::net::TcpStream::connect_timeout(&address, STORE_PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => failure = format!("{address}: {error}"),
        }
    }
    Err(failure)
}

/// Who would be told of alerts; channels that are not set up are no failure.
fn check_channels(config: &Config) -> Result<(), CliError> {
    let loaded = LoadedSlos::load(config.slo_definitions.as_ref()).map_err(CliError::usage)?;
    let SloDefinitions { channels, notify, .. } = &loaded.definitions;
    if notify.mode == NotifyMode::Off {
        tell_line("alerts", "off", "notify.mode: nobody is told");
        return Ok(());
    }
    if channels.is_empty() {
        tell_line("alerts", "none", "(optional) nobody is told: no channels are defined");
        return Ok(());
    }
    let missing: Vec<_> = channels.values().filter_map(Channel::not_configured).collect();
    if missing.len() == channels.len() {
        // Whoever has set up none of them does not ask for alerts: those of the shipped definitions are
        // an offer.
        tell_line("alerts", "none", &format!("(optional) nobody is told: {}", missing.join(", ")));
        return Ok(());
    }
    for (name, channel) in channels {
        let kind = channel.kind();
        match channel.not_configured() {
            Some(missing) => {
                tell_line(name, "not set", &format!("{missing}: alerts do not go to {kind}"))
            }
            None => tell_line(name, "set", &format!("alerts go to {kind}")),
        }
    }
    Ok(())
}

/// What was looked at, what it is like in a word, and more of it.
fn tell_line(name: impl Display, word: &str, more: &str) {
    say_folded(&format!("{name:<14} {word:<8} {more}"), HANGING);
}

fn check_tools() {
    for tool in TOOLS {
        match tool.version() {
            Some(version) => tell_line(tool.name, "ok", &version),
            None => tell_line(
                tool.name,
                "missing",
                &format!("(optional) {}: {}", tool.purpose, tool.how_to_get),
            ),
        }
    }
}
