//! A run watched by a real Prometheus and told to a real Alertmanager. `.ci/live/monitoring.sh` starts
//! both and runs these tests, which are ignored elsewhere.

mod dashboards;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shakedown::config::SHIPPED_SLOS;
use shakedown::sandbox::{Options, Sandbox, config};
use support::{Workplace, ended, report};

/// The shipped definitions, but that a busy machine may be slow to ask its own Redis.
fn shipped() -> String {
    let strict = "store: redis, quantile: 0.99, below: 10ms";
    assert!(SHIPPED_SLOS.contains(strict), "the objective of Redis is another");
    SHIPPED_SLOS.replace(strict, "store: redis, quantile: 0.99, below: 2s")
}

fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name}: run .ci/live/monitoring.sh"))
}

fn curl(arguments: &[&str]) -> Value {
    let output = Command::new("curl").args(["-s", "--max-time", "10"]).args(arguments).output();
    serde_json::from_slice(&output.expect("curl runs").stdout).unwrap_or_default()
}

fn query(expression: &str) -> Vec<Value> {
    let url = format!("{}/api/v1/query", given("LIVE_PROMETHEUS"));
    let answer = curl(&[&url, "--data-urlencode", &format!("query={expression}")]);
    answer["data"]["result"].as_array().cloned().unwrap_or_default()
}

fn alerts() -> Vec<Value> {
    let url = format!("{}/api/v2/alerts?active=true", given("LIVE_ALERTMANAGER"));
    curl(&[&url]).as_array().cloned().unwrap_or_default()
}

fn until(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {seconds} s");
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// A run of the sandbox of a few seconds of load. `p99` is what its objective asks for.
fn run(folder: &Path, p99: &str) -> std::process::Child {
    let manager = given("LIVE_ALERTMANAGER");
    let definitions = shipped()
        .replace("quantile: 0.99, below: 2s, window: 1h, gate: true", &format!("quantile: 0.99, below: {p99}, window: 1h, gate: true"))
        .replace("mode: auto", "mode: one_shot")
        .replace(
            "channels:\n  slack:",
            &format!("channels:\n  manager: {{ type: alertmanager, url: \"{manager}\", labels: {{ team: sre }} }}\n  slack:"),
        )
        .replace("level: 1, after: 5m, channels: [slack]", "level: 1, after: 5m, channels: [manager]");
    let file = folder.join("slo.yaml");
    std::fs::write(&file, definitions).expect("written");
    let metrics = given("LIVE_METRICS");
    let textfile = folder.join("shakedown.prom");
    let set = [
        format!("slo_definitions={}", file.display()),
        format!("monitoring.listen={metrics}"),
        format!("monitoring.textfile={}", textfile.display()),
        "phases.full.mixed=12s".into(),
        "workloads.mixed.users=40".into(),
        "workloads.mixed.graceful_stop=2s".into(),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_shakedown"));
    command.current_dir(folder).env("XDG_STATE_HOME", folder.join("state"));
    command.env("XDG_RUNTIME_DIR", folder);
    command.args(["run", "--only", "mixed", "--headless"]);
    for value in &set {
        command.args(["--set", value]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("program runs")
}

fn ours<'a>(alerts: &'a [Value], component: &str) -> Option<&'a Value> {
    alerts.iter().find(|alert| {
        alert["labels"]["alertname"] == "ShakedownAlert"
            && alert["labels"]["component"] == component
    })
}

#[test]
#[ignore = "needs Prometheus and Alertmanager: .ci/live/monitoring.sh"]
fn a_run_is_scraped_and_its_alerts_arrive_and_are_resolved() {
    let folder = tempfile::tempdir().expect("temporary folder");
    // Nothing answers within a millisecond.
    let mut failing = run(folder.path(), "1ms");
    until("a scrape", 40, || !query("shakedown_run_going == 1").is_empty());
    until("load", 40, || !query("sum(shakedown_load_requests_total) > 0").is_empty());
    until("a missed objective", 60, || {
        !query("shakedown_slo_verdict{slo=\"p99\"} == 0").is_empty()
    });
    until("our alert", 60, || ours(&alerts(), "p99").is_some());
    // Prometheus' own alert, by the shipped rules, reaches Alertmanager too.
    until("the shipped rule", 60, || {
        alerts().iter().any(|alert| alert["labels"]["alertname"] == "ShakedownObjectiveMissed")
    });
    let all = alerts();
    let alert = ours(&all, "p99").expect("there");
    assert_eq!(alert["labels"]["team"], "sre");
    assert!(alert["annotations"]["summary"].as_str().is_some_and(|s| s.contains("p99 is not met")));
    assert_eq!(failing.wait().expect("ends").code(), Some(1));
    promtool_accepts(&folder.path().join("shakedown.prom"));
    // The next run is well: it ends the alert of the one before.
    let mut passing = run(folder.path(), "20s");
    assert!(passing.wait().expect("ends").code().is_some_and(|code| code != 1));
    until("the end of our alert", 30, || ours(&alerts(), "p99").is_none());
}

#[test]
#[ignore = "needs Prometheus and Alertmanager: .ci/live/monitoring.sh"]
fn exported_rules_are_accepted_by_promtool() {
    let place = Workplace::new();
    let exported = place.output(&["slo", "export", "--format", "prometheus-rules"]);
    let file = place.path().join("rules.yaml");
    std::fs::write(&file, &exported.stdout).expect("written");
    let checked = Command::new("promtool").args(["check", "rules"]).arg(&file).output();
    let checked = checked.expect("promtool runs");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && said.contains("SUCCESS"), "{said}");
}

fn promtool_accepts(textfile: &Path) {
    let text = std::fs::read(textfile).expect("the textfile is written");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    promtool.stdin.take().expect("piped").write_all(&text).expect("written");
    let output = promtool.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "promtool: {said}");
}

