//! Values that are well-formed and contradict each other or make no sense.

use std::collections::BTreeSet;
use std::time::Duration;

use super::security::endings_of;
use super::{
    BackupWay, Call, Config, Environment, MAX_DOCUMENTS, PhaseKind, validate_workload, wire,
};

/// What is wrong with a value that is well-formed.
#[derive(Debug)]
pub(super) struct Contradiction {
    /// Path of the value.
    pub path: String,
    /// What was expected, or what is wrong.
    pub message: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

impl Contradiction {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), hint: None }
    }
}

/// Everything in a configuration that contradicts itself.
pub(super) fn contradictions(config: &Config) -> Vec<Contradiction> {
    let mut found = Found::default();
    found.check(
        is_name(&config.target.name),
        "target.name",
        "expected a name of at most 100 characters, none of them a control character",
    );
    found.check(!config.report.runs.as_os_str().is_empty(), "report.runs", "expected a folder");
    services(config, &mut found);
    stores(config, &mut found);
    for kind in [PhaseKind::Mixed, PhaseKind::Ramping] {
        if let Some(of) = config.workloads.of(kind) {
            validate_workload::workload(&format!("workloads.{kind}"), of, &mut found);
        }
    }
    phases(config, &mut found);
    criteria(config, &mut found);
    guards(config, &mut found);
    backup(config, &mut found);
    security(config, &mut found);
    chaos(config, &mut found);
    found.0
}

#[derive(Default)]
pub(super) struct Found(Vec<Contradiction>);

impl Found {
    pub(super) fn check(&mut self, holds: bool, path: &str, message: &str) {
        if !holds {
            self.0.push(Contradiction::new(path, message));
        }
    }

    pub(super) fn extend(&mut self, more: impl IntoIterator<Item = Contradiction>) {
        self.0.extend(more);
    }
}

/// Whether a name can be shown in one line of any terminal as it is: control characters and those that
/// turn the direction of writing would change what stands around it.
fn is_name(name: &str) -> bool {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = |c: char| !c.is_control() && !turns(c);
    !name.trim().is_empty() && name.chars().count() <= 100 && name.chars().all(shown)
}

/// Whether an address names a host and, behind a colon, a port that is one; and no credentials.
pub(super) fn is_bare(url: &hyper::Uri) -> bool {
    url.authority().is_some_and(|authority| {
        let (whole, host) = (authority.as_str(), authority.host());
        // What is no port reads as none, and the default one is somebody else's.
        let port = whole == host || authority.port_u16().is_some_and(|port| port != 0);
        !whole.contains('@') && !host.is_empty() && port
    })
}

fn services(config: &Config, found: &mut Found) {
    for (service, endpoint) in config.services.endpoints() {
        let path = format!("services.{service}.endpoint");
        let url: Option<hyper::Uri> = endpoint.base_url.parse().ok();
        let good = url.is_some_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && is_bare(&url)
                && url.query().is_none()
        });
        found.check(
            good,
            &format!("{path}.base_url"),
            "expected something like https://chat.example.com:8443, without credentials or query",
        );
        found.check(
            !endpoint.timeout.get().is_zero(),
            &format!("{path}.timeout"),
            "expected more than 0s",
        );
        found.check(
            endpoint.health.starts_with('/'),
            &format!("{path}.health"),
            "expected a path that begins with /",
        );
        wire::contradictions(&path, &endpoint.connection, &endpoint.tls, found);
    }
}

fn stores(config: &Config, found: &mut Found) {
    for (store, of) in config.stores.configured() {
        let url: Option<hyper::Uri> = of.url.parse().ok();
        let good = url.is_some_and(|url| url.scheme().is_some() && is_bare(&url));
        found.check(
            good,
            &format!("stores.{store}.url"),
            "expected something like redis://cache:6379; credentials belong in `user` and `password`",
        );
    }
}

fn phases(config: &Config, found: &mut Found) {
    let mut seen = BTreeSet::new();
    for (at, kind) in config.phases.order.iter().enumerate() {
        found.check(
            seen.insert(kind),
            &format!("phases.order.{at}"),
            &format!("{kind} stands in the order twice"),
        );
    }
    let phases = &config.phases;
    let plans = [
        ("full", &phases.full),
        ("quick", &phases.quick),
        ("extended", &phases.extended),
        ("dr", &phases.dr),
    ];
    for (name, lengths) in plans {
        for kind in PhaseKind::ALL {
            found.check(
                !lengths.of(kind).get().is_zero(),
                &format!("phases.{name}.{kind}"),
                "expected more than 0s: leave a phase out with `skip`",
            );
        }
    }
}

fn criteria(config: &Config, found: &mut Found) {
    let criteria = &config.criteria;
    for (name, value) in [
        ("availability_percent", criteria.availability_percent.unwrap_or(100.0)),
        ("error_rate_percent", criteria.error_rate_percent.unwrap_or(0.0)),
        ("resilience_percent", criteria.resilience_percent),
        ("security_percent", criteria.security_percent),
    ] {
        found.percent(value, &format!("criteria.{name}"));
    }
    let p99 = criteria.p99.is_none_or(|p99| !p99.get().is_zero());
    found.check(p99, "criteria.p99", "expected more than 0s");
}

