//! The shipped dashboards on what a run exports: every expression is evaluated by Prometheus, finds
//! something, and has the labels that its legend names.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::support::Workplace;
use super::{curl, given, over_a_window, platform, query, until, watched_run};

const DASHBOARDS: [(&str, &str); 2] = [
    ("run", include_str!("../../docs/monitoring/grafana-run.json")),
    ("slo", include_str!("../../docs/monitoring/grafana-slo.json")),
];

/// What only a platform has on which something goes wrong by itself, and burn rates, whose windows are
/// longer than this run; that the program writes a metric of this name is seen in its source.
const NOT_IN_EVERY_RUN: [&str; 3] = [
    "shakedown_load_failures",
    "shakedown_slo_budget_exhausted_after_seconds",
    "shakedown_slo_burn_rate",
];
const EXPOSITION: &str = concat!(
    include_str!("../../src/monitor/exposition.rs"),
    include_str!("../../src/monitor/objectives.rs")
);

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// The series of an expression over a time.
fn series(expression: &str, from: f64, to: f64) -> Result<Vec<Value>, String> {
    let url = format!("{}/api/v1/query_range", given("LIVE_PROMETHEUS"));
    let fields = [
        format!("query={expression}"),
        format!("start={from:.0}"),
        format!("end={to:.0}"),
        "step=1".into(),
    ];
    let mut arguments = vec![url.as_str()];
    for field in &fields {
        arguments.extend(["--data-urlencode", field]);
    }
    let answer = curl(&arguments);
    if answer["status"] != "success" {
        return Err(format!("{expression}: {}", answer["error"]));
    }
    Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
}

/// Names between double braces of a legend.
fn legend_labels(legend: &str) -> Vec<&str> {
    let parts = legend.split("{{").skip(1);
    parts.filter_map(|part| part.split_once("}}")).map(|(name, _)| name.trim()).collect()
}

/// What is wrong with the expressions of a dashboard; counts those that were asked.
fn wrong(dashboard: &Value, from: f64, to: f64, asked: &mut usize) -> Vec<String> {
    let mut all = Vec::new();
    let panels = dashboard["panels"].as_array().expect("panels");
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array()).flatten() {
        let written = target["expr"].as_str().expect("an expression");
        let expression = written.replace("$instance", ".*");
        assert!(!expression.contains('$'), "a variable that is not filled in: {expression}");
        *asked += 1;
        let found = match series(&expression, from, to) {
            Ok(found) => found,
            Err(why) => {
                all.push(why);
                continue;
            }
        };
        let rare = NOT_IN_EVERY_RUN.iter().find(|name| written.contains(*name));
        match rare {
            Some(name) if !EXPOSITION.contains(&format!("\"{name}\"")) => {
                all.push(format!("{name} is exported by nobody"));
            }
            None if found.is_empty() => all.push(format!("{expression} finds nothing")),
            _ => {}
        }
        for label in legend_labels(target["legendFormat"].as_str().unwrap_or_default()) {
            if found.iter().any(|one| one["metric"][label].is_null()) {
                all.push(format!("{expression} has no label {label}"));
            }
        }
    }
    all
}

/// The metric and the label of `label_values(metric{...}, label)`.
fn variables(dashboard: &Value) -> BTreeSet<(String, String)> {
    let list = dashboard["templating"]["list"].as_array().expect("variables").iter();
    let asked = list.filter_map(|variable| variable["query"]["query"].as_str());
    let parts = asked.map(|query| {
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (metric, label) = inner.expect("label_values").rsplit_once(',').expect("two parts");
        let metric = metric.split('{').next().expect("a name");
        (metric.trim().to_owned(), label.trim().to_owned())
    });
    parts.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus and Alertmanager: .ci/live/monitoring.sh"]
async fn every_expression_of_the_dashboards_finds_what_a_run_exports() {
    let place = Workplace::new();
    let (sandbox, config) = platform(&place).await;
    until("samples of the whole window", 60, || {
        query("max(count_over_time(up{job=\"platform\"}[20s])) >= 20").len() == 1
    });
    // A missed objective, somebody who is told of it, and somebody who cannot be.
    let nowhere = place.path().join("nowhere");
    std::fs::write(&nowhere, "http://127.0.0.1:9/").expect("written");
    let channels = format!(
        "channels:\n  manager: {{ type: alertmanager, url: \"{}\" }}\n  deaf: {{ type: webhook, url_file: {} }}\n  slack:",
        given("LIVE_ALERTMANAGER"),
        nowhere.display()
    );
    let definitions = over_a_window(50.0)
        .replace(
            "quantile: 0.99, below: 2s, window: 1h, gate: true",
            "quantile: 0.99, below: 1ms, window: 1h, gate: true",
        )
        .replace("mode: auto", "mode: one_shot")
        .replace("channels:\n  slack:", &channels)
        .replace(
            "level: 1, after: 5m, channels: [slack]",
            "level: 1, after: 5m, channels: [manager, deaf]",
        );
    let textfile = std::path::Path::new(&given("LIVE_TEXTFILES")).join("shakedown.prom");
    let listen = format!("monitoring.listen={}", given("LIVE_METRICS"));
    let written = format!("monitoring.textfile={}", textfile.display());
    let began = now();
    let settings = [
        listen.as_str(),
        written.as_str(),
        "phases.full.mixed=25s",
        "workloads.mixed.graceful_stop=2s",
        "chaos.experiments=[kill]",
        "chaos.kill.count=1",
        "chaos.steady.baseline=2s",
        "security.checks=[headers]",
    ];
    let mut more = vec!["--only", "mixed,chaos,security"];
    more.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    watched_run(&place, &config, &definitions, &more).await;
    until("the end of the run, by node_exporter", 30, || {
        query("shakedown_run_finished_timestamp_seconds").len() == 1
    });
    let (ended, mut asked, mut all) = (now(), 0, Vec::new());
    for (name, text) in DASHBOARDS {
        let dashboard: Value = serde_json::from_str(text).expect("JSON");
        let found = wrong(&dashboard, began, ended, &mut asked);
        all.extend(found.into_iter().map(|what| format!("{name}: {what}")));
        for (metric, label) in variables(&dashboard) {
            let found = series(&format!("count by ({label}) ({metric})"), began, ended);
            let has = found.expect("evaluated").iter().any(|one| one["metric"][&label].is_string());
            assert!(has, "{name}: a variable asks {metric} for {label}");
        }
    }
    std::fs::remove_file(&textfile).expect("there");
    assert!(asked > 25, "{asked} expressions");
    assert!(all.is_empty(), "{all:#?}");
    // What finds nothing is seen, and so is what cannot be read.
    assert_eq!(series("shakedown_no_such_metric", began, ended), Ok(vec![]));
    assert!(series("sum(", began, ended).is_err());
    sandbox.stop().await;
}
