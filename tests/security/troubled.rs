//! Platforms in trouble: out of order now and then, with errors that show the inside, or with more to be
//! asked than an audit may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

use super::support::Workplace;
use super::twin::KEY;
use super::{found, run, status};

/// A platform, and whether it is out of order now and then.
#[derive(Clone, Default)]
struct Platform {
    flaps: bool,
    asked: Arc<AtomicUsize>,
}

const TRACE: &str = "Traceback (most recent call last):\n  File \"/srv/app.py\", line 41, in item";

async fn answer(State(platform): State<Platform>, request: Request) -> Response {
    let n = platform.asked.fetch_add(1, Ordering::Relaxed);
    if platform.flaps && n % 8 == 5 {
        return (StatusCode::INTERNAL_SERVER_ERROR, "out of order").into_response();
    }
    if platform.flaps && n % 31 == 7 {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    match request.uri().path() {
        "/health" => "fine".into_response(),
        "/keys" => format!("const token = '{KEY}';").into_response(),
        "/page" => Html("<!doctype html><a href=/linked>more</a>").into_response(),
        // Whatever is no number is too much for it.
        "/traced" if query != "n=5" => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], TRACE)
                .into_response()
        }
        "/traced" => "five".into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn serve(flaps: bool) -> String {
    let platform = Platform { flaps, ..Platform::default() };
    let router = Router::new().fallback(answer).with_state(platform);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn config(base_url: &str, paths: &[&str]) -> Value {
    let get =
        |path: &&str| json!({ "service": "chat", "request": { "method": "GET", "path": path } });
    json!({
        "target": { "name": "troubled", "environment": "development" },
        "services": { "chat": { "endpoint": { "base_url": base_url }, "model": "m" } },
        "security": {
            "images": { "none": true }, "requests_per_second": 100, "max_requests": 3000,
            "operations": paths.iter().map(get).collect::<Vec<_>>(),
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_out_of_order_now_and_then_hides_no_key_and_is_no_limit() {
    let base_url = serve(true).await;
    for _ in 0..3 {
        let config = config(&base_url, &["/keys", "/page"]);
        let only = ["--only", "keys,rate-limit"];
        let (_, section) = run(&Workplace::new(), &config, "no-token", &only).await;
        let found = found(&section);
        let key = |(rule, place): &(String, String)| {
            rule == "SDK-KEYS-001" && place.contains("/keys") && place.ends_with("firm")
        };
        assert!(found.iter().any(key), "{section:#}");
        // One in eight fails, whether many are sent at once or not, and one in thirty is refused.
        let firm = |rule: &str| {
            found.iter().any(|(of, place)| of == rule && !place.ends_with("tentative"))
        };
        assert!(!firm("SDK-RATE-002"), "{section:#}");
        assert_ne!(status(&section, "rate limiting"), "pass", "{section:#}");
        let told = section["checks"].to_string();
        assert!(!told.contains("refused from request"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_trace_that_a_quote_brings_every_time_is_firm() {
    let base_url = serve(false).await;
    let config = config(&base_url, &["/traced?n=5"]);
    let (_, section) = run(&Workplace::new(), &config, "no-token", &["--only", "sqli"]).await;
    let expected = ("SDK-ERR-002".to_owned(), "chat GET /traced query n firm".to_owned());
    assert_eq!(found(&section), [expected], "{section:#}");
    assert_eq!(status(&section, "SQL injection"), "vulnerable");
    let exchanges = section["findings"][0]["exchanges"].as_array().expect("both sides");
    assert_eq!(
        (&exchanges[0]["role"], &exchanges[1]["role"]),
        (&json!("attack"), &json!("control"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_when_the_budget_ends_in_discovery_is_told_as_not_tested() {
    let base_url = serve(false).await;
    let mut config = config(&base_url, &["/keys", "/page", "/traced?n=5"]);
    // Twelve paths that are not there come first, then two pages of a crawl.
    config["security"]["max_requests"] = json!(14);
    let (code, section) =
        run(&Workplace::new(), &config, "no-token", &["--only", "keys,sqli"]).await;
    assert_eq!(code, Some(3), "{section:#}");
    assert_eq!(section["discovered"]["found"], 5, "three, its health and the chat: {section:#}");
    assert!(section["discovered"]["notes"].to_string().contains("ended early"), "{section:#}");
    for check in section["checks"].as_array().expect("checks") {
        assert_eq!(check["status"], "not tested", "{check:#}");
        assert_eq!(
            (&check["operations_found"], &check["operations_tested"]),
            (&json!(5), &json!(0))
        );
        assert!(check["coverage"].to_string().contains("security.max_requests"), "{check:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_configuration_does_not_look_at_is_not_fixed() {
    let base_url = serve(false).await;
    let place = Workplace::new();
    let (_, first) =
        run(&place, &config(&base_url, &["/keys"]), "no-token", &["--only", "keys"]).await;
    assert_eq!(first["findings"].as_array().map(Vec::len), Some(1), "{first:#}");
    let other = config(&base_url, &["/page"]);
    let (_, second) = run(&place, &other, "no-token", &["--only", "keys"]).await;
    assert_eq!(second["comparison"]["fixed"], json!([]), "{second:#}");
    let latest = shakedown::run::folder::RunFolder::list(&place.runs()).pop().expect("a run");
    let journal = std::fs::read_to_string(latest.path().join("events.jsonl"));
    assert!(journal.expect("readable").contains("neither found nor fixed"));
}
