//! Chaos on the embedded sandbox by the real program: what it shows, and that nothing is left of it,
//! however it ends. Whether it is healed is looked at from outside, never asked of the program.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use shakedown::run::client::{ClientUpdate, EngineClient};
use shakedown::run::connection;
use shakedown::run::control::Command;
use shakedown::run::event::{ChaosEvent, Event, EventBody, Stage, SteadyFigures};
use shakedown::run::folder::RunFolder;
use shakedown::run::journal;
use shakedown::run::state::{RunState, RunStatus};
use shakedown::sandbox::{Options, Sandbox, config};
use support::{Workplace, ended, engine_pid, report, signal, text, wait_for};

/// Short faults on a platform that is measured briefly.
const SHORT: [&str; 5] = [
    "chaos.steady.baseline=2s",
    "chaos.cpu.length=4s",
    "chaos.memory.length=4s",
    "chaos.partition.length=5s",
    "chaos.memory.mebibytes=64",
];

fn chaos(place: &Workplace, config: Option<&Path>, more: &[&str]) -> std::process::Child {
    let mut command = place.command(&["chaos", "--headless", "--seed", "7"]);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    for setting in SHORT.iter().chain(more) {
        command.args(["--set", setting]);
    }
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command.spawn().expect("program runs")
}

fn helpers(place: &Workplace) -> usize {
    let is_helper = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == b"chaos-helper")
    };
    place.processes().iter().filter(|pid| is_helper(pid)).count()
}

/// Undo entries that are still open.
fn open_undos(place: &Workplace) -> usize {
    fs::read_dir(place.path().join("state/shakedown/undo")).map_or(0, Iterator::count)
}

#[test]
fn four_experiments_are_made_and_nothing_is_left_of_them() {
    let place = Workplace::new();
    let (code, out, err) = ended(chaos(&place, None, &[]));
    let run = place.run();
    let report = report(&run);
    let phase = report["phases"].as_array().expect("phases").iter().find(|p| p["phase"] == "chaos");
    let section = &phase.expect("chaos")["chaos"];
    let experiments = section["experiments"].as_array().expect("experiments");
    assert_eq!(experiments.len(), 4, "{out}\n{err}");
    for experiment in experiments {
        assert_eq!(experiment["residue"], json!([]), "{experiment}");
        // Without a right to make memory groups that experiment cannot be made, and says so.
        let made = experiment["effective"] == json!(true);
        let verdict = if made { "pass" } else { "inconclusive" };
        assert_eq!(experiment["verdict"], verdict, "{experiment}");
        assert!(made || experiment["kind"] == "memory", "{experiment}");
    }
    assert!(section["resilience_score"].as_f64() >= Some(90.0), "{section}");
    assert!(matches!(code, Some(0 | 3)), "{out}\n{err}");
    let cut = &experiments[3]["notes"];
    assert!(cut.to_string().contains("fallback used"), "the sandbox has a fallback: {cut}");
    let killed = experiments[0]["timelines"].as_array().expect("timelines");
    assert_eq!(killed.len(), 3);
    for timeline in killed {
        let kinds: Vec<&Value> =
            timeline["moments"].as_array().expect("moments").iter().map(|m| &m["kind"]).collect();
        for kind in ["injected", "died", "started", "stable"] {
            assert!(kinds.contains(&&json!(kind)), "{timeline}");
        }
        for moment in timeline["moments"].as_array().expect("moments") {
            let sources = ["act", "inspect", "probe"];
            let known = moment["source"].as_str().is_some_and(|source| sources.contains(&source));
            assert!(known, "what it is known from: {timeline}");
        }
    }
    kills_are_proven(&place, &run, &experiments[0]);
    let journal = fs::read(run.path().join("chaos_report.json")).expect("written");
    let journal: Value = serde_json::from_slice(&journal).expect("JSON");
    for key in
        ["status", "deviated", "start", "end", "duration", "steady_states", "run", "rollbacks"]
    {
        assert!(journal.get(key).is_some(), "{key}");
    }
    assert_eq!((open_undos(&place), helpers(&place)), (0, 0));
    let journal = fs::read_to_string(run.path().join("events.jsonl")).expect("written");
    figures_were_told_as_they_came(&journal);
}

/// By the lives that were ended and those that came after them, in every form of the report.
fn kills_are_proven(place: &Workplace, run: &RunFolder, experiment: &Value) {
    let lives = experiment["lives"].as_array().expect("lives");
    assert_eq!(lives.len(), 3, "{experiment}");
    let page = fs::read_to_string(run.path().join("report.html")).expect("written");
    // Its lines are folded.
    let lines = text(&place.output(&["report"]).stdout);
    let words: Vec<&str> = lines.split_whitespace().collect();
    let told = words.join(" ");
    for one in lives {
        let (before, after) = (&one["before"], &one["after"]);
        let pid = |life: &Value| life["pid"].as_u64().unwrap_or_else(|| panic!("{one}"));
        assert_ne!(pid(before), pid(after), "{one}");
        assert_ne!(before["started"], after["started"], "{one}");
        let count = |life: &Value| life["restart_count"].as_u64();
        assert_eq!(count(after), count(before).map(|count| count + 1), "{one}");
        let words = format!("then pid {}, started ", pid(after));
        assert!(page.contains(&words) && told.contains(&words), "{words}: {told}");
        assert!(experiment["evidence"].to_string().contains(&words), "{experiment}");
    }
}

