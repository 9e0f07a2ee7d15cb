//! MCP over streamable HTTP: a session per virtual user, answers as JSON or as an event stream.

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::exchange::{Ask, Failure, Line, expect_success, of_success, read_all};
use super::recorder::Brought;
use super::sse;
use super::template::fill_json;
use crate::config::Tool;
use crate::run::event::ErrorKind;

/// A session is opened by two: the second says that the first was understood.
pub const HANDSHAKE_REQUESTS: u64 = 2;

const VERSION: &str = "2025-06-18";
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// A virtual user's session.
#[derive(Debug, Default)]
pub struct Session {
    headers: Option<HeaderMap>,
    next_id: u64,
    next_tool: usize,
}

/// How a call failed.
pub enum CallFailure {
    /// The session is unknown to the server; a new one may do.
    Expired,
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for CallFailure {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Session {
    /// Whether it has been opened.
    pub const fn is_open(&self) -> bool {
        self.headers.is_some()
    }

    /// Forgets the session.
    pub fn forget(&mut self) {
        self.headers = None;
    }

    /// Opens a session.
    pub async fn initialize(&mut self, line: &mut Line, path: &str) -> Result<Brought, Failure> {
        let params = json!({
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": { "name": "shakedown", "version": env!("CARGO_PKG_VERSION") },
        });
        let message = self.message("initialize", params);
        let posted = post(line, path, &message, HeaderMap::new()).await.map_err(flatten)?;
        let agreed = posted.answer["result"]["protocolVersion"].as_str();
        let agreed = agreed.and_then(|version| HeaderValue::try_from(version).ok());
        let check = |detail| Failure::new(ErrorKind::Check, detail);
        let agreed = agreed.ok_or_else(|| check("initialize: no protocolVersion in the answer"))?;
        let mut headers = HeaderMap::new();
        headers.insert(PROTOCOL, agreed);
        if let Some(session) = posted.headers.get(SESSION) {
            headers.insert(SESSION, session.clone());
        }
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let response = line.send(&ask(path, &ready, headers.clone())).await?;
        let status = response.status();
        read_all(response.into_body()).await?;
        expect_success(status)?;
        self.headers = Some(headers);
        Ok(posted.brought)
    }

    /// Calls the next of the allowed tools.
    pub async fn call_tool(
        &mut self,
        line: &mut Line,
        path: &str,
        tools: &[Tool],
        marker: &str,
    ) -> Result<Brought, CallFailure> {
        let Some(tool) = tools.get(self.next_tool % tools.len().max(1)) else {
            return Err(Failure::new(ErrorKind::Check, "no tool is allowed").into());
        };
        self.next_tool += 1;
        let arguments = fill_json(&tool.arguments, &[("marker", marker)]);
        let params = json!({ "name": tool.name, "arguments": arguments });
        self.request(line, path, "tools/call", params).await
    }

    /// Any other request.
    pub async fn request(
        &mut self,
        line: &mut Line,
        path: &str,
        method: &str,
        params: Value,
    ) -> Result<Brought, CallFailure> {
        let message = self.message(method, params);
        let headers = self.headers.clone().unwrap_or_default();
        let Posted { answer, brought, .. } = post(line, path, &message, headers).await?;
        let check = |detail: String| Failure::new(ErrorKind::Check, detail);
        if let Some(error) = answer.get("error") {
            return Err(check(format!("{method}: error {error}")).into());
        }
        if answer["result"]["isError"] == json!(true) {
            return Err(check(format!("{method}: the tool failed: {}", answer["result"])).into());
        }
        if !answer["result"].is_object() {
            return Err(check(format!("{method}: neither result nor error")).into());
        }
        Ok(brought)
    }

    fn message(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        json!({ "jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params })
    }
}

fn flatten(failure: CallFailure) -> Failure {
    match failure {
        CallFailure::Failed(failure) => failure,
        CallFailure::Expired => Failure::new(ErrorKind::ClientStatus, "status 404"),
    }
}

fn ask(path: &str, message: &Value, headers: HeaderMap) -> Ask {
    Ask {
        method: Method::POST,
        path: path.to_owned(),
        body: Some(message.to_string().into_bytes()),
        accept: "application/json, text/event-stream",
        headers,
    }
}

/// What came of a message that was posted.
struct Posted {
    headers: HeaderMap,
    answer: Value,
    brought: Brought,
}

async fn post(
    line: &mut Line,
    path: &str,
    message: &Value,
    headers: HeaderMap,
) -> Result<Posted, CallFailure> {
    let in_session = headers.contains_key(SESSION);
    let (head, body) = line.send(&ask(path, message, headers)).await?.into_parts();
    let is_expired = head.status == StatusCode::NOT_FOUND && in_session;
    let refused = |failure: Failure| {
        if is_expired { CallFailure::Expired } else { CallFailure::from(failure) }
    };
    let body = of_success(head.status, body).await.map_err(refused)?;
    let streamed = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/event-stream"));
    let (answer, brought) = if streamed {
        read_stream(line, body, &message["id"]).await?
    } else {
        let body = read_all(body).await?;
        (from_json(&body)?, Brought::bytes(body.len()))
    };
    if answer["id"] != message["id"] {
        return Err(Failure::new(ErrorKind::Protocol, "an answer to another request").into());
    }
    Ok(Posted { headers: head.headers, answer, brought })
}

/// Reads a stream up to the answer: a server may keep it open for what it has to say later.
async fn read_stream(
    line: &mut Line,
    mut body: Incoming,
    id: &Value,
) -> Result<(Value, Brought), Failure> {
    let mut answer = None;
    let take = |data: &[u8], _: Instant| {
        answer = answer.take().or_else(|| answer_in(data, id));
        answer.is_some()
    };
    let bytes = sse::read(&mut body, take).await?;
    let answer = answer.ok_or_else(no_answer)?;
    line.leave_open(body);
    Ok((answer, Brought::bytes(bytes)))
}

fn no_answer() -> Failure {
    Failure::new(ErrorKind::Protocol, "a stream without the answer")
}

pub(super) fn from_json(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body)
        .map_err(|error| Failure::new(ErrorKind::Protocol, format!("no JSON-RPC: {error}")))
}

/// The answer among the messages of an event stream.
#[cfg(any(test, fuzzing))]
pub(super) fn from_stream(body: &[u8], id: &Value) -> Result<Value, Failure> {
    let mut answer = None;
    let take = |data: &[u8]| answer = answer.take().or_else(|| answer_in(data, id));
    let fed = sse::SseParser::default().feed(body, take);
    fed.map_err(|error| Failure::new(ErrorKind::Protocol, error.to_string()))?;
    answer.ok_or_else(no_answer)
}

/// An event's message, where it is the answer.
fn answer_in(data: &[u8], id: &Value) -> Option<Value> {
    let message: Value = serde_json::from_slice(data).ok()?;
    // A server numbers its own requests as it likes.
    (message["id"] == *id && message.get("method").is_none()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_found_among_other_messages() {
        let stream = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n\
                       data: {\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"result\":0}\n\n\
                       event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n";
        assert_eq!(from_stream(stream, &json!(7)).map(|answer| answer["id"].clone()), Ok(json!(7)));
        let missing = from_stream(stream, &json!(8)).map_err(|failure| failure.kind);
        assert_eq!(missing, Err(ErrorKind::Protocol));
    }
}
