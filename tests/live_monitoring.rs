//! A run watched by a real Prometheus and told to a real Alertmanager. `.ci/live/monitoring.sh` starts
//! both and runs these tests, which are ignored elsewhere.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

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
    let shipped = shakedown::config::SHIPPED_SLOS;
    let definitions = shipped
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
