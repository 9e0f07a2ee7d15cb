//! The practice RAG gateway: documents go into collections in memory, questions are answered with
//! what overlaps best. A killed process forgets what was ingested, as a cache would.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::chat::MODEL;
use super::handbook::{HANDBOOK, overlap};
use super::peer::Peer;
use super::service::Common;

/// Documents that fit.
const MAX_DOCUMENTS: usize = 50_000;
/// Documents that one question looks at: a scan stays short however much was ingested.
const SCANNED: usize = 500;
/// Longest document.
const MAX_TEXT_BYTES: usize = 256 * 1024;

const INGEST: Duration = Duration::from_millis(40);
const QUERY: Duration = Duration::from_millis(60);
const LOOKUP: Duration = Duration::from_millis(5);

#[derive(Clone)]
struct Rag {
    common: Common,
    documents: Arc<Mutex<BTreeMap<(String, String), Document>>>,
}

#[derive(Clone, Deserialize)]
struct Document {
    id: String,
    text: String,
    #[serde(default)]
    metadata: Value,
}

#[derive(Deserialize)]
struct Question {
    question: String,
    collection: Option<String>,
    top_k: Option<usize>,
    /// Whether the chat service is to write the answer.
    #[serde(default)]
    generate: bool,
}

pub fn routes(common: Common) -> Router {
    Router::new()
        .route("/v1/collections/{collection}/documents", post(ingest))
        .route("/v1/collections/{collection}/documents/{id}", get(lookup).delete(remove))
        .route("/v1/query", post(query))
        .with_state(Rag { common, documents: Arc::default() })
}

impl Rag {
    fn documents(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Document>> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ingest(
    State(rag): State<Rag>,
    Path(collection): Path<String>,
    Json(document): Json<Document>,
) -> Response {
    if document.id.is_empty() || document.text.len() > MAX_TEXT_BYTES {
        return answer(
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({ "error": "id or text out of bounds" }),
        );
    }
    rag.common.work(INGEST, 0.4).await;
    let mut documents = rag.documents();
    if documents.len() >= MAX_DOCUMENTS {
        return answer(StatusCode::INSUFFICIENT_STORAGE, json!({ "error": "the sandbox is full" }));
    }
    let id = document.id.clone();
    documents.insert((collection.clone(), id.clone()), document);
    answer(StatusCode::CREATED, json!({ "id": id, "collection": collection }))
}

async fn lookup(State(rag): State<Rag>, Path(key): Path<(String, String)>) -> Response {
    rag.common.work(LOOKUP, 0.3).await;
    match rag.documents().get(&key) {
        Some(document) => answer(
            StatusCode::OK,
            json!({ "id": document.id, "text": document.text, "metadata": document.metadata }),
        ),
        None => answer(StatusCode::NOT_FOUND, json!({ "error": "no such document" })),
    }
}

async fn remove(State(rag): State<Rag>, Path(key): Path<(String, String)>) -> Response {
    rag.common.work(LOOKUP, 0.3).await;
    match rag.documents().remove(&key) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => answer(StatusCode::NOT_FOUND, json!({ "error": "no such document" })),
    }
}

async fn query(State(rag): State<Rag>, Json(asked): Json<Question>) -> Response {
    rag.common.work(QUERY, 0.5).await;
    let in_scope = |collection: &str| asked.collection.as_deref().is_none_or(|c| c == collection);
    let mut found: Vec<(f64, String, String, String)> = Vec::new();
    for (id, text) in HANDBOOK.iter().filter(|_| in_scope("handbook")) {
        found.push((
            overlap(&asked.question, text),
            "handbook".into(),
            (*id).into(),
            (*text).into(),
        ));
    }
    for ((collection, id), document) in rag.documents().iter().take(SCANNED) {
        if in_scope(collection) {
            let score = overlap(&asked.question, &document.text);
            let excerpt = document.text.chars().take(200).collect();
            found.push((score, collection.clone(), id.clone(), excerpt));
        }
    }
    found.retain(|(score, ..)| *score > 0.0);
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.truncate(asked.top_k.unwrap_or(3).min(20));
    let text = found.first().map_or("The sandbox knows nothing about that.", |best| &best.3);
    let sources: Vec<Value> = found
        .iter()
        .map(|(score, collection, id, excerpt)| {
            json!({ "id": id, "collection": collection, "score": score, "excerpt": excerpt })
        })
        .collect();
    if asked.generate
        && let Some(peer) = &rag.common.peer
    {
        let written = write_answer(peer, &asked.question).await;
        // Without the chat service there is still what was found.
        let degraded = written.is_none();
        let text = written.unwrap_or_else(|| text.to_owned());
        let body = json!({ "answer": text, "sources": sources, "degraded": degraded });
        return answer(StatusCode::OK, body);
    }
    answer(StatusCode::OK, json!({ "answer": text, "sources": sources }))
}

async fn write_answer(peer: &Peer, question: &str) -> Option<String> {
    let request = json!({
        "model": MODEL,
        "messages": [{ "role": "user", "content": question }],
        "max_tokens": 32,
    });
    let written = peer.post("/v1/chat/completions", &request).await?;
    written.pointer("/choices/0/message/content")?.as_str().map(str::to_owned)
}

fn answer(status: StatusCode, mut body: Value) -> Response {
    body["sandbox"] = json!(true);
    (status, Json(body)).into_response()
}
