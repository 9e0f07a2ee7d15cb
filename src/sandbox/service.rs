//! What the practice services have in common: health, metrics, knobs, latency, the sandbox's mark.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::time::Instant;

use super::knobs::{Knobs, Settings};
use super::latency::Latencies;
use super::metrics::Metrics;
use super::peer::Peer;
use super::{chat, lifeline, mcp, port, rag};
use crate::config::ServiceKind;

/// Largest request body.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// What a practice service is asked to be.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// Which service.
    pub service: ServiceKind,
    /// Its loopback port.
    pub port: u16,
    /// Seed of its latencies.
    pub seed: u64,
    /// Factor on every latency.
    pub latency_scale: f64,
    /// Process id of the supervisor.
    pub parent: u32,
    /// Base URL of the service that it calls.
    pub peer: Option<String>,
}

/// What every handler of a practice service can use.
#[derive(Clone)]
pub struct Common {
    /// Faults that are turned on.
    pub knobs: Arc<Knobs>,
    /// The service that this one calls, if it calls one.
    pub peer: Option<Peer>,
    latencies: Arc<Latencies>,
    metrics: Arc<Metrics>,
    service: ServiceKind,
}

impl Common {
    /// A healthy service.
    pub fn new(settings: &ServiceSettings) -> Self {
        Self {
            knobs: Arc::new(Knobs::new(settings.latency_scale)),
            peer: settings.peer.clone().and_then(Peer::new),
            latencies: Arc::new(Latencies::new(settings.seed)),
            metrics: Arc::new(Metrics::new(settings.service.name())),
            service: settings.service,
        }
    }

    /// Takes as long as this kind of work takes.
    pub async fn work(&self, median: Duration, sigma: f64) {
        let latency = self.latencies.draw(median, sigma).mul_f64(self.knobs.latency_scale());
        tokio::time::sleep(latency).await;
    }
}

/// The router of a practice service.
pub fn router(common: Common) -> Router {
    let routes = match common.service {
        ServiceKind::Chat => chat::routes(common.clone()),
        ServiceKind::Rag => rag::routes(common.clone()),
        ServiceKind::Mcp => mcp::routes(common.clone()),
    };
    routes
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route_layer(from_fn_with_state(common.clone(), misbehave))
        .merge(own_routes(common.clone()))
        .layer(from_fn_with_state(common, mark))
}

fn own_routes(common: Common) -> Router {
    let health = async |State(common): State<Common>| {
        Json(json!({ "status": "ok", "service": common.service, "sandbox": true }))
    };
    let metrics = async |State(common): State<Common>| {
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], common.metrics.render())
    };
    let description = async |State(common): State<Common>| Json(describe(common.service));
    let knobs = async |State(common): State<Common>| Json(common.knobs.settings());
    let turn = async |State(common): State<Common>, Json(settings): Json<Settings>| match common
        .knobs
        .turn(&settings)
    {
        Ok(()) => Json(common.knobs.settings()).into_response(),
        Err(reason) => (StatusCode::UNPROCESSABLE_ENTITY, reason).into_response(),
    };
    let watched = Router::new()
        .route("/health", get(health))
        .route_layer(from_fn_with_state(common.clone(), misbehave));
    watched
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(description))
        .route("/sandbox/knobs", get(knobs).post(turn))
        .with_state(common)
}

/// What the service says of itself: open to everybody, and without uploads.
fn describe(service: ServiceKind) -> serde_json::Value {
    let paths: &[(&str, &str)] = match service {
        ServiceKind::Chat => &[("/v1/chat/completions", "post"), ("/v1/models", "get")],
        ServiceKind::Rag => &[
            ("/v1/query", "post"),
            ("/v1/collections/{collection}/documents", "post"),
            ("/v1/collections/{collection}/documents/{id}", "get"),
        ],
        ServiceKind::Mcp => &[("/mcp", "post")],
    };
    let operation = |(path, method): &(&str, &str)| {
        (
            (*path).to_owned(),
            json!({ *method: { "responses": { "200": { "description": "ok" } } } }),
        )
    };
    let paths: serde_json::Map<String, serde_json::Value> = paths.iter().map(operation).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": format!("sandbox {service}"), "version": "1" },
        "paths": paths,
    })
}

/// Freezes, refuses and fails as the knobs say, and counts the answer.
async fn misbehave(State(common): State<Common>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    if let Some(until) = common.knobs.frozen_until() {
        tokio::time::sleep_until(until).await;
    }
    let authorization = request.headers().get(header::AUTHORIZATION);
    let admitted = common.knobs.admits(authorization.and_then(|value| value.to_str().ok()));
    let response = if !admitted && route.as_deref() != Some("/health") {
        refusal(StatusCode::UNAUTHORIZED, "a bearer token is needed")
    } else if common.latencies.happens(common.knobs.error_rate()) {
        refusal(StatusCode::SERVICE_UNAVAILABLE, "unavailable, as the sandbox was told to be")
    } else {
        next.run(request).await
    };
    common.metrics.count(
        route.as_deref().unwrap_or("other"),
        response.status().as_u16(),
        began.elapsed(),
    );
    response
}

fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message }, "sandbox": true }))).into_response()
}

async fn mark(State(common): State<Common>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let name = HeaderValue::from_static(common.service.name());
    let headers = response.headers_mut();
    headers.insert("x-shakedown-sandbox", name);
    // What a well-built JSON service sends.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Serves one practice service on a loopback port until the parent is gone or a signal comes.
///
/// # Errors
/// When the port cannot be bound.
pub async fn serve(settings: &ServiceSettings) -> std::io::Result<()> {
    if !lifeline::die_with_parent(settings.parent) {
        return Ok(());
    }
    let server = axum::serve(port::listen(settings.port)?, router(Common::new(settings)));
    tokio::select! {
        served = server.into_future() => served,
        () = lifeline::parent_gone() => Ok(()),
    }
}
