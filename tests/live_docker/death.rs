//! An engine that is killed in mid-fault leaves nothing in the containers, however its faults are
//! held. `LIVE_KILL_POINTS` says at how many moments of each experiment it is killed.

use std::process::Command;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;
use shakedown::run::folder::RunFolder;
use shakedown::run::journal;

use crate::platform::{Platform, SERVICES, SUBNET, chains, docker, inspected, residue, rules};
use crate::support::{ended, engine_pid, signal, text, wait_for};

/// Faults last so long here, and none may be left soon after.
const LENGTH: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_secs(5);
/// From the first moment of an experiment's fault to the last at which its engine is killed.
const WINDOW_MS: u64 = 4500;

fn points() -> u64 {
    std::env::var("LIVE_KILL_POINTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn an_engine_killed_at_any_moment_leaves_nothing() {
    let platform = Platform::new();
    let mut random = StdRng::seed_from_u64(5);
    for kind in ["kill", "cpu", "memory", "partition"] {
        for point in 0..points() {
            let helpers = if point % 2 == 0 { "auto" } else { "containers" };
            let after = Duration::from_millis(random.random_range(0..WINDOW_MS));
            let firewall = if point % 4 == 2 { "iptables" } else { "auto" };
            let what = format!("{kind}, {helpers}, killed {} ms in", after.as_millis());
            killed(&platform, kind, [helpers, firewall], after, &what);
        }
        if points() == 1 {
            let after = Duration::from_millis(1500);
            killed(&platform, kind, ["containers", "auto"], after, kind);
            killed(&platform, kind, ["auto", "iptables"], after, kind);
        }
    }
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn a_program_whose_file_is_gone_and_whose_helper_is_killed_heals_all_the_same() {
    let platform = Platform::new();
    let program = platform.place.path().join("upgraded");
    std::fs::copy(env!("CARGO_BIN_EXE_shakedown"), &program).expect("copied");
    let only = ["chaos.experiments=[partition]", "chaos.docker.helpers=containers"];
    let settings = [&only[..], &["chaos.partition.length=60s"]].concat();
    let child = platform.spawn(platform.place.command_of(&program, &[]), &settings);
    let run = platform.place.run();
    wait_for("a proven fault", || {
        journal::read(run.path()).ok()?.state.active_fault()?.effect.as_ref().map(|_| ())
    });
    std::fs::remove_file(&program).expect("removed");
    let helper = docker(&["ps", "-q", "--filter", "label=shakedown.role"]);
    docker(&["kill", &helper]);
    assert!(rules("rag").contains("shakedown"), "the cut outlives its helper");
    signal(engine_pid(&run), Signal::TERM);
    platform.result(child);
    assert_eq!(residue(), Vec::<String>::new());
    assert_eq!(platform.open_undos(), 0);
}

fn killed(platform: &Platform, kind: &str, by: [&str; 2], after: Duration, what: &str) {
    let [helpers, firewall] = by;
    let only = format!("chaos.experiments=[{kind}]");
    let helpers = format!("chaos.docker.helpers={helpers}");
    let firewall = format!("chaos.partition.firewall={firewall}");
    let short = ["chaos.cpu.length=3s", "chaos.memory.length=3s", "chaos.partition.length=3s"];
    let settings = [&short[..], &[&only, &helpers, &firewall, "chaos.steady.baseline=1s"]].concat();
    let child = platform.start(&settings);
    let run = wait_for("a run", || {
        RunFolder::list(&platform.place.runs()).into_iter().find(RunFolder::has_live_engine)
    });
    let pid = engine_pid(&run);
    wait_for("a fault that is about to be there", || {
        let state = journal::read(run.path()).ok()?.state;
        (state.active_fault().is_some() || state.verdict.is_some()).then_some(())
    });
    std::thread::sleep(after);
    signal(pid, Signal::KILL);
    ended(child);
    // The fault ends by itself: with its engine, or at its own deadline in the kernel.
    let deadline = Instant::now() + LENGTH + SOON;
    while let Some(left) = broken() {
        assert!(Instant::now() < deadline, "{what}: {left}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let said = platform.recover();
    assert_eq!(residue(), Vec::<String>::new(), "{what}: {said}");
    assert_eq!(platform.open_undos(), 0, "{what}: {said}");
    println!("{what}: nothing is left");
}

/// What of a fault still hurts; a table of ours whose addresses have expired does not.
fn broken() -> Option<String> {
    if let Some(name) = SERVICES.into_iter().find(|name| !is_up(name)) {
        return Some(format!("{name} is down"));
    }
    // An address in a set of ours that has not expired, or a rule whose end is still to come.
    let cut = SERVICES.into_iter().find(|name| is_cut(name));
    if let Some(name) = cut {
        return Some(format!("{name} is cut off"));
    }
    let helpers = Command::new("pgrep").args(["-f", "chaos-helper --token"]).output().ok()?;
    (!helpers.stdout.is_empty()).then(|| format!("helpers {}", text(&helpers.stdout)))
}

fn is_up(name: &str) -> bool {
    inspected(name)["State"]["Running"] == true
}

fn is_cut(name: &str) -> bool {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let chains = chains(name);
    let ends = chains.lines().filter_map(|rule| rule.split_once("--datestop ")?.1.get(..now.len()));
    rules(name).contains("expires") || ends.into_iter().any(|end| end > now.as_str())
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn a_cut_expires_in_the_kernel_when_helper_and_engine_are_both_killed() {
    for firewall in ["nftables", "iptables"] {
        expires_in_the_kernel(firewall);
    }
}

fn expires_in_the_kernel(firewall: &str) {
    let platform = Platform::new();
    let firewall = format!("chaos.partition.firewall={firewall}");
    let settings = ["chaos.experiments=[partition]", "chaos.partition.length=8s", &firewall];
    let child = platform.start(&settings);
    let run = platform.place.run();
    wait_for("a fault", || {
        journal::read(run.path()).ok()?.state.active_fault()?.effect.as_ref().map(|_| ())
    });
    // The helper first, so that it cannot heal what its engine leaves.
    let helpers = Command::new("pgrep").args(["-f", "chaos-helper --token"]).output();
    let helpers = text(&helpers.expect("pgrep").stdout);
    for helper in helpers.lines().filter_map(|pid| pid.parse().ok()) {
        signal(helper, Signal::KILL);
    }
    signal(engine_pid(&run), Signal::KILL);
    ended(child);
    assert!(is_cut("rag"), "the cut is there: {} {}", rules("rag"), chains("rag"));
    let reached = || {
        let url = format!("http://{SUBNET}.11:8080/cgi-bin/query");
        let output = Command::new("curl").args(["-s", "-m", "3", &url]).output();
        output.is_ok_and(|output| text(&output.stdout).contains("false"))
    };
    wait_for("the cut to expire", || reached().then_some(()));
    let said = platform.recover();
    assert!(said.contains("healed"), "{said}");
    assert_eq!(residue(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn what_stays_down_after_its_engine_was_killed_is_started_again_by_the_reaper() {
    let platform = Platform::new();
    let settings = ["chaos.experiments=[kill]", "chaos.kill.count=1", "chaos.docker.names=[rag]"];
    let child = platform.start(&[&settings[..], &["chaos.kill.within=5s"]].concat());
    let run = platform.place.run();
    wait_for("the experiment", || {
        let state = journal::read(run.path()).ok()?.state;
        state.phases.iter().any(|phase| phase.chaos.is_some()).then_some(())
    });
    // It was found with a policy, and has none when it is killed.
    docker(&["update", "--restart", "no", "rag"]);
    wait_for("the kill", || (!is_up("rag")).then_some(()));
    signal(engine_pid(&run), Signal::KILL);
    ended(child);
    assert!(!is_up("rag"), "nothing brings it back at once");
    // Nobody runs `recover`: the helper that outlives its engine does it.
    wait_for("the reaper", || is_up("rag").then_some(()));
    assert_eq!(inspected("rag")["RestartCount"], 0, "started by hand, not by a policy");
    platform.recover();
    assert_eq!(residue(), Vec::<String>::new());
    assert_eq!(platform.open_undos(), 0);
}