/// Before, during and after were told about once a second, and what was told last is the result.
fn figures_were_told_as_they_came(journal: &str) {
    let mut told: BTreeMap<Stage, Vec<(u64, Vec<SteadyFigures>)>> = BTreeMap::new();
    let (mut injected, mut counted) = (0, Vec::new());
    for line in journal.lines() {
        let event: Event = serde_json::from_str(line).expect("an event");
        let EventBody::Chaos(chaos) = event.body else { continue };
        match chaos {
            ChaosEvent::ExperimentStarted { .. } => told.clear(),
            ChaosEvent::Effect { effective: true, evidence }
            | ChaosEvent::EffectNow { effective: true, evidence } => counted.push(evidence),
            ChaosEvent::Measured { stage, figures } => {
                told.entry(stage).or_default().push((event.at_us, figures));
            }
            ChaosEvent::ExperimentFinished(result) if result.effective == Some(true) => {
                injected += 1;
                let results = [&result.before, &result.during, &result.after];
                for (stage, result) in Stage::ALL.into_iter().zip(results) {
                    let told = &told[&stage];
                    let (first, last) = (&told[0], &told[told.len() - 1]);
                    assert_eq!(&last.1, result, "{stage:?}");
                    let seconds = (last.0 - first.0) / 1_000_000;
                    assert!(told.len() >= 2 && told.len() as u64 <= seconds + 3, "{told:?}");
                    let grows = |rows: &[(u64, Vec<SteadyFigures>)]| {
                        let n = |of: &[SteadyFigures]| of.iter().map(|row| row.n).sum::<u64>();
                        n(&rows[0].1) <= n(&rows[1].1)
                    };
                    assert!(told.windows(2).all(grows), "{told:?}");
                }
            }
            _ => {}
        }
    }
    assert!(injected >= 3, "{injected} of the experiments were made");
    // What a cut stops is counted on while it is there.
    let stopped =
        counted.iter().filter_map(|said| said.strip_suffix(" connections stopped at the link"));
    let stopped: Vec<u64> = stopped.map(|count| count.parse().expect("a count")).collect();
    assert!(stopped.len() >= 2 && stopped.is_sorted(), "{counted:?}");
}

/// A sandbox that outlives the engines which break it, and a configuration that leads there.
async fn lasting_sandbox(place: &Workplace) -> (Sandbox, std::path::PathBuf, String) {
    let executable = Path::new(env!("CARGO_BIN_EXE_shakedown"));
    let sandbox = Sandbox::launch(executable, &Options::default()).await.expect("comes up");
    let config = config(sandbox.endpoints());
    let admin = sandbox.endpoints().admin.clone();
    let path = place.path().join("shakedown.yaml");
    fs::write(&path, serde_yaml::to_string(&config).expect("YAML")).expect("written");
    (sandbox, path, admin)
}

async fn get(url: String) -> Value {
    shakedown::platform::tls::install_provider();
    reqwest::get(url).await.expect("answers").json().await.expect("JSON")
}

/// What a fault may have left in a sandbox, from outside.
async fn residue(admin: &str) -> Vec<String> {
    let mut left = Vec::new();
    for link in get(format!("{admin}/sandbox/links")).await.as_array().expect("links") {
        if link["passage"] != "open" {
            left.push(link.to_string());
        }
    }
    let online = std::thread::available_parallelism().map_or(1, usize::from);
    for child in get(format!("{admin}/sandbox/services")).await.as_array().expect("services") {
        let pid = child["pid"].as_u64().expect("it runs");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        if online > 1 && !allowed.expect("said").contains(['-', ',']) {
            left.push(format!("{} is kept on one CPU", child["name"]));
        }
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it is there");
        if groups.contains("shakedown-") {
            left.push(format!("{} is in a memory group", child["name"]));
        }
    }
    left
}

