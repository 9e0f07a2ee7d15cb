//! What a step does: which protocol it speaks, to which service, with which values.

use std::time::Duration;

use hyper::Method;
use hyper::header::HeaderMap;
use serde_json::json;

use super::chat::{self, History};
use super::course::ReadyStep;
use super::exchange::{Ask, Failure, Line, expect_success};
use super::mcp::{CallFailure, Session};
use super::rag;
use super::recorder::Brought;
use super::request;
use super::shared::Common;
use super::values::Values;
use crate::config::{Endpoint, ServiceKind, Step};
use crate::run::event::{CheckCounts, ErrorKind};

/// What a user carries from request to request.
pub struct Belongings {
    /// Its line to the service.
    pub line: Line,
    /// Its MCP session.
    pub session: Session,
}

/// What a flow carries from step to step.
#[derive(Default)]
pub struct Luggage {
    /// What was said so far.
    pub history: History,
    /// Values of placeholders.
    pub values: Values,
}

/// Takes a step of a scenario; `id` is that of a document to write. The checks of the answer are
/// counted whether it fails or not.
///
/// All but a plain request has a box of its own: a user is as large as the largest way that it may go,
/// and thousands of them should fit near the processor.
pub async fn act(
    common: &Common,
    scenario: usize,
    ready: &ReadyStep,
    id: &str,
    with: &mut Belongings,
    luggage: &mut Luggage,
    checks: &mut CheckCounts,
) -> Result<Brought, Failure> {
    let step = &ready.step;
    let services = &common.config.services;
    let endpoint = &common.endpoints[scenario];
    let (line, values) = (&mut with.line, &mut luggage.values);
    let marker = common.documents.marker();
    match (step, &services.chat, &services.rag, &services.mcp) {
        (Step::Chat { prompt, stream }, Some(service), ..) => {
            let (path, prompt) = (endpoint.path(&service.completions), values.text(prompt));
            let history = &mut luggage.history;
            Box::pin(chat::complete(line, service, &path, &prompt, *stream, history)).await
        }
        (Step::Query { question }, _, Some(service), _) => {
            Box::pin(rag::query(line, endpoint, &service.query, &values.text(question))).await
        }
        (Step::Ingest { text }, _, Some(service), _) => match &service.scratch {
            Some(scratch) => {
                let text = values.text(text);
                Box::pin(rag::ingest(line, endpoint, scratch, id, marker, &text)).await
            }
            None => Err(Failure::new(ErrorKind::Check, "no scratch collection")),
        },
        (Step::Tool {} | Step::ListTools {} | Step::Ping {}, _, _, Some(service)) => {
            let (path, session) = (endpoint.path(&service.path), &mut with.session);
            let call = async {
                match step {
                    Step::Tool {} => session.call_tool(line, &path, &service.tools, marker).await,
                    Step::ListTools {} => {
                        session.request(line, &path, "tools/list", json!({})).await
                    }
                    _ => session.request(line, &path, "ping", json!({})).await,
                }
            };
            let called = Box::pin(call).await;
            called.map_err(|failure| expired(failure, session))
        }
        (Step::Request(step), ..) => {
            let constant = &ready.constant;
            request::send(line, endpoint, step, constant, values, checks).await
        }
        _ => Box::pin(health(line, common, scenario)).await,
    }
}

fn expired(failure: CallFailure, session: &mut Session) -> Failure {
    match failure {
        CallFailure::Failed(failure) => failure,
        CallFailure::Expired => {
            session.forget();
            let detail = "the session has expired; opening another";
            Failure::new(ErrorKind::ClientStatus, detail)
        }
    }
}

async fn health(line: &mut Line, common: &Common, scenario: usize) -> Result<Brought, Failure> {
    let service = common.course.scenarios[scenario].service;
    let path = endpoint(common, service).map_or("/health", |endpoint| endpoint.health.as_str());
    let ask = Ask {
        method: Method::GET,
        path: common.endpoints[scenario].path(path),
        body: None,
        accept: "*/*",
        headers: HeaderMap::new(),
    };
    let answer = line.fetch(&ask).await?;
    expect_success(answer.status)?;
    Ok(Brought::bytes(answer.body.len()))
}

fn endpoint(common: &Common, service: ServiceKind) -> Option<&Endpoint> {
    common.config.services.endpoints().find(|(kind, _)| *kind == service).map(|(_, e)| e)
}

/// How long a step may take.
pub fn time_limit(common: &Common, service: ServiceKind, step: &Step) -> Duration {
    let own = match step {
        Step::Request(request) => request.timeout,
        _ => None,
    };
    let of_endpoint = endpoint(common, service).map(|endpoint| endpoint.timeout);
    own.or(of_endpoint).map_or(Duration::MAX, crate::config::TimeSpan::get)
}

/// The most tokens that a step can cost.
pub fn reserved_tokens(common: &Common, step: &Step) -> u64 {
    match (step, &common.config.services.chat) {
        (Step::Chat { .. }, Some(chat)) => u64::from(chat.max_tokens),
        _ => 0,
    }
}
