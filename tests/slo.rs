//! Objectives of real runs: what ends the load at once, and what the platform's own Prometheus says
//! about whole windows. The Prometheus here speaks its API and answers as it is told; `.ci/live` has a
//! real one.

mod support;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use shakedown::config::SHIPPED_SLOS;
use support::{Workplace, report};

/// A short mixed load with these definitions: exit code, report, and the HTML report.
fn run(
    place: &Workplace,
    definitions: &str,
    seconds: u32,
    more: &[&str],
) -> (Option<i32>, Value, String) {
    let file = place.path().join("slo.yaml");
    std::fs::write(&file, definitions).expect("written");
    let (code, out, err) = place.unspoilt(|| {
        let mut command = place.command(&["run", "--headless", "--seed", "7"]);
        command.args(["--set", &format!("slo_definitions={}", file.display())]);
        command.args(["--set", &format!("phases.full.mixed={seconds}s")]);
        command.args(["--set", "workloads.mixed.graceful_stop=1s"]).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs")
    });
    assert_ne!(code, Some(2), "{out}\n{err}");
    let run = place.run();
    let html = std::fs::read_to_string(run.path().join("report.html")).expect("a report");
    (code, report(&run), html)
}

fn phase<'a>(report: &'a Value, name: &str) -> &'a Value {
    let phases = report["phases"].as_array().expect("phases");
    phases.iter().find(|phase| phase["phase"] == name).expect("in the plan")
}

fn objective<'a>(report: &'a Value, id: &str) -> &'a Value {
    let rows = report["slo_compliance"].as_array().expect("objectives");
    rows.iter().find(|row| row["id"] == id).expect("defined")
}

#[test]
fn a_broken_threshold_ends_the_load_and_what_comes_after_it() {
    let place = Workplace::for_measuring();
    // Nothing answers within a millisecond; the window has to be full first.
    let armed = "abort_when_broken: [\"p(99)[3s, n>=20]<1ms\"], id: chat_p99,";
    let definitions = SHIPPED_SLOS.replacen("id: chat_p99,", armed, 1);
    assert_ne!(definitions, SHIPPED_SLOS);
    let plan = ["--only", "mixed,security", "--set", "phases.cooldown=1s"];
    let (code, report, _) = run(&place, &definitions, 120, &plan);
    assert_eq!(code, Some(1), "{report}");
    let mixed = phase(&report, "mixed");
    assert_eq!(mixed["status"], "fail", "{mixed}");
    let reason = mixed["reason"].as_str().expect("a reason");
    assert!(reason.contains("chat_p99") && reason.contains("is broken"), "{reason}");
    assert!(mixed["seconds"].as_f64().is_some_and(|s| (3.0..60.0).contains(&s)), "{mixed}");
    let security = phase(&report, "security");
    assert!(matches!(security["status"].as_str(), Some("skipped" | "aborted")), "{security}");
    // What there is, is evaluated all the same.
    assert!(objective(&report, "chat_p99")["n"].as_u64() >= Some(20), "{report}");
    assert!(phase(&report, "slo")["reason"].as_str().is_some_and(|r| !r.is_empty()), "{report}");
}

/// Questions that were asked, with the answers to give: a value, or values by bucket.
#[derive(Clone, Default)]
struct Prometheus {
    answers: BTreeMap<&'static str, Vec<(&'static str, f64)>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

