//! The tools of MCP whose arguments may be attacked: those that the configuration lists, and no other.

use serde_json::{Value, json};

use crate::config::{Config, ServiceKind, Tool};
use crate::platform::text::excerpt;
use crate::security::prober::{ProbeError, Prober};
use crate::security::request::{Body, Place, Request};
use crate::security::surface::{Operation, Source, Surface};

const PROTOCOL: &str = "2025-06-18";
const SESSION: &str = "mcp-session-id";

/// A session that has to be closed.
#[derive(Clone, Debug)]
pub struct Session {
    close: Request,
}

impl Session {
    /// Ends the session. A server may refuse that; then it forgets it by itself.
    pub async fn close(&self, prober: &Prober) {
        let _ = prober.ask_for_removal(&self.close).await;
    }
}

/// Opens a session, which is there to be closed whatever comes after, and adds the listed tools that are
/// there.
///
/// # Errors
/// When the budget is used up, or there is no answer within the session.
pub async fn tools(
    config: &Config,
    prober: &Prober,
    mark: &str,
    surface: &mut Surface,
    session: &mut Option<Session>,
) -> Result<(), ProbeError> {
    let Some(mcp) = &config.services.mcp else { return Ok(()) };
    let base = |body: Value| {
        let mut request = Request::get(ServiceKind::Mcp, &mcp.path);
        request.method = reqwest::Method::POST;
        request.body = Body::Json(body);
        request.with("accept", "application/json, text/event-stream")
    };
    let answer = match prober.ask(&base(hello())).await {
        Ok(answer) if answer.is_success() => answer,
        Err(ProbeError::Budget) => return Err(ProbeError::Budget),
        Ok(answer) => {
            surface.notes.push(format!("mcp: initialize is answered with {}", answer.status));
            return Ok(());
        }
        Err(error) => {
            surface.notes.push(format!("mcp: {error}"));
            return Ok(());
        }
    };
    let id = answer.header(SESSION).to_owned();
    let within = |request: Request| {
        let request = request.with("mcp-protocol-version", PROTOCOL);
        if id.is_empty() { request } else { request.with(SESSION, &id) }
    };
    let mut close = within(Request::get(ServiceKind::Mcp, &mcp.path));
    close.method = reqwest::Method::DELETE;
    *session = (!id.is_empty()).then_some(Session { close });
    let begun = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    prober.ask(&within(base(begun))).await?;
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    let listed = names(&prober.ask(&within(base(list))).await?.body);
    for name in &listed {
        let Some(tool) = mcp.tools.iter().find(|tool| tool.name == *name) else {
            let place = format!("mcp POST {} tool {}", mcp.path, excerpt(name));
            surface.skip(place, "not listed in services.mcp.tools");
            continue;
        };
        let call = within(base(call(tool, mark)));
        let mut operation = Operation::new(call, mcp.path.clone(), Source::Tool);
        operation.points.retain(
            |point| matches!(&point.place, Place::Json(at) if at.starts_with("/params/arguments/")),
        );
        surface.add(operation);
    }
    for tool in mcp.tools.iter().filter(|tool| !listed.contains(&tool.name)) {
        surface.notes.push(format!("mcp: the configured tool {} is not there", tool.name));
    }
    Ok(())
}

/// What opens a session.
fn hello() -> Value {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": PROTOCOL,
            "capabilities": {},
            "clientInfo": { "name": "shakedown", "version": env!("CARGO_PKG_VERSION") },
        },
    })
}

/// A call of a tool with its configured arguments.
fn call(tool: &Tool, mark: &str) -> Value {
    let arguments = tool.arguments.to_string().replace("{marker}", mark);
    let arguments: Value = serde_json::from_str(&arguments).unwrap_or_else(|_| json!({}));
    json!({
        "jsonrpc": "2.0", "id": 3, "method": "tools/call",
        "params": { "name": tool.name, "arguments": arguments },
    })
}

/// Names of the tools in an answer, as JSON or as an event stream of one event.
fn names(body: &str) -> Vec<String> {
    let data = body.lines().find_map(|line| line.strip_prefix("data:")).unwrap_or(body);
    let answer: Value = serde_json::from_str(data.trim()).unwrap_or_default();
    let tools = answer.pointer("/result/tools").and_then(Value::as_array);
    let names = tools.into_iter().flatten().filter_map(|tool| tool.get("name")?.as_str());
    names.take(100).map(str::to_owned).collect()
}
