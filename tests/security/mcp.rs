//! The arguments of MCP tools are places for attacks, those of listed tools alone.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::support::Workplace;
use super::{found, run, statement, status};

#[derive(Clone, Default)]
struct Server {
    weak: bool,
    /// Names of the tools that were called.
    called: Arc<Mutex<Vec<String>>>,
    /// Sessions that were opened, less those that were closed.
    sessions: Arc<Mutex<i32>>,
}

async fn serve(weak: bool) -> (String, Server) {
    let server = Server { weak, ..Server::default() };
    let router = Router::new()
        .route("/mcp", post(answer).delete(close))
        .route("/health", axum::routing::get(async || "ok"))
        .with_state(server.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), server)
}

async fn close(State(server): State<Server>) -> StatusCode {
    *server.sessions.lock().expect("not poisoned") -= 1;
    StatusCode::NO_CONTENT
}

async fn answer(State(server): State<Server>, Json(asked): Json<Value>) -> Response {
    let result = match asked["method"].as_str().unwrap_or_default() {
        "initialize" => {
            *server.sessions.lock().expect("not poisoned") += 1;
            json!({
                "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                "serverInfo": { "name": "notes", "version": "1" },
            })
        }
        "tools/list" => json!({ "tools": [
            { "name": "find_notes", "inputSchema": { "type": "object" } },
            { "name": "drop_notes", "inputSchema": { "type": "object" } },
        ] }),
        "tools/call" => {
            let name = asked["params"]["name"].as_str().unwrap_or_default().to_owned();
            server.called.lock().expect("not poisoned").push(name);
            server.find(asked["params"]["arguments"]["title"].as_str().unwrap_or_default())
        }
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    let body = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
    ([("mcp-session-id", "s-1")], Json(body)).into_response()
}

impl Server {
    /// What a tool says: of errors too, with 200, as the protocol has it.
    fn find(&self, title: &str) -> Value {
        let found = if self.weak {
            statement::run(&format!("name = '{title}'"), "apple").map(|(holds, _)| holds)
        } else {
            Ok(title == "apple")
        };
        let (text, is_error) = match found {
            Ok(true) => ("an apple a day keeps the doctor away".to_owned(), false),
            Ok(false) => ("no notes".to_owned(), false),
            Err(error) => (format!("psycopg2.errors.SyntaxError: {error}"), true),
        };
        json!({ "content": [{ "type": "text", "text": text }], "isError": is_error })
    }
}

async fn audit(weak: bool) -> (Value, Server) {
    let (base_url, server) = serve(weak).await;
    let config = json!({
        "target": { "name": "tools", "environment": "development" },
        "services": { "mcp": {
            "endpoint": { "base_url": base_url },
            "tools": [{ "name": "find_notes", "arguments": { "title": "apple" } }],
        } },
        "security": { "requests_per_second": 200, "images": { "none": true } },
    });
    let (_, section) = run(&Workplace::new(), &config, "no-token-here", &["--only", "sqli"]).await;
    (section, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_of_listed_tools_are_attacked_and_no_other_tool_is_called() {
    for weak in [true, false] {
        let (section, server) = audit(weak).await;
        let expected = if weak { "vulnerable" } else { "pass" };
        assert_eq!(status(&section, "SQL injection"), expected, "{section:#}");
        let injected = found(&section).into_iter().any(|(rule, place)| {
            rule == "SDK-SQLI-001" && place.contains("tool find_notes body /params/arguments/title")
        });
        assert_eq!(injected, weak, "{section:#}");
        let called = server.called.lock().expect("not poisoned");
        assert!(called.len() > 5 && called.iter().all(|name| name == "find_notes"), "{called:?}");
        let skipped = section["discovered"]["skipped"].to_string();
        assert!(skipped.contains("tool drop_notes"), "told as left alone: {skipped}");
        assert_eq!(*server.sessions.lock().expect("not poisoned"), 0, "the session is closed");
    }
}
