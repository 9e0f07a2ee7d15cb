//! Qdrant's protocols over points in memory: gRPC by the server's half of the client's own package,
//! REST for what gRPC does not have, which is the transport of snapshots. Searches compare with every
//! point: exact, and slow for many. What it does not do it refuses as unimplemented.

mod collection;
mod collections;
mod filter;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod multipart;
mod payload;
mod points;
mod rest;
mod search;
mod snapshot;
mod snapshots;
mod state;
mod vectors;

use std::io;

use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use qdrant_client::qdrant::qdrant_server::{Qdrant, QdrantServer};
use qdrant_client::qdrant::snapshots_server::SnapshotsServer;
use qdrant_client::qdrant::{HealthCheckReply, HealthCheckRequest};
use tokio::net::TcpListener;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::limits;
use state::Shared;

/// The version whose protocols it speaks.
const VERSION: &str = "1.20.0";
/// Largest message.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Serves REST and gRPC until it is dropped.
///
/// # Errors
/// When nothing more can be accepted.
pub async fn serve(rest: TcpListener, grpc: TcpListener, key: &str) -> io::Result<()> {
    let shared = Shared::default();
    let gate = Gate(key.to_owned());
    let points = PointsServer::new(points::Service(shared.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let collections = CollectionsServer::new(collections::Service(shared.clone()));
    let snapshots = SnapshotsServer::new(snapshots::Service(shared.clone()));
    let grpc = Server::builder()
        .add_service(InterceptedService::new(points, gate.clone()))
        .add_service(InterceptedService::new(collections, gate.clone()))
        .add_service(InterceptedService::new(snapshots, gate.clone()))
        .add_service(InterceptedService::new(QdrantServer::new(Health), gate))
        .serve_with_incoming(TcpIncoming::from(grpc).with_nodelay(Some(true)));
    let rest = axum::serve(rest, rest::router(shared, key.to_owned()));
    tokio::select! {
        served = grpc => served.map_err(io::Error::other),
        served = rest.into_future() => served,
    }
}

/// Admits whoever knows the key.
#[derive(Clone)]
struct Gate(String);

impl Interceptor for Gate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let key = request.metadata().get("api-key").map(|key| key.as_bytes());
        let bearer = request.metadata().get("authorization").map(|value| value.as_bytes());
        let bearer = bearer.and_then(|value| value.strip_prefix(b"Bearer "));
        match key.or(bearer) {
            Some(key) if limits::same_secret(key, self.0.as_bytes()) => Ok(request),
            _ => Err(Status::permission_denied("Invalid API key or JWT")),
        }
    }
}

struct Health;

#[tonic::async_trait]
impl Qdrant for Health {
    async fn health_check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckReply>, Status> {
        Ok(Response::new(HealthCheckReply {
            title: "shakedown sandbox (Qdrant protocol)".into(),
            version: VERSION.into(),
            commit: None,
        }))
    }
}
