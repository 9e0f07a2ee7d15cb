//! What costs much is asked a hundred times only by choice, and a login only with a throw-away user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::support::Workplace;
use super::{found, run};

type Asked = Arc<Mutex<HashMap<String, usize>>>;

/// Counts what is asked, by path; nothing is limited.
async fn serve() -> (String, Asked) {
    let asked = Asked::default();
    let count = async |State(asked): State<Asked>, request: Request| {
        let path = request.uri().path().to_owned();
        let known = ["/health", "/query", "/summary", "/login"].contains(&path.as_str());
        let made = request.method() != Method::GET && path == "/notes";
        *asked.lock().expect("not poisoned").entry(path).or_default() += 1;
        let status = match (known, made) {
            (_, true) => StatusCode::CREATED,
            (true, _) => StatusCode::OK,
            _ => StatusCode::NOT_FOUND,
        };
        (status, Json(json!({ "answer": known })))
    };
    let router = Router::new().fallback(count).with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), asked)
}

fn config(base_url: &str, security: &Value) -> Value {
    let mut config = json!({
        "target": { "name": "choice", "environment": "development" },
        "services": { "rag": {
            "endpoint": { "base_url": base_url },
            "query": { "path": "/query", "body": { "question": "{question}" } },
        } },
        "security": { "images": { "none": true } },
    });
    for (name, value) in security.as_object().expect("settings") {
        config["security"][name] = value.clone();
    }
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_costs_much_and_logins_are_asked_by_choice_only() {
    let (base_url, asked) = serve().await;
    let only = ["--only", "rate-limit"];
    let by_default = config(&base_url, &json!({}));
    let (_, section) = run(&Workplace::new(), &by_default, "no-token-here", &only).await;
    let of = |path: &str| asked.lock().expect("not poisoned").get(path).copied().unwrap_or(0);
    assert_eq!((of("/summary"), of("/login")), (0, 0), "nobody chose them");
    assert!(of("/query") >= 100, "{section:#}");
    let told = section["checks"].to_string();
    assert!(told.contains("login not tested, security.login is not configured"), "{told}");

    let chosen = config(
        &base_url,
        &json!({
            "expensive": [{ "service": "rag", "request": { "path": "/summary", "body": { "a": 1 } } }],
            "login": {
                "service": "rag",
                "request": { "path": "/login", "body": { "user": "{user}", "password": "{password}" } },
                "user": { "env": "THROW_AWAY" },
            },
        }),
    );
    let (_, section) = run(&Workplace::new(), &chosen, "no-token-here", &only).await;
    assert!(of("/summary") >= 100 && of("/login") >= 100, "{section:#}");
    let found = found(&section);
    for (rule, place) in [("SDK-RATE-001", "/summary"), ("SDK-RATE-004", "/login")] {
        assert!(found.iter().any(|(of, at)| of == rule && at.contains(place)), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listed_request_that_keeps_what_it_is_sent_is_attacked_only_where_writing_is_allowed() {
    let listed = |method: &str, path: &str| {
        let request = json!({ "method": method, "path": path, "body": { "text": "milk" } });
        json!({ "service": "rag", "request": request })
    };
    let operations =
        json!([listed("POST", "/notes"), listed("PUT", "/settings"), listed("POST", "/summary")]);
    for writes in [false, true] {
        let (base_url, asked) = serve().await;
        let config = config(&base_url, &json!({ "operations": operations, "writes": writes }));
        let (_, section) =
            run(&Workplace::new(), &config, "no-token-here", &["--only", "sqli,xss"]).await;
        let of = |path: &str| asked.lock().expect("not poisoned").get(path).copied().unwrap_or(0);
        assert!(of("/summary") > 10, "it changes nothing: {section:#}");
        let skipped = section["discovered"]["skipped"].to_string();
        let left_alone =
            ["rag POST /notes", "rag PUT /settings"].map(|place| skipped.contains(place));
        if writes {
            assert!(of("/notes") > 10 && of("/settings") > 3, "{section:#}");
            assert_eq!(left_alone, [false, false], "{skipped}");
        } else {
            // To see that it does, as it is configured.
            assert_eq!((of("/notes"), of("/settings")), (1, 0), "{section:#}");
            assert_eq!(left_alone, [true, true], "{section:#}");
            assert!(skipped.contains("keeps what it is sent, and writing is not allowed"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_there_was_no_budget_for_is_not_counted_as_tested() {
    let (base_url, _) = serve().await;
    // What it takes to see what is answered when there is nothing, and one more.
    let discovery = json!({ "crawl_pages": 0, "openapi": { "rag": "none" } });
    let short = config(&base_url, &json!({ "max_requests": 13, "discovery": discovery }));
    let (code, section) = run(&Workplace::new(), &short, "no-token", &["--only", "keys"]).await;
    let check = &section["checks"][0];
    assert_eq!((code, &check["status"]), (Some(3), &json!("not tested")), "{section:#}");
    let count = |name: &str| check[name].as_u64().expect("counted");
    let counted = (count("operations_tested"), count("operations_found"));
    assert_eq!(counted, (1, 2), "{section:#}");
}
