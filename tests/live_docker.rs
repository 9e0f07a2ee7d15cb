//! Chaos on a real Docker engine (`DOCKER_HOST`): `.ci/live/docker.sh` starts one and runs these.
//! What was done and what is left is read from Docker, nft and control groups, never from the program.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use shakedown::run::folder::RunFolder;
use shakedown::run::journal;
use support::{Workplace, ended, engine_pid, report, signal, text, wait_for};

const IMAGE: &str = "shakedown-live:1";
const LABEL: &str = "shakedown.test=live";
const SUBNET: &str = "172.31.77";
const NETWORK: &str = "shakedown-live";

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker client");
    assert!(output.status.success(), "docker {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

/// Three services in containers on a network of their own, removed with this value.
struct Platform {
    place: Workplace,
}

impl Platform {
    fn new() -> Self {
        let place = Workplace::new();
        import_image(&place.path().join("rootfs"));
        docker(&["network", "create", "--subnet", &format!("{SUBNET}.0/24"), NETWORK]);
        let platform = Self { place };
        for (name, host) in [("chat", 10), ("rag", 11), ("mcp", 12)] {
            platform.serve(
                name,
                host,
                &["--restart", "always", "--cpus", "0.5", "--memory", "256m"],
            );
        }
        platform
    }

    fn serve(&self, name: &str, host: u32, options: &[&str]) {
        let ip = format!("{SUBNET}.{host}");
        let mut arguments = vec!["run", "-d", "--name", name, "--network", NETWORK, "--ip", &ip];
        arguments.extend(["--label", LABEL]);
        arguments.extend(options);
        arguments.extend([IMAGE, "/bin/httpd", "-f", "-p", "8080", "-h", "/www"]);
        docker(&arguments);
    }

    /// Runs the chaos phase with these settings; returns exit code and the phase's section.
    fn chaos(&self, settings: &[&str]) -> (Option<i32>, Value) {
        let child = self.start(settings);
        let (code, out, err) = ended(child);
        let run = RunFolder::list(&self.place.runs()).into_iter().next_back().expect("a run");
        let report = report(&run);
        let phases = report["phases"].as_array().expect("phases");
        let phase = phases.iter().find(|phase| phase["phase"] == "chaos").expect("chaos").clone();
        println!("{out}{err}");
        (code, phase)
    }

    fn start(&self, settings: &[&str]) -> std::process::Child {
        let base = |host: u32| format!("http://{SUBNET}.{host}:8080");
        let config = json!({
            "target": { "name": "live", "environment": "development" },
            "services": {
                "chat": { "endpoint": { "base_url": base(10) }, "model": "m" },
                "rag": { "endpoint": { "base_url": base(11) }, "query": { "path": "/cgi-bin/query" } },
                "mcp": { "endpoint": { "base_url": base(12) }, "path": "/health" },
            },
            "chaos": {
                "runtime": "docker",
                "docker": { "labels": { "shakedown.test": "live" } },
                "depends_on": { "rag": ["chat"] },
                "kill": { "within": "30s", "min_uptime": "1s" },
                "cpu": { "length": "5s" },
                "memory": { "length": "5s", "mebibytes": 64 },
                "partition": { "length": "6s" },
                "steady": { "baseline": "3s", "within": "30s" },
                "probes": { "rag": { "request": { "method": "GET", "path": "/cgi-bin/query" },
                                     "degraded": "/degraded" } },
            },
        });
        let path = self.place.path().join("shakedown.yaml");
        fs::write(&path, config.to_string()).expect("written");
        let mut command = self.place.command(&["chaos", "--headless", "--seed", "3", "--config"]);
        command.arg(path);
        for setting in settings {
            command.args(["--set", setting]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("program runs")
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let all = docker(&["ps", "-aq", "--filter", &format!("label={LABEL}")]);
        for container in all.lines() {
            docker(&["rm", "-f", container]);
        }
        docker(&["network", "rm", NETWORK]);
    }
}

/// A file system of one static binary, and a RAG service that falls back when chat is away.
fn import_image(rootfs: &Path) {
    for folder in ["bin", "www/cgi-bin", "tmp"] {
        fs::create_dir_all(rootfs.join(folder)).expect("made");
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("busybox-static is installed");
    for applet in ["sh", "httpd", "sleep"] {
        std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet)).expect("linked");
    }
    let script = |path: &str, content: &str| {
        let path = rootfs.join(path);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    };
    fs::write(rootfs.join("www/health"), r#"{"status":"ok"}"#).expect("written");
    script(
        "www/cgi-bin/query",
        &format!(
            "#!/bin/sh\nb=/bin/busybox\nif printf 'GET /health HTTP/1.0\\r\\n\\r\\n' | $b timeout 1 $b nc \
             {SUBNET}.10 8080 2>/dev/null | $b grep -q ok; then d=false; else d=true; fi\n\
             printf 'Content-Type: application/json\\r\\n\\r\\n{{\"degraded\":%s}}' $d\n"
        ),
    );
    // An innocent name outside, a database within.
    script("bin/postgres", "#!/bin/sh\nwhile :; do sleep 1000; done\n");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(rootfs).args(["-c", "."]).stdout(Stdio::piped());
    let mut tar = tar.spawn().expect("tar runs");
    let imported = Command::new("docker")
        .args(["import", "-", IMAGE])
        .stdin(tar.stdout.take().expect("piped"))
        .output()
        .expect("docker client");
    assert!(tar.wait().expect("ended").success() && imported.status.success());
}

fn inspected(container: &str) -> Value {
    let list: Value = serde_json::from_str(&docker(&["inspect", container])).expect("JSON");
    list[0].clone()
}

fn pid(container: &str) -> u64 {
    inspected(container)["State"]["Pid"].as_u64().expect("pid")
}

/// Tables in a container's network namespace, as nft lists them.
fn tables(container: &str) -> String {
    let output = Command::new("nsenter")
        .args(["-t", &pid(container).to_string(), "-n", "nft", "list", "tables"])
        .output()
        .expect("nsenter");
    text(&output.stdout)
}

/// What is left in the containers and on the machine.
fn residue() -> Vec<String> {
    let mut left: Vec<String> = ["chat", "rag", "mcp"]
        .into_iter()
        .filter(|name| tables(name).contains("shakedown"))
        .map(|name| format!("a table in {name}"))
        .collect();
    let helpers = Command::new("pgrep").args(["-f", "chaos-helper --token"]).output();
    if helpers.is_ok_and(|output| !output.stdout.is_empty()) {
        left.push("a helper".into());
    }
    left
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn four_experiments_on_containers_and_a_database_that_is_never_touched() {
    let platform = Platform::new();
    docker(&[
        "run",
        "-d",
        "--name",
        "innocent",
        "--network",
        NETWORK,
        "--label",
        LABEL,
        "--restart",
        "always",
        IMAGE,
        "/bin/postgres",
    ]);
    let store = (pid("innocent"), inspected("innocent")["RestartCount"].clone());
    let scenarios = "chaos.partition.scenarios=[pair, reject, isolate]";
    let (code, phase) = platform.chaos(&[scenarios]);
    assert_eq!(code, Some(0), "{phase:#}");
    let section = &phase["chaos"];
    assert_eq!(section["coverage"], "4/4");
    assert!(section["excluded"]["innocent"].as_str().expect("excluded").contains("postgres"));
    for experiment in section["experiments"].as_array().expect("experiments") {
        assert_eq!(
            (&experiment["verdict"], &experiment["effective"]),
            (&json!("pass"), &json!(true))
        );
        if experiment["kind"] == "partition" {
            assert!(experiment["notes"].to_string().contains("fallback used"), "{experiment}");
        }
    }
    for name in ["chat", "rag", "mcp"] {
        assert_eq!(inspected(name)["RestartCount"], 1, "{name} was brought back by its policy");
    }
    assert_eq!((pid("innocent"), inspected("innocent")["RestartCount"].clone()), store);
    assert_eq!(residue(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn what_may_not_be_killed_is_said_with_its_reason() {
    let platform = Platform::new();
    let run = |name: &str, options: &[&str], command: &[&str]| {
        let mut arguments = vec!["run", "-d", "--name", name, "--label", LABEL];
        arguments.extend(options);
        arguments.push(IMAGE);
        arguments.extend(command);
        docker(&arguments);
    };
    let sleep = ["/bin/sleep", "1000"];
    run("policyless", &["--network", NETWORK], &sleep);
    run("fleeting", &["--network", NETWORK, "--rm"], &sleep);
    run("host-net", &["--network", "host", "--restart", "always"], &sleep);
    run("declared", &["--network", NETWORK, "--label", "shakedown.critical=true"], &sleep);
    run("paused", &["--network", NETWORK, "--restart", "always"], &sleep);
    docker(&["pause", "paused"]);
    let (_, phase) = platform.chaos(&["chaos.experiments=[kill]", "chaos.kill.count=1"]);
    docker(&["unpause", "paused"]);
    let excluded = &phase["chaos"]["excluded"];
    for (name, reason) in [
        ("policyless", "no restart policy"),
        ("fleeting", "--rm"),
        ("declared", "critical"),
        ("paused", "paused"),
    ] {
        let said = excluded[name].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{name}: {excluded}");
    }
    assert_eq!(excluded.get("host-net"), None, "a kill does not mind its network");
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn memory_that_would_kill_something_is_refused_unless_it_is_allowed() {
    let platform = Platform::new();
    let only = "chaos.experiments=[memory]";
    let (code, phase) = platform.chaos(&[only, "chaos.memory.mebibytes=400"]);
    let experiment = &phase["chaos"]["experiments"][0];
    assert_eq!((code, &experiment["verdict"]), (Some(3), &json!("inconclusive")), "{experiment}");
    assert!(experiment["reason"].to_string().contains("would kill"), "{experiment}");

    let allowed = ["chaos.memory.allow_oom=true", "chaos.memory.mebibytes=400", only];
    let (_, phase) = platform.chaos(&allowed);
    let experiment = &phase["chaos"]["experiments"][0];
    assert!(experiment["notes"].to_string().contains("kills the helper first"), "{experiment}");
    for name in ["chat", "rag", "mcp"] {
        assert_eq!(inspected(name)["RestartCount"], 0, "the helper dies, not {name}");
    }
    assert_eq!(residue(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn an_engine_killed_in_mid_fault_leaves_nothing_in_the_containers() {
    let platform = Platform::new();
    for kind in ["cpu", "memory", "partition"] {
        for after_ms in [100, 1500] {
            let child = platform.start(&[&format!("chaos.experiments=[{kind}]")]);
            let run = wait_for("a run", || {
                RunFolder::list(&platform.place.runs()).into_iter().find(RunFolder::has_live_engine)
            });
            let pid = engine_pid(&run);
            wait_for("a fault", || {
                journal::read(run.path()).ok()?.state.active_fault()?.effect.as_ref().map(|_| ())
            });
            std::thread::sleep(Duration::from_millis(after_ms));
            signal(pid, Signal::KILL);
            ended(child);
            if kind == "partition" {
                assert!(tables("rag").contains("shakedown"), "the fault was there");
                // The kernel lets it expire, whatever became of us: chat is reached again.
                let deadline = Instant::now() + Duration::from_secs(15);
                let reached = || {
                    let url = format!("http://{SUBNET}.11:8080/cgi-bin/query");
                    let output = Command::new("curl").args(["-s", "-m", "3", &url]).output();
                    output.is_ok_and(|output| text(&output.stdout).contains("false"))
                };
                while !reached() {
                    assert!(Instant::now() < deadline, "the cut did not expire");
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
            let recovered = platform.place.output(&["recover"]);
            assert_eq!(recovered.status.code(), Some(0), "{}", text(&recovered.stderr));
            assert_eq!(residue(), Vec::<String>::new(), "{kind} after {after_ms} ms");
        }
    }
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn a_target_that_is_removed_in_mid_fault_is_told_and_leaves_nothing() {
    let platform = Platform::new();
    let child = platform.start(&["chaos.experiments=[partition]", "chaos.steady.within=3s"]);
    let run = platform.place.run();
    wait_for("a fault", || journal::read(run.path()).ok()?.state.active_fault().map(|_| ()));
    docker(&["rm", "-f", "rag"]);
    let (code, out, err) = ended(child);
    assert!(matches!(code, Some(1 | 3)), "{out}\n{err}");
    assert!(
        fs::read_dir(platform.place.path().join("state/shakedown/undo"))
            .is_ok_and(|d| d.count() == 0)
    );
}