async fn answer(State(server): State<Prometheus>, headers: HeaderMap, form: String) -> Json<Value> {
    let query = form.strip_prefix("query=").expect("a form with a query").replace('+', " ");
    let query = percent_encoding::percent_decode_str(&query).decode_utf8().expect("text");
    let query = query.into_owned();
    let bearer = headers.get("authorization").map(|value| value.to_str().expect("text").to_owned());
    server.asked.lock().expect("not poisoned").push((query.clone(), bearer.unwrap_or_default()));
    let found = server.answers.iter().find(|(part, _)| query.contains(*part));
    let series = found.map(|(_, values)| {
        let one = |(le, value): &(&str, f64)| {
            let metric = if le.is_empty() { json!({}) } else { json!({ "le": le }) };
            json!({ "metric": metric, "value": [1_764_000_000.0, value.to_string()] })
        };
        values.iter().map(one).collect::<Vec<Value>>()
    });
    Json(json!({ "status": "success", "data": { "resultType": "vector",
        "result": series.unwrap_or_default() } }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_days_by_prometheus_decide_what_a_run_cannot() {
    let server = Prometheus {
        answers: BTreeMap::from([
            // Every 15 s of 30 days, and a tenth of that for what is new.
            ("up{job=\"gateway\"}", vec![("", 172_800.0)]),
            ("all_requests[2592000s]", vec![("", 1_000_000.0)]),
            ("good_requests[2592000s]", vec![("", 992_500.0)]),
            ("all_requests[3600s]", vec![("", 1000.0)]),
            ("good_requests[3600s]", vec![("", 990.0)]),
            ("all_requests[1h]", vec![("", 1000.0)]),
            ("good_requests[1h]", vec![("", 990.0)]),
            ("fine_all", vec![("", 1_000_000.0)]),
            ("fine_good", vec![("", 999_000.0)]),
            ("seconds_bucket", vec![("1", 980.0), ("2.5", 995.0), ("+Inf", 1000.0)]),
        ]),
        asked: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().route("/api/v1/query", post(answer)).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let place = Workplace::for_measuring();
    let token = place.path().join("token");
    std::fs::write(&token, "let-me-ask\n").expect("written");
    let source = format!(
        "prometheus: {{ url: \"{url}\", bearer: {{ file: {} }}, up: 'up{{job=\"gateway\"}}', \
         scrape_interval: 15s }}\n#   url:",
        token.display()
    );
    let events = |good: &str, all: &str| {
        format!(
            "prometheus: {{ good: 'sum(increase({good}[{{{{window}}}}]))', total: 'sum(increase({all}[{{{{window}}}}]))' }}"
        )
    };
    let definitions = SHIPPED_SLOS
        .replace("# prometheus:\n#   url:", &source)
        .replace("    gate: true\n    # Assertions", &format!("    gate: true\n    {}\n    # Assertions", events("good_requests", "all_requests")))
        .replace("service: chat, objective_percent: 99.5,", &format!("service: chat, {}, objective_percent: 99.5,", events("fine_good", "fine_all")))
        .replace("quantile: 0.99, below: 2s, window: 1h, gate: true", "quantile: 0.99, below: 2s, window: 1h, gate: true, prometheus: { buckets: seconds_bucket }");
    let (code, report, html) =
        tokio::task::spawn_blocking(move || run(&place, &definitions, 5, &["--only", "mixed"]))
            .await
            .expect("over");

    // No request of the run failed; the month before it did.
    let availability = objective(&report, "availability");
    let whole = &availability["whole_window"];
    assert_eq!(
        (&availability["verdict"], &whole["verdict"]),
        (&json!("fail"), &json!("fail")),
        "{availability}"
    );
    assert_eq!(availability["bad"], 0, "{availability}");
    assert!(
        availability["reason"].as_str().is_some_and(|r| r.starts_with("over 30d: 0.750 % bad")),
        "{availability}"
    );
    assert!(
        (whole["budget_left_percent"].as_f64().expect("a budget") + 50.0).abs() < 1e-6,
        "{whole}"
    );
    assert!((whole["burn_rate"].as_f64().expect("a rate") - 2.0).abs() < 1e-6, "{whole}");
    assert_eq!(whole["exhausted_after_seconds"], 0.0, "{whole}");
    assert_eq!(code, Some(1));

    let chat = &objective(&report, "chat_availability")["whole_window"];
    assert_eq!(chat["verdict"], "pass", "{chat}");
    assert!(
        (chat["budget_left_percent"].as_f64().expect("a budget") - 80.0).abs() < 1e-6,
        "{chat}"
    );

    // A limit between two buckets: 0.5 to 2 % are above it, 1 % may be. The window is an hour.
    let p99 = objective(&report, "p99");
    let whole = &p99["whole_window"];
    assert_eq!(whole["verdict"], "inconclusive", "{p99}");
    assert!(whole["reason"].as_str().is_some_and(|r| r.starts_with("bucket_limited")), "{whole}");

    assert!(
        html.contains("-50.0 % of the budget left") && html.contains("bucket_limited"),
        "{html}"
    );
    let asked = server.asked.lock().expect("not poisoned").clone();
    assert!(asked.iter().all(|(_, bearer)| bearer == "Bearer let-me-ask"), "{asked:?}");
    assert!(
        asked
            .iter()
            .any(|(query, _)| query == "max(count_over_time(up{job=\"gateway\"}[2592000s]))"),
        "{asked:?}"
    );
    assert!(!report.to_string().contains("let-me-ask") && !html.contains("let-me-ask"));
}

#[test]
fn what_a_channel_would_be_sent_has_the_link_to_the_report() {
    let place = Workplace::new();
    let link = "https://ci.example.com/{run}/report.html";
    let with = format!("notify: {{ report_url: \"{link}\", mode: auto }}");
    let definitions = SHIPPED_SLOS.replace("notify: { mode: auto }", &with);
    let file = place.path().join("slo.yaml");
    std::fs::write(&file, definitions).expect("written");
    let mut command = place.command(&["notify", "test", "--dry-run", "--definitions"]);
    command.arg(&file).env("SLACK_WEBHOOK_URL", "https://hooks.example.com/secret");
    let told = command.output().expect("program runs");
    let payloads = String::from_utf8_lossy(&told.stdout);
    assert!(
        payloads.contains("\"url\": \"https://ci.example.com/none/report.html\""),
        "{payloads}"
    );
    assert!(!payloads.contains("hooks.example.com"), "{payloads}");
}
