//! The security audit by the real program, on a platform with every weakness and on its secure twin:
//! it finds what is there, and nothing that is not.

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use support::{Workplace, ended, report};

const TOKEN: &str = "the-right-token";
const KEY: &str = "ghp_a8Kd03jFq91LmZx7RtYw5Vb2NcPe6HsUg4Ti";

#[derive(Clone)]
struct Twin {
    weak: bool,
    recent: Arc<Mutex<Vec<Instant>>>,
}

async fn serve(weak: bool) -> String {
    let twin = Twin { weak, recent: Arc::default() };
    let router = Router::new()
        .route("/health", get(health))
        .route("/query", post(query))
        .route("/search", post(search))
        .route("/page", post(page))
        .route("/.env", get(environment))
        .route("/openapi.json", get(async || Json(json!({ "openapi": "3.1.0", "paths": {} }))))
        .fallback(async || catch_all())
        .layer(from_fn_with_state(twin.clone(), around))
        .with_state(twin);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// Headers, origins, credentials and limits, as the twin has them.
async fn around(State(twin): State<Twin>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let public = matches!(request.uri().path(), "/health" | "/openapi.json" | "/.env");
    let granted = request.headers().get(header::AUTHORIZATION)
        == Some(&HeaderValue::from_static("Bearer the-right-token"));
    if !twin.weak && twin.is_too_fast() {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    if !twin.weak && !public && !granted {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if twin.weak {
        headers.insert(header::SERVER, HeaderValue::from_static("nginx/1.2.3"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    } else {
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Alone it allows nobody anything.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    response
}

impl Twin {
    fn is_too_fast(&self) -> bool {
        let mut recent = self.recent.lock().expect("not poisoned");
        recent.retain(|at| at.elapsed() < Duration::from_secs(1));
        recent.push(Instant::now());
        recent.len() > 60
    }
}

async fn health(State(twin): State<Twin>) -> Json<Value> {
    // A placeholder is no key.
    let token = if twin.weak { KEY } else { "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" };
    Json(json!({ "status": "ok", "debug": token, "time": format!("{:?}", Instant::now()) }))
}

/// A statement with the question in it, or with the question beside it.
async fn query(State(twin): State<Twin>, Json(body): Json<Value>) -> Response {
    let question = body["question"].as_str().unwrap_or_default();
    let rows = Json(json!({ "rows": ["one", "two", "three"], "about": "rollback" }));
    if !twin.weak {
        // Every quote is refused: that is no injection.
        let refused = question.contains('\'') && question.len() > 200;
        return if refused {
            StatusCode::BAD_REQUEST.into_response()
        } else {
            rows.into_response()
        };
    }
    if question.matches('\'').count() % 2 == 1 {
        let error = "syntax error at or near \"'\"";
        return (StatusCode::INTERNAL_SERVER_ERROR, error).into_response();
    }
    rows.into_response()
}

/// A statement whose errors are swallowed: only its conditions show.
async fn search(State(twin): State<Twin>, Json(body): Json<Value>) -> Json<Value> {
    let text = body["text"].as_str().unwrap_or_default();
    let condition = text.split("AND ").nth(1).and_then(|part| part.trim().split_once('='));
    let holds = condition.is_none_or(|(one, other)| one == other);
    let rows = if holds || !twin.weak { json!(["one", "two", "three"]) } else { json!([]) };
    Json(json!({ "rows": rows }))
}

async fn page(State(twin): State<Twin>, Json(body): Json<Value>) -> Response {
    let name = body["name"].as_str().unwrap_or_default();
    let name = if twin.weak { name.to_owned() } else { name.replace('<', "&lt;") };
    let mut response = Html(format!("<p>Hello {name}</p>")).into_response();
    let policy = HeaderValue::from_static("default-src 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

async fn environment(State(twin): State<Twin>) -> Response {
    if twin.weak { "DB_PASSWORD=hunter2\n".into_response() } else { catch_all() }
}

/// A page for everything, as single-page applications have it: never the file that was asked for.
fn catch_all() -> Response {
    let mut response = Html("<!doctype html><p>The application").into_response();
    let policy = HeaderValue::from_static("default-src 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Audits a twin; returns the exit code and the section of the report.
async fn audit(weak: bool) -> (Option<i32>, Value) {
    let place = Workplace::new();
    let base_url = serve(weak).await;
    let operation = |path: &str, body: Value| json!({ "service": "rag", "request": { "method": "POST", "path": path, "body": body } });
    let config = json!({
        "target": { "name": "twin", "environment": "development" },
        "services": { "rag": {
            "endpoint": { "base_url": base_url, "auth": { "bearer_env": "TWIN_TOKEN" } },
            "query": { "path": "/query", "body": { "question": "{question}" } },
        } },
        "security": {
            "requests_per_second": 50,
            "images": { "none": true },
            "operations": [
                operation("/query", json!({ "question": "rollback" })),
                operation("/search", json!({ "text": "rollback" })),
                operation("/page", json!({ "name": "you" })),
            ],
        },
    });
    std::fs::write(place.path().join("shakedown.yaml"), config.to_string()).expect("written");
    let mut command = place.command(&["security", "--headless"]);
    command.env("TWIN_TOKEN", TOKEN);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().expect("program runs");
    let (code, out, err) = tokio::task::spawn_blocking(|| ended(child)).await.expect("ended");
    let run = place.run();
    let report = report(&run);
    let phases = report["phases"].as_array().expect("phases");
    let phase = phases.iter().find(|phase| phase["phase"] == "security").expect("security");
    let journal = std::fs::read_to_string(run.path().join("events.jsonl")).expect("readable");
    for secret in [TOKEN, &KEY[8..]] {
        assert!(!journal.contains(secret) && !out.contains(secret), "a secret was told: {err}");
    }
    (code, phase["security"].clone())
}

fn status<'a>(section: &'a Value, check: &str) -> &'a str {
    let checks = section["checks"].as_array().expect("checks");
    let row = checks.iter().find(|row| row["check"] == check).expect("made");
    row["status"].as_str().expect("said")
}

const CHECKS: [&str; 7] = [
    "security headers",
    "CORS",
    "API key exposure",
    "SQL injection",
    "XSS",
    "authentication bypass",
    "rate limiting",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_weakness_is_found_on_the_weak_twin() {
    let (code, section) = audit(true).await;
    assert_eq!(code, Some(1), "{section:#}");
    for check in CHECKS {
        assert_eq!(status(&section, check), "vulnerable", "{check}: {section:#}");
    }
    let rules: Vec<&str> = section["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|finding| finding["rule"].as_str())
        .collect();
    for rule in [
        "SDK-SQLI-001",
        "SDK-XSS-001",
        "SDK-AUTH-001",
        "SDK-CORS-001",
        "SDK-KEYS-001",
        "SDK-KEYS-002",
    ] {
        assert!(rules.contains(&rule), "{rule}: {rules:?}");
    }
    let injections = rules.iter().filter(|rule| **rule == "SDK-SQLI-001").count();
    assert_eq!(injections, 2, "one by its errors, one by its conditions: {section:#}");
    assert!(section["score"].as_f64() <= Some(49.0), "a confirmed critical finding: {section:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_on_the_secure_twin() {
    let (code, section) = audit(false).await;
    assert_eq!(section["findings"], json!([]), "{section:#}");
    for check in CHECKS {
        assert_eq!(status(&section, check), "pass", "{check}: {section:#}");
    }
    assert_eq!((code, section["score"].as_f64()), (Some(0), Some(100.0)));
}
