//! `/metrics` while a run goes on, on an address that was asked for.

use std::net::SocketAddr;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::exposition::render;
use super::page::Format;
use crate::run::companion::{Companion, CompanionContext, Stage};
use crate::run::recorder::EventSink;

/// Serves the metrics of a run.
pub struct MetricsServer {
    listen: SocketAddr,
}

impl MetricsServer {
    /// A server on this address.
    pub const fn new(listen: SocketAddr) -> Self {
        Self { listen }
    }
}

#[async_trait]
impl Companion for MetricsServer {
    fn name(&self) -> &'static str {
        "the server of /metrics"
    }

    fn ends_with(&self) -> Stage {
        Stage::Over
    }

    async fn accompany(&self, mut context: CompanionContext) {
        let listener = match TcpListener::bind(self.listen).await {
            Ok(listener) => listener,
            Err(error) => {
                return log::error!("/metrics is not served on {}: {error}", self.listen);
            }
        };
        log::info!("metrics on http://{}/metrics", self.listen);
        let router =
            Router::new().route("/metrics", get(metrics)).with_state(context.events.clone());
        let over = async move { context.until(Stage::Over).await };
        let served = axum::serve(listener, router).with_graceful_shutdown(over).await;
        if let Err(error) = served {
            log::error!("/metrics is not served any more: {error}");
        }
    }
}

async fn metrics(State(events): State<EventSink>, headers: HeaderMap) -> impl IntoResponse {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let open = accepted.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let format = if open { Format::OpenMetrics } else { Format::Classic };
    let text = events.with_state(|state| render(state, format));
    ([(header::CONTENT_TYPE, format.content_type())], text)
}
