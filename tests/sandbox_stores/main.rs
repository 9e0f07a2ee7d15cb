//! The practice platform's stores, by the unchanged clients that the drill uses for real ones.

#[path = "../support/stores.rs"]
mod drill_of;
#[path = "../support/identity.rs"]
mod identity;
mod minio;
mod neo4j;
mod postgres;
mod qdrant;
mod read_only;
#[path = "../support/records.rs"]
mod records;
mod redis;
#[path = "../support/refused.rs"]
mod refused;
#[path = "../support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use shakedown::config::{Store, StoreKind, Stores};
use shakedown::sandbox::{Endpoints, stores};
use support::Workplace;

/// How long an answer may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A sandbox; it ends with this value.
struct Up {
    process: Child,
    stores: Stores,
    _place: Workplace,
}

impl Up {
    fn new() -> Self {
        Self::with(&[])
    }

    /// One with further options.
    fn with(options: &[&str]) -> Self {
        let place = Workplace::new();
        let arguments = [&["sandbox", "--lifeline", "--ready-json"], options].concat();
        let mut command = place.command(&arguments);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("program runs");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let endpoints: Endpoints = serde_json::from_str(&line).expect("addresses");
        Self { process, stores: endpoints.stores, _place: place }
    }

    fn store(&self, kind: StoreKind) -> &Store {
        self.stores.get(kind).expect("this build has it")
    }

    /// The store with a password that is not its own.
    fn locked(&self, kind: StoreKind, wrong: &tempfile::NamedTempFile) -> Store {
        std::fs::write(wrong.path(), "wrong").expect("written");
        let password = shakedown::config::SecretSource::File(wrong.path().into());
        Store { password: Some(password), ..self.store(kind).clone() }
    }

    /// Host and port of a store.
    fn address(&self, kind: StoreKind) -> String {
        let url = &self.store(kind).url;
        let (_, rest) = url.split_once("://").expect("a scheme");
        rest.split('/').next().expect("an authority").to_owned()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Seed, backup and restore are identity for random records of every type that a store has.
#[test]
fn random_records_come_back_from_the_files_alone() {
    let up = Up::new();
    for kind in [StoreKind::Redis, StoreKind::Qdrant, StoreKind::Neo4j, StoreKind::Minio] {
        identity::is_identity(kind, up.store(kind), 24);
    }
}

#[test]
fn the_whole_drill_passes_on_the_five_stores() {
    let place = Workplace::new();
    let output = place.output(&["backup", "--headless", "--documents", "40", "--seed", "5"]);
    let said = support::text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", support::text(&output.stderr));
    for store in ["postgres", "redis", "qdrant", "neo4j", "minio"] {
        assert!(said.contains(&format!("{store}: pass: L6: zero data loss")), "{said}");
    }
    place.wait_until_nothing_runs();
}

/// Servers that are installed take the places of the embedded stores; the others stay.
#[test]
fn installed_servers_are_preferred_where_asked_for_and_end_with_the_sandbox() {
    let place = Workplace::new();
    let local = ["--stores", "local"];
    let drill = ["backup", "--headless", "--documents", "20", "--seed", "5"];
    let output = place.output(&[&drill[..], &local].concat());
    let said = support::text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", support::text(&output.stderr));
    place.wait_until_nothing_runs();
    let up = Up::with(&local);
    for kind in StoreKind::ALL {
        let installed = stores::local::find(kind).map(|found| found.label);
        let embedded = stores::EMBEDDED.contains(&kind).then(|| stores::label(kind).to_owned());
        let expected = installed.or(embedded);
        assert_eq!(up.stores.get(kind).and_then(|store| store.label.clone()), expected, "{kind}");
        let passed = said.contains(&format!("{}: pass: L6", kind.name()));
        assert_eq!(passed, expected.is_some(), "{said}");
    }
    let folder = std::env::temp_dir().join(format!("shakedown-sandbox-{}", up.process.id()));
    assert!(folder.is_dir());
    drop(up);
    assert!(!folder.exists());
}