fn guards(config: &Config, found: &mut Found) {
    found.percent(config.guards.error_rate_percent, "guards.error_rate_percent");
    let window = !config.guards.error_window.get().is_zero();
    found.check(window, "guards.error_window", "expected more than 0s");
    if config.target.environment == Environment::Production {
        let needed = "a production target needs this cap: expected a number";
        found.check(config.guards.max_requests.is_some(), "guards.max_requests", needed);
        found.check(config.guards.max_tokens.is_some(), "guards.max_tokens", needed);
    }
}

fn backup(config: &Config, found: &mut Found) {
    let backup = &config.backup;
    let documents = (1..=MAX_DOCUMENTS).contains(&backup.documents);
    found.check(documents, "backup.documents", "expected a number from 1 to 1000000");
    let interval = backup.canary_interval.get() >= Duration::from_millis(10);
    found.check(interval, "backup.canary_interval", "expected at least 10ms");
    let platform = backup.platform.as_ref();
    found.check(
        backup.way == BackupWay::BuiltIn || platform.is_some(),
        "backup.way",
        "the platform's backup needs `backup.platform`, which says how it is asked",
    );
    let Some(platform) = platform else { return };
    wire::contradictions("backup.platform", &platform.connection, &platform.tls, found);
    found.check(
        !platform.tls.insecure,
        "backup.platform.tls.insecure",
        "who asks for backups and restores proves who it is: expected `ca_file`, not `insecure`",
    );
    let restore = platform.restore.as_ref().map(|restore| ("restore.call", &restore.call));
    for (path, call) in [("trigger", &platform.trigger)].into_iter().chain(restore) {
        match call {
            Call::Command(command) => found.check(
                command.argv.first().is_some_and(|program| !program.is_empty()),
                &format!("backup.platform.{path}.command.argv"),
                "expected a program and its arguments",
            ),
            Call::Http(http) => found.request(&http.url, &format!("backup.platform.{path}.http")),
        }
    }
    if let Some(wait) = &platform.wait {
        found.request(&wait.url.replace("{id}", "id"), "backup.platform.wait");
        found.pointer(&wait.id, "backup.platform.wait.id");
        found.pointer(&wait.state, "backup.platform.wait.state");
    }
    for (at, artefact) in platform.artefacts.iter().enumerate() {
        let (path, expected) = match artefact.s3 {
            Some(_) => (artefact.path.is_relative(), "expected a key of the bucket"),
            None => (artefact.path.is_absolute(), "expected an absolute path of a file"),
        };
        found.check(
            path && artefact.path.file_name().is_some(),
            &format!("backup.platform.artefacts.{at}.path"),
            expected,
        );
    }
}

fn security(config: &Config, found: &mut Found) {
    for (at, upload) in config.security.uploads.iter().enumerate() {
        found.pointer(&upload.stored, &format!("security.uploads.{at}.stored"));
        for (n, entry) in upload.allowed.iter().enumerate() {
            found.check(
                endings_of(entry).is_some(),
                &format!("security.uploads.{at}.allowed.{n}"),
                "expected the ending of a file name, such as .png, or a media type, such as image/png",
            );
        }
    }
}

fn chaos(config: &Config, found: &mut Found) {
    let rate = (1..=100).contains(&config.chaos.probes_per_second);
    found.check(rate, "chaos.probes_per_second", "expected a number from 1 to 100");
    for (service, probe) in &config.chaos.probes {
        if let Some(degraded) = &probe.degraded {
            found.pointer(degraded, &format!("chaos.probes.{service}.degraded"));
        }
    }
    let expected = "expected another service: none is cut off from itself";
    let apart = config.chaos.partition.pairs.iter().all(|[one, other]| one != other);
    found.check(apart, "chaos.partition.pairs", expected);
    for (service, needs) in &config.chaos.depends_on {
        found.check(!needs.contains(service), &format!("chaos.depends_on.{service}"), expected);
    }
    let radius = &config.chaos.blast_radius;
    found.check(
        radius.targets != Some(0),
        "chaos.blast_radius.targets",
        "expected at least 1: leave chaos out with `phases.skip`",
    );
    found.check(
        radius.percent > 0.0 && radius.percent <= 100.0,
        "chaos.blast_radius.percent",
        "expected a percentage above 0, to 100",
    );
    if let Some(floor) = config.chaos.budget_floor_percent {
        found.percent(floor, "chaos.budget_floor_percent");
    }
}

impl Found {
    fn request(&mut self, url: &str, path: &str) {
        let url: Option<hyper::Uri> = url.parse().ok();
        let good = url
            .is_some_and(|url| matches!(url.scheme_str(), Some("http" | "https")) && is_bare(&url));
        self.check(
            good,
            &format!("{path}.url"),
            "expected something like https://backup.example.com/v1/backups; credentials belong in \
             `auth`",
        );
    }

    /// What does not begin with / points at nothing in any answer; an empty pointer means all of it.
    pub(super) fn pointer(&mut self, pointer: &str, path: &str) {
        let good = pointer.is_empty() || pointer.starts_with('/');
        self.check(good, path, "expected a JSON pointer such as /data/0/id");
    }

    fn percent(&mut self, value: f64, path: &str) {
        self.check((0.0..=100.0).contains(&value), path, "expected a percentage from 0 to 100");
    }
}
