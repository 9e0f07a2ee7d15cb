//! The practice MCP gateway: Model Context Protocol over streamable HTTP (revisions 2025-06-18 and
//! 2025-03-26), with sessions.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use super::handbook::{HANDBOOK, overlap};
use super::service::Common;

const SESSION: &str = "mcp-session-id";
const VERSIONS: [&str; 2] = ["2025-06-18", "2025-03-26"];
/// Sessions that are remembered; the oldest go first.
const MAX_SESSIONS: usize = 10_000;
const WORK: Duration = Duration::from_millis(15);

#[derive(Clone)]
struct Mcp {
    common: Common,
    sessions: Arc<Mutex<VecDeque<String>>>,
}

pub fn routes(common: Common) -> Router {
    Router::new()
        .route("/mcp", post(receive).delete(end_session))
        .with_state(Mcp { common, sessions: Arc::default() })
}

impl Mcp {
    fn sessions(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_session(&self) -> String {
        let id = format!("{:032x}", rand::random::<u128>());
        let mut sessions = self.sessions();
        if sessions.len() == MAX_SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back(id.clone());
        id
    }

    /// Whether a request belongs to a session; the status that refuses it otherwise.
    fn check_session(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let id = headers.get(SESSION).and_then(|id| id.to_str().ok());
        let id = id.ok_or(StatusCode::BAD_REQUEST)?;
        let known = self.sessions().iter().rev().any(|session| session == id);
        if known { Ok(()) } else { Err(StatusCode::NOT_FOUND) }
    }
}

async fn end_session(State(mcp): State<Mcp>, headers: HeaderMap) -> StatusCode {
    if let Err(status) = mcp.check_session(&headers) {
        return status;
    }
    mcp.sessions().retain(|session| headers.get(SESSION).is_none_or(|id| id != session.as_str()));
    StatusCode::NO_CONTENT
}

async fn receive(State(mcp): State<Mcp>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return reply(
            &headers,
            StatusCode::BAD_REQUEST,
            &error(&Value::Null, -32700, "parse error"),
        );
    };
    let id = message["id"].clone();
    let Some(method) = message["method"].as_str() else {
        return reply(&headers, StatusCode::BAD_REQUEST, &error(&id, -32600, "no method"));
    };
    if method == "initialize" {
        mcp.common.work(WORK, 0.4).await;
        return initialize(&mcp, &headers, &id, &message["params"]);
    }
    if let Err(status) = mcp.check_session(&headers) {
        return reply(&headers, status, &error(&id, -32600, "unknown or missing session"));
    }
    if id.is_null() {
        return StatusCode::ACCEPTED.into_response();
    }
    mcp.common.work(WORK, 0.4).await;
    let answer = match method {
        "ping" => result(&id, json!({})),
        "tools/list" => result(&id, json!({ "tools": tools() })),
        "tools/call" => call(&id, &message["params"]),
        _ => error(&id, -32601, "method not found"),
    };
    reply(&headers, StatusCode::OK, &answer)
}

fn initialize(mcp: &Mcp, headers: &HeaderMap, id: &Value, params: &Value) -> Response {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let version = VERSIONS.into_iter().find(|v| *v == asked).unwrap_or(VERSIONS[0]);
    let answer = result(
        id,
        json!({
            "protocolVersion": version,
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "shakedown sandbox", "version": env!("CARGO_PKG_VERSION") },
        }),
    );
    let mut response = reply(headers, StatusCode::OK, &answer);
    if let Ok(session) = HeaderValue::try_from(mcp.open_session()) {
        response.headers_mut().insert(SESSION, session);
    }
    response
}

fn tools() -> Value {
    let schema = |property: &str, kind: &str| json!({ "type": "object", "properties": { property: { "type": kind } } });
    json!([
        { "name": "echo", "description": "Says it back.", "inputSchema": schema("text", "string") },
        { "name": "add", "description": "Adds a and b.", "inputSchema": schema("a", "number") },
        { "name": "search_handbook", "description": "Looks into the handbook.",
          "inputSchema": schema("query", "string") },
    ])
}

fn call(id: &Value, params: &Value) -> Value {
    let arguments = &params["arguments"];
    let text = match params["name"].as_str() {
        Some("echo") => {
            arguments["text"].as_str().map(str::to_owned).ok_or("text: expected a string")
        }
        Some("add") => match (arguments["a"].as_f64(), arguments["b"].as_f64()) {
            (Some(a), Some(b)) => Ok((a + b).to_string()),
            _ => Err("a, b: expected numbers"),
        },
        Some("search_handbook") => {
            arguments["query"].as_str().map(search).ok_or("query: expected a string")
        }
        _ => return error(id, -32602, "no such tool"),
    };
    let (text, is_error) = match text {
        Ok(text) => (text, false),
        Err(reason) => (reason.to_owned(), true),
    };
    result(id, json!({ "content": [{ "type": "text", "text": text }], "isError": is_error }))
}

fn search(query: &str) -> String {
    let scored = HANDBOOK.iter().map(|(_, text)| (overlap(query, text), *text));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > 0.0).map_or("nothing found", |(_, text)| text).to_owned()
}

fn result(id: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn error(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// As JSON, or as an event stream of one event for a client that takes nothing else.
fn reply(headers: &HeaderMap, status: StatusCode, body: &Value) -> Response {
    let accept =
        headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("*/*");
    if accept.contains("text/event-stream") && !accept.contains("json") && !accept.contains("*/*") {
        let event = format!("event: message\ndata: {body}\n\n");
        return (status, [(header::CONTENT_TYPE, "text/event-stream")], event).into_response();
    }
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
