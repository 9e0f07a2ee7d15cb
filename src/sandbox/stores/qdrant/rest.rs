//! REST: snapshots, and what a look at the server needs.

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use qdrant_client::qdrant::SnapshotDescription;
use serde::Deserialize;
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::multipart::{boundary, file};
use super::snapshots;
use super::state::Shared;
use crate::sandbox::stores::limits;

/// Largest upload.
const MAX_UPLOAD_BYTES: usize = 512 << 20;
/// Where a server's own snapshots are said to be.
const FOLDER: &str = "file:///qdrant/snapshots/";

/// The routes.
pub fn router(shared: Shared, key: String) -> Router {
    let title = async || {
        let title = "shakedown sandbox (Qdrant protocol)";
        Json(json!({ "title": title, "version": super::VERSION }))
    };
    let healthy = async || "healthz check passed";
    Router::new()
        .route("/collections", get(list_collections))
        .route("/collections/{name}", get(collection))
        .route("/collections/{name}/exists", get(exists))
        .route("/collections/{name}/snapshots", get(list).post(create))
        .route("/collections/{name}/snapshots/upload", post(upload))
        .route("/collections/{name}/snapshots/recover", put(recover))
        .route("/collections/{name}/snapshots/{snapshot}", get(download).delete(delete))
        .route("/cluster", get(async || done(Instant::now(), json!({ "status": "disabled" }))))
        .route("/", get(title))
        .layer(DefaultBodyLimit::max(MAX_UPLOAD_BYTES))
        .layer(from_fn_with_state(key, admit))
        .route("/healthz", get(healthy))
        .route("/readyz", get(healthy))
        .route("/livez", get(healthy))
        .with_state(shared)
}

async fn admit(State(key): State<String>, request: Request, next: Next) -> Response {
    if is_admitted(request.headers(), &key) {
        return next.run(request).await;
    }
    let reason = "Must provide an API key or an Authorization bearer token";
    (StatusCode::UNAUTHORIZED, reason).into_response()
}

fn is_admitted(headers: &HeaderMap, key: &str) -> bool {
    let value = |name: &str| headers.get(name).map(|value| value.as_bytes());
    let bearer = value("authorization").and_then(|value| value.strip_prefix(b"Bearer "));
    let given = value("api-key").or(bearer);
    given.is_some_and(|given| limits::same_secret(given, key.as_bytes()))
}

fn done(began: Instant, result: Value) -> Response {
    let time = began.elapsed().as_secs_f64();
    Json(json!({ "result": result, "status": "ok", "time": time })).into_response()
}

fn failed(status: &Status) -> Response {
    let code = match status.code() {
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::ResourceExhausted => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let error = json!({ "error": status.message() });
    (code, Json(json!({ "result": null, "status": error, "time": 0.0 }))).into_response()
}

fn answer(began: Instant, result: Result<Value, Status>) -> Response {
    match result {
        Ok(result) => done(began, result),
        Err(status) => failed(&status),
    }
}

fn described(snapshot: &SnapshotDescription) -> Value {
    let at = snapshot.creation_time.as_ref().map_or(0, |at| at.seconds);
    let at = jiff::Timestamp::from_second(at).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S");
    json!({
        "name": snapshot.name,
        "creation_time": at.to_string(),
        "size": snapshot.size,
        "checksum": snapshot.checksum,
    })
}

async fn list_collections(State(shared): State<Shared>) -> Response {
    let began = Instant::now();
    let state = shared.lock();
    let names: Vec<Value> = state.collections.keys().map(|name| json!({ "name": name })).collect();
    done(began, json!({ "collections": names }))
}

async fn collection(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let began = Instant::now();
    let mut state = shared.lock();
    answer(began, state.collection(&name).map(|found| {
        json!({ "status": "green", "optimizer_status": "ok", "points_count": found.points.len() })
    }))
}

async fn exists(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let exists = shared.lock().exists(&name);
    done(Instant::now(), json!({ "exists": exists }))
}

async fn list(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let began = Instant::now();
    let listed = snapshots::list(&shared, &name);
    answer(began, listed.map(|listed| listed.iter().map(described).collect()))
}

async fn create(State(shared): State<Shared>, Path(name): Path<String>) -> Response {
    let began = Instant::now();
    answer(began, snapshots::create(&shared, &name).map(|snapshot| described(&snapshot)))
}

async fn download(
    State(shared): State<Shared>,
    Path((name, snapshot)): Path<(String, String)>,
) -> Response {
    match snapshots::get(&shared, &name, &snapshot) {
        Ok(found) => {
            ([(header::CONTENT_TYPE, "application/octet-stream")], found.bytes).into_response()
        }
        Err(status) => failed(&status),
    }
}

async fn delete(
    State(shared): State<Shared>,
    Path((name, snapshot)): Path<(String, String)>,
) -> Response {
    let began = Instant::now();
    answer(began, snapshots::delete(&shared, &name, &snapshot).map(|()| Value::Bool(true)))
}

async fn upload(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let began = Instant::now();
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let uploaded = content_type.and_then(boundary);
    let uploaded = uploaded.and_then(|boundary| file(&body, boundary, "snapshot"));
    let Some(uploaded) = uploaded else {
        return failed(&Status::invalid_argument("expected a form with a file `snapshot`"));
    };
    let unnamed = || format!("{name}-uploaded.snapshot");
    let keep_as = uploaded.name.clone().filter(|name| !name.is_empty()).unwrap_or_else(unnamed);
    let content = body.slice_ref(uploaded.content);
    let query = query.unwrap_or_default();
    let checksum = query.split('&').find_map(|pair| pair.strip_prefix("checksum="));
    let recovered = snapshots::recover(&shared, &name, &content, checksum, Some(&keep_as));
    answer(began, recovered.map(|()| Value::Bool(true)))
}

#[derive(Deserialize)]
struct Recovery {
    location: String,
    checksum: Option<String>,
}

async fn recover(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Json(recovery): Json<Recovery>,
) -> Response {
    let began = Instant::now();
    let place = recovery.location.strip_prefix(FOLDER).and_then(|rest| rest.split_once('/'));
    let Some((from, snapshot)) = place else {
        return failed(&Status::invalid_argument(format!(
            "expected a snapshot of this server, such as {FOLDER}COLLECTION/SNAPSHOT"
        )));
    };
    let recovered = snapshots::get(&shared, from, snapshot).and_then(|found| {
        snapshots::recover(&shared, &name, &found.bytes, recovery.checksum.as_deref(), None)
    });
    answer(began, recovered.map(|()| Value::Bool(true)))
}