/// A practice platform that Prometheus scrapes and that outlives the runs, and what leads there.
async fn platform(place: &Workplace) -> (Sandbox, std::path::PathBuf) {
    let executable = Path::new(env!("CARGO_BIN_EXE_shakedown"));
    let sandbox = Sandbox::launch(executable, &Options::default()).await.expect("comes up");
    let endpoints = sandbox.endpoints();
    let hosts = [&endpoints.chat, &endpoints.rag, &endpoints.mcp]
        .map(|url| url.strip_prefix("http://").expect("scheme").to_owned());
    let targets = json!([{ "targets": hosts }]).to_string();
    std::fs::write(given("LIVE_TARGETS"), targets).expect("written");
    let path = place.path().join("shakedown.yaml");
    let config = serde_yaml::to_string(&config(endpoints)).expect("YAML");
    std::fs::write(&path, config).expect("written");
    until("a scrape of the platform", 40, || query("up{job=\"platform\"} == 1").len() == 3);
    (sandbox, path)
}

/// A run on that platform with these definitions, to its end: exit code and report.
async fn watched_run(
    place: &Workplace,
    config: &Path,
    definitions: &str,
    more: &[&str],
) -> (Option<i32>, Value) {
    let file = place.path().join("slo.yaml");
    std::fs::write(&file, definitions).expect("written");
    let before = shakedown::run::folder::RunFolder::list(&place.runs()).len();
    let mut command = place.command(&["run", "--headless", "--seed", "7", "--config"]);
    command.arg(config).args(more);
    command.args(["--set", &format!("slo_definitions={}", file.display())]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    let (code, out, err) = tokio::task::spawn_blocking(|| ended(child)).await.expect("over");
    let runs = shakedown::run::folder::RunFolder::list(&place.runs());
    assert_eq!(runs.len(), before + 1, "{out}\n{err}");
    let last = runs.iter().max_by_key(|run| run.id()).expect("a run");
    (code, report(last))
}

fn silences() -> Vec<Value> {
    let url = format!("{}/api/v2/silences", given("LIVE_ALERTMANAGER"));
    let all = curl(&[&url]).as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|silence| silence["createdBy"] == "shakedown").collect()
}

/// Definitions with an Alertmanager that has something to do in chaos.
fn with_manager(settings: &str) -> String {
    let url = given("LIVE_ALERTMANAGER");
    let manager =
        format!("channels:\n  manager: {{ type: alertmanager, url: \"{url}\", {settings} }}");
    shipped()
        .replace("mode: auto", "mode: one_shot")
        .replace("channels:\n  slack:", &format!("{manager}\n  slack:"))
}

