//! S3 over objects in memory. Signatures, requests and answers are `s3s`'; what a bucket holds is ours:
//! objects with headers, metadata and tags, ranges, uploads in parts, listings in pages. No versions,
//! policies or encryption; what it does not do it refuses as not implemented.

mod bucket;
mod listing;
mod objects;
mod operations;
mod uploads;

use std::io;

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

/// Serves until it is dropped.
///
/// # Errors
/// When nothing more can be accepted.
pub async fn serve(listener: TcpListener, access_key: &str, secret_key: &str) -> io::Result<()> {
    let mut builder = S3ServiceBuilder::new(objects::Objects::default());
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
    // What S3 has no answer of its own for, such as a body that breaks off.
    let failed = async |_: s3s::HttpError| StatusCode::INTERNAL_SERVER_ERROR;
    let router = Router::new().fallback_service(HandleError::new(builder.build(), failed));
    axum::serve(listener, router).await
}
