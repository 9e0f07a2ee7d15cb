//! What is not done, and says why: targets that may not be touched, engines that cannot be used.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{fs, thread};

use shakedown::run::journal;

use crate::platform::{NETWORK, Platform, docker, pid, residue};
use crate::support::{signal, wait_for};

/// A user with no rights of its own.
const NOBODY: u32 = 65534;

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn what_may_not_be_killed_is_said_with_its_reason() {
    let platform = Platform::new();
    let sleep = ["/bin/sleep", "1000"];
    let always = ["--restart", "always"];
    platform.run("policyless", &["--network", NETWORK], &sleep);
    platform.run("fleeting", &["--network", NETWORK, "--rm"], &sleep);
    platform.run("host-net", &[&["--network", "host"][..], &always].concat(), &sleep);
    platform.run("declared", &["--label", "shakedown.critical=true"], &sleep);
    platform.run("paused", &always, &sleep);
    docker(&["pause", "paused"]);
    platform.run("landlord", &always, &sleep);
    platform.run("lodger", &["--network", "container:landlord"], &sleep);
    // Stores by nothing but what they do.
    platform.run("listens", &always, &["/bin/httpd", "-f", "-p", "6379", "-h", "/www"]);
    let search = ["/bin/java", "-cp", "x", "org.elasticsearch.bootstrap.Elasticsearch"];
    platform.run("searches", &always, &search);
    let (_, phase) = platform.chaos(&["chaos.experiments=[kill]", "chaos.kill.count=1"]);
    docker(&["unpause", "paused"]);
    let excluded = &phase["chaos"]["excluded"];
    for (name, reason) in [
        ("policyless", "no restart policy"),
        ("fleeting", "--rm"),
        ("declared", "critical"),
        ("paused", "paused"),
        ("landlord", "used by lodger, which would be left without a network"),
        ("listens", "it has port 6379"),
        ("searches", "it runs org.elasticsearch"),
    ] {
        let said = excluded[name].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{name}: {excluded}");
    }
    assert_eq!(excluded.get("host-net"), None, "a kill does not mind its network");
    // Where nothing says which containers are meant, they are not all meant.
    let (code, phase) = platform.chaos(&["chaos.docker.labels={}"]);
    assert_eq!(code, Some(3), "{phase:#}");
    let reason = phase["reason"].as_str().expect("said");
    assert!(reason.contains("every container of the engine would be a target"), "{reason}");
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn only_a_network_of_its_own_is_cut() {
    let refused = |platform: &Platform, more: &[&str], reason: &str| {
        let (code, phase) = platform.chaos(&[&["chaos.experiments=[partition]"], more].concat());
        let experiment = &phase["chaos"]["experiments"][0];
        assert_eq!(code, Some(3), "{experiment:#}");
        assert!(experiment["reason"].to_string().contains(reason), "{experiment:#}");
        assert_eq!(experiment["effective"], serde_json::Value::Null);
    };
    let platform = Platform::new();
    platform.run("lodger", &["--network", "container:rag"], &["/bin/sleep", "1000"]);
    refused(&platform, &[], "shares its network namespace with lodger");
    docker(&["rm", "-f", "lodger"]);
    // Two that serve the same: neither is cut off by itself.
    let twin = ["--network", NETWORK, "--label", "com.docker.compose.service=rag"];
    platform.run("rag-2", &twin, &["/bin/sleep", "1000"]);
    refused(&platform, &[], "all serve rag");
    docker(&["rm", "-f", "rag-2"]);
    assert_eq!(residue(), Vec::<String>::new());
    drop(platform);

    let platform = Platform::without(&["rag"]);
    let port = "18977";
    let server = ["/bin/httpd", "-f", "-p", port, "-h", "/www"];
    platform.run("rag", &["--network", "host", "--restart", "always"], &server);
    let url = format!("services.rag.endpoint.base_url=http://127.0.0.1:{port}");
    refused(&platform, &[&url], "share no network");
    docker(&["rm", "-f", "rag"]);
    platform.serve("rag", 11, &[]);
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn an_engine_that_another_run_has_is_left_alone() {
    let platform = Platform::new();
    let mut arguments = vec!["volume", "create", "--label", "shakedown.run=r-elsewhere"];
    arguments.extend(["--label", "shakedown.owner=another bastion", "shakedown-lease"]);
    docker(&arguments);
    let (code, phase) = platform.chaos(&["chaos.experiments=[kill]"]);
    docker(&["volume", "rm", "shakedown-lease"]);
    assert_eq!(code, Some(3), "{phase:#}");
    let reason = phase["reason"].as_str().expect("said");
    assert!(reason.contains("run r-elsewhere of another bastion"), "{reason}");
    assert_eq!(platform.open_undos(), 0);
    // One that has expired is nobody's.
    arguments.splice(2..2, ["--label", "shakedown.expires=1000000000"]);
    docker(&arguments);
    let (code, _) = platform.chaos(&["chaos.experiments=[kill]", "chaos.kill.count=1"]);
    assert_eq!(code, Some(0));
    assert_eq!(residue(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn an_engine_that_cannot_be_used_is_said_with_what_to_do() {
    let platform = Platform::new();
    let said = |phase: serde_json::Value| phase["reason"].as_str().expect("said").to_owned();
    let (code, phase) = platform.chaos(&["chaos.docker.host=unix:///nowhere/docker.sock"]);
    let reason = said(phase);
    assert_eq!(code, Some(3));
    assert!(reason.contains("/nowhere/docker.sock") && reason.contains("DOCKER_HOST"), "{reason}");

    crate::remote::socket(0o600);
    let (code, phase) = platform.result(as_nobody(&platform, &["chaos.experiments=[kill]"]));
    let reason = said(phase);
    assert_eq!(code, Some(3));
    assert!(reason.contains("this user may not use it"), "{reason}");
}

/// The chaos phase by a user who is not root. The program is copied to where that user can read it.
pub fn as_nobody(platform: &Platform, settings: &[&str]) -> std::process::Child {
    let place = platform.place.path();
    let open = |path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("set");
    };
    let program = place.join("shakedown");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_shakedown"), &program).expect("copied");
    }
    open(place);
    let state = place.join("state-of-nobody");
    fs::create_dir_all(&state).expect("made");
    open(&state);
    // What an earlier run made there is root's.
    let _ = fs::remove_dir_all(place.join("runs"));
    let mut command = Command::new(program);
    command.current_dir(place).env("XDG_STATE_HOME", &state);
    command.env("HOME", place).env_remove("XDG_RUNTIME_DIR").env_remove("NO_COLOR");
    command.uid(NOBODY).gid(NOBODY).stdin(std::process::Stdio::null());
    platform.spawn(command, settings)
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn a_target_that_is_removed_in_mid_fault_is_told_and_leaves_nothing() {
    let platform = Platform::new();
    let child = platform.start(&["chaos.experiments=[partition]", "chaos.steady.within=3s"]);
    let run = platform.place.run();
    wait_for("a fault that acts", || {
        journal::read(run.path()).ok()?.state.active_fault()?.effect.as_ref().map(|_| ())
    });
    docker(&["rm", "-f", "rag"]);
    let (code, phase) = platform.result(child);
    assert!(matches!(code, Some(1 | 3)), "{phase:#}");
    assert!(phase.to_string().contains("rag was removed"), "{phase:#}");
    assert_eq!(platform.open_undos(), 0);
    platform.serve("rag", 11, &[]);
    assert_eq!(residue(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn a_database_that_changes_in_mid_fault_ends_everything() {
    let platform = Platform::new();
    platform.run("store", &["--restart", "always"], &["/bin/postgres"]);
    let long = "chaos.partition.length=60s";
    let child = platform.start(&["chaos.experiments=[partition, kill]", long]);
    let run = platform.place.run();
    wait_for("a fault", || {
        journal::read(run.path()).ok()?.state.active_fault()?.effect.as_ref().map(|_| ())
    });
    signal(u32::try_from(pid("store")).expect("pid"), rustix::process::Signal::KILL);
    let (code, phase) = platform.result(child);
    assert_eq!(code, Some(1), "{phase:#}");
    assert!(phase["chaos"]["disturbed"].to_string().contains("store was"), "{phase:#}");
    assert_eq!(phase["chaos"]["resilience_score"], 0.0);
    let experiments = phase["chaos"]["experiments"].as_array().expect("experiments").len();
    assert_eq!(experiments, 1, "nothing is begun after that");
    assert_eq!(residue(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn an_engine_that_stops_answering_in_mid_fault_ends_it() {
    // Of an engine that was started for this suite alone, by its process id.
    let daemon: u32 = std::env::var("LIVE_DOCKERD")
        .ok()
        .and_then(|pid| pid.parse().ok())
        .expect("the process id of the suite's own engine");
    let platform = Platform::new();
    platform.run("store", &["--restart", "always"], &["/bin/postgres"]);
    let long = "chaos.partition.length=60s";
    let child = platform.start(&["chaos.experiments=[partition]", long]);
    let run = platform.place.run();
    let fault = || journal::read(run.path()).ok()?.state.active_fault().cloned();
    wait_for("a fault", || fault()?.effect.as_ref().map(|_| ()));
    let rag = pid("rag").to_string();
    signal(daemon, rustix::process::Signal::STOP);
    let stopped = std::time::Instant::now();
    let healing = wait_for("the fault to be healed", || match fault() {
        Some(fault) => fault.healing,
        None => Some("healed".into()),
    });
    // Healing waits for no answer: one that is asked for may take twenty seconds to be given up.
    assert!(stopped.elapsed() < std::time::Duration::from_secs(18), "{:?}", stopped.elapsed());
    // The namespace is looked at without the engine: it does not answer.
    let table = || {
        let list = ["-t", &rag, "-n", "nft", "list", "tables"];
        let output = Command::new("nsenter").args(list).output().expect("nsenter");
        crate::support::text(&output.stdout)
    };
    wait_for("the table to be gone", || (!table().contains("shakedown")).then_some(()));
    thread::sleep(std::time::Duration::from_secs(1));
    signal(daemon, rustix::process::Signal::CONT);
    let (code, phase) = platform.result(child);
    assert!(healing.contains("docker runtime does not answer"), "{healing}");
    assert!(matches!(code, Some(1 | 3)), "{phase:#}");
    platform.place.output(&["recover"]);
    assert_eq!(residue(), Vec::<String>::new());
    assert_eq!(platform.open_undos(), 0);
}