/// Two kills, over at once, and a fault that lasts until the alert of the kills was asked for.
const FAULTS: [&str; 10] = [
    "--only",
    "chaos",
    "--set",
    "chaos.experiments=[kill, cpu]",
    "--set",
    "chaos.cpu.length=15s",
    "--set",
    "chaos.steady.baseline=2s",
    "--set",
    "chaos.kill.count=2",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus and Alertmanager: .ci/live/monitoring.sh"]
async fn in_chaos_alerts_are_silenced_where_asked_for_and_the_platforms_own_has_to_fire() {
    let place = Workplace::new();
    let (sandbox, config) = platform(&place).await;

    // Nobody asked for a silence, and an alert is expected that nothing raises.
    let quiet = with_manager("expect_during_chaos: [{ alertname: NeverRaised, within: 5s }]");
    let (_, report) = watched_run(&place, &config, &quiet, &FAULTS).await;
    assert_eq!(silences(), Vec::<Value>::new(), "nobody asked for one");
    let platform = &report["notifications"]["platform"][0];
    assert_eq!(
        (&platform["alertname"], &platform["after_seconds"]),
        (&json!("NeverRaised"), &Value::Null)
    );
    assert_eq!(platform["evidence"], "it does not fire within 5s");

    // What the kills above raised proves nothing about the next: it has to be quiet first.
    until("the end of the first restarts", 120, || {
        query("ALERTS{alertname=\"ServiceRestarted\"}").is_empty()
    });
    let settings = "silence_during_chaos: { job: platform }, expect_during_chaos: [{ alertname: \
                    ServiceRestarted, labels: { severity: page }, within: 60s }]";
    let seen = std::thread::spawn(|| {
        let mut active = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(240);
        while Instant::now() < deadline {
            let all = silences();
            active.extend(all.iter().filter(|one| one["status"]["state"] == "active").cloned());
            if !all.is_empty()
                && all.iter().all(|one| one["status"]["state"] == "expired")
                && all.len() >= 3
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        active
    });
    let (_, report) = watched_run(&place, &config, &with_manager(settings), &FAULTS).await;
    let active = seen.join().expect("watched");
    assert!(!active.is_empty(), "a silence was active while something was broken");
    let matchers =
        json!([{ "isEqual": true, "isRegex": false, "name": "job", "value": "platform" }]);
    for silence in &active {
        assert_eq!(silence["matchers"], matchers, "{silence}");
        let comment = silence["comment"].as_str().expect("a comment");
        assert!(comment.contains("breaks something on purpose"), "{silence}");
    }
    // Each ended with its fault, not at its latest end.
    let all = silences();
    assert_eq!(all.len(), 3, "one for each fault: {all:?}");
    for silence in &all {
        assert_eq!(silence["status"]["state"], "expired", "{silence}");
    }
    // ... and the report says so: each made and ended.
    let told = report["notifications"]["silences"].as_array().expect("silences");
    assert_eq!(told.len(), 6, "{told:?}");
    assert!(told.iter().all(|one| one["failed"] == false), "{told:?}");
    let platform = &report["notifications"]["platform"][0];
    assert_eq!(platform["alertname"], "ServiceRestarted", "{platform}");
    assert!(platform["after_seconds"].as_f64().is_some_and(|s| s > 0.0 && s < 60.0), "{platform}");
    sandbox.stop().await;
}

/// The availability of chat over twenty seconds, as Prometheus has it.
fn over_a_window(objective: f64) -> String {
    let sum = |status: &str| {
        format!("sum(increase(sandbox_requests_total{{service=\"chat\"{status}}}[{{{{window}}}}]))")
    };
    let (good, total) = (sum(", status!~\"5..\""), sum(""));
    let url = given("LIVE_PROMETHEUS");
    let up = "up{job=\"platform\"}";
    let source = format!("prometheus: {{ url: \"{url}\", up: '{up}', scrape_interval: 1s }}");
    shipped()
        .replace("# prometheus:\n#   url:", &format!("{source}\n#   url:"))
        .replace(
            "service: chat, objective_percent: 99.5, window: 30d }",
            &format!("service: chat, objective_percent: {objective}, window: 20s, prometheus: {{ good: '{good}', total: '{total}' }} }}"),
        )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus and Alertmanager: .ci/live/monitoring.sh"]
async fn an_objective_is_judged_over_its_whole_window_by_a_real_prometheus() {
    let place = Workplace::new();
    let (sandbox, config) = platform(&place).await;
    until("samples of the whole window", 60, || {
        let seen = query("max(count_over_time(up{job=\"platform\"}[20s]))");
        seen.first()
            .is_some_and(|one| one["value"][1].as_str().and_then(|n| n.parse().ok()) >= Some(20.0))
    });
    let load = [
        "--only",
        "mixed",
        "--set",
        "phases.full.mixed=25s",
        "--set",
        "workloads.mixed.graceful_stop=2s",
    ];
    let (_, report) = watched_run(&place, &config, &over_a_window(50.0), &load).await;
    let rows = report["slo_compliance"].as_array().expect("objectives");
    let row = rows.iter().find(|row| row["id"] == "chat_availability").expect("defined");
    let whole = &row["whole_window"];
    assert_eq!((&whole["verdict"], &whole["window"]), (&json!("pass"), &json!("20s")), "{row}");
    assert!(whole["total"].as_f64() > Some(10.0), "{whole}");
    assert!(whole["coverage_percent"].as_f64() >= Some(95.0), "{whole}");
    assert!(whole["budget_left_percent"].as_f64() > Some(90.0), "{whole}");
    sandbox.stop().await;
}