fn fault(run: &RunFolder) -> Option<()> {
    let state = journal::read(run.path()).ok()?.state;
    state.active_fault().filter(|fault| fault.effect.is_some()).map(|_| ())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_killed_in_mid_fault_leaves_nothing_broken() {
    let place = Workplace::new();
    let (sandbox, config, admin) = lasting_sandbox(&place).await;
    for kind in ["cpu", "memory", "partition"] {
        for after_ms in [0, 700, 1900] {
            let only = format!("chaos.experiments=[{kind}]");
            let child = chaos(&place, Some(&config), &[&only]);
            let run = wait_for("a new run", || {
                RunFolder::list(&place.runs()).into_iter().find(RunFolder::has_live_engine)
            });
            let pid = engine_pid(&run);
            let injected = wait_for("a fault, or none that can be made", || {
                let over = journal::read(run.path()).ok()?.state.verdict.is_some();
                (fault(&run).is_some() || over).then_some(!over)
            });
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            if injected {
                signal(pid, Signal::KILL);
            }
            ended(child);
            // Whatever holds the fault ends with its engine, or at its own deadline.
            let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
            while !residue(&admin).await.is_empty() && tokio::time::Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(residue(&admin).await, Vec::<String>::new(), "{kind} after {after_ms} ms");
            assert_eq!(helpers(&place), 0, "{kind} after {after_ms} ms");
            let recovered = place.output(&["recover"]);
            assert_eq!(recovered.status.code(), Some(0), "{}", text(&recovered.stderr));
            assert_eq!(open_undos(&place), 0, "{kind} after {after_ms} ms");
        }
    }
    sandbox.stop().await;
}

async fn until(
    client: &mut EngineClient,
    state: &mut RunState,
    wanted: impl Fn(&RunState) -> bool,
) {
    let follow = async {
        while !wanted(state) {
            match client.updates.recv().await.expect("the engine lives") {
                ClientUpdate::Snapshot(snapshot) => *state = *snapshot,
                ClientUpdate::Event(event) => state.apply(&event),
                ClientUpdate::Disconnected(reason) => panic!("{reason}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(support::PATIENCE, follow).await.expect("in time");
}

/// Takes in what the engine says for so long.
async fn follow(client: &mut EngineClient, state: &mut RunState, length: Duration) {
    let _ = tokio::time::timeout(length, until(client, state, |_| false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pausing_and_aborting_in_mid_fault_heal_first() {
    let place = Workplace::new();
    let (sandbox, config, admin) = lasting_sandbox(&place).await;
    let long = "chaos.partition.length=60s";
    let child = chaos(&place, Some(&config), &["chaos.experiments=[partition]", long]);
    let run = place.run();
    let mut client = connection::connect(&run, "operator".into(), false);
    let mut state = RunState::default();
    let broken = |state: &RunState| state.active_fault().is_some_and(|f| f.effect.is_some());

    until(&mut client, &mut state, broken).await;
    assert_eq!(residue(&admin).await.len(), 1, "the link is cut");
    client.send(Command::Pause {}).expect("sent");
    until(&mut client, &mut state, |state| state.status == RunStatus::Paused).await;
    assert_eq!(residue(&admin).await, Vec::<String>::new(), "healed before it holds");
    assert_eq!(open_undos(&place), 1, "an empty journal of a live run");
    let asked = |state: &RunState| {
        let chaos = state.phases.iter().find_map(|phase| phase.chaos.as_ref());
        chaos.map_or(0, |chaos| chaos.seconds.len())
    };
    // What was answered before is told within a second.
    follow(&mut client, &mut state, Duration::from_millis(1500)).await;
    let before = asked(&state);
    follow(&mut client, &mut state, Duration::from_secs(3)).await;
    assert_eq!(asked(&state), before, "nothing is in flight while the run holds, no probe either");

    client.send(Command::Resume {}).expect("sent");
    until(&mut client, &mut state, broken).await;
    client.send(Command::ABORT_RUN).expect("sent");
    until(&mut client, &mut state, |state| state.status == RunStatus::Finished).await;
    assert_eq!(residue(&admin).await, Vec::<String>::new(), "healed before it ended");
    let (code, out, _) = ended(child);
    assert_eq!(code, Some(130), "{out}");
    assert_eq!(open_undos(&place), 0);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn healing_by_hand_ends_the_fault_and_not_the_plan() {
    let place = Workplace::new();
    let (sandbox, config, admin) = lasting_sandbox(&place).await;
    let settings = ["chaos.experiments=[partition, cpu]", "chaos.partition.length=60s"];
    let child = chaos(&place, Some(&config), &settings);
    let run = place.run();
    let mut client = connection::connect(&run, "operator".into(), false);
    let mut state = RunState::default();
    until(&mut client, &mut state, |state| state.active_fault().is_some()).await;
    client.send(Command::Heal {}).expect("sent");
    until(&mut client, &mut state, |state| state.active_fault().is_none()).await;
    assert_eq!(residue(&admin).await, Vec::<String>::new());
    client.send(Command::Heal {}).expect("sent");
    until(&mut client, &mut state, |state| {
        state.acknowledgements.iter().any(|ack| ack.refused.is_some())
    })
    .await;
    let (code, out, _) = ended(child);
    assert_eq!(code, Some(3), "an experiment that was cut short decides nothing: {out}");
    assert!(out.contains("an operator asked for it"), "{out}");
    sandbox.stop().await;
}
