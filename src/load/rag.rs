//! Retrieval: ingest into the scratch collection, queries, and the removal of everything written.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hyper::Method;
use hyper::header::HeaderMap;
use reqwest::{Client, StatusCode};
use tokio::time::Instant;

use super::documents::Documents;
use super::exchange::{Ask, Failure, Line, expect_success};
use super::recorder::Brought;
use super::template::{fill_json, fill_path};
use crate::config::{Operation, Scratch};
use crate::platform::client::{self, ClientError};
use crate::platform::endpoint::ResolvedEndpoint;
use crate::run::event::{CleanupReport, ErrorKind};

/// Removals at a time.
const AT_ONCE: usize = 8;
/// Ids of documents that could not be removed that are named.
const NAMED: u64 = 50;

/// Asks a question.
pub async fn query(
    line: &mut Line,
    endpoint: &ResolvedEndpoint,
    operation: &Operation,
    question: &str,
) -> Result<Brought, Failure> {
    let bytes = call(line, endpoint, operation, &[("question", question)]).await?;
    if bytes == 0 {
        return Err(Failure::new(ErrorKind::Check, "an empty answer"));
    }
    Ok(Brought { bytes, ..Brought::default() })
}

/// Writes one document.
pub async fn ingest(
    line: &mut Line,
    endpoint: &ResolvedEndpoint,
    scratch: &Scratch,
    id: &str,
    marker: &str,
    text: &str,
) -> Result<Brought, Failure> {
    let values = [
        ("collection", scratch.collection.as_str()),
        ("id", id),
        ("marker", marker),
        ("text", text),
    ];
    let bytes = call(line, endpoint, &scratch.ingest, &values).await?;
    Ok(Brought { bytes, ..Brought::default() })
}

async fn call(
    line: &mut Line,
    endpoint: &ResolvedEndpoint,
    operation: &Operation,
    values: &[(&str, &str)],
) -> Result<u64, Failure> {
    let body = operation.body.as_ref().map(|body| fill_json(body, values).to_string().into_bytes());
    let ask = Ask {
        method: Method::from_bytes(operation.method.as_bytes()).unwrap_or(Method::POST),
        path: endpoint.path(&fill_path(&operation.path, values)),
        body,
        accept: "application/json",
        headers: HeaderMap::new(),
    };
    let answer = line.fetch(&ask).await?;
    expect_success(answer.status)?;
    Ok(answer.body.len() as u64)
}

/// Removes what a load phase wrote, and checks that it is gone.
pub struct Cleaner {
    client: Client,
    endpoint: Arc<ResolvedEndpoint>,
    scratch: Scratch,
}

impl Cleaner {
    /// A cleaner of a scratch collection.
    pub fn new(endpoint: Arc<ResolvedEndpoint>, scratch: Scratch) -> Result<Self, ClientError> {
        let client = client::builder(&endpoint)?.timeout(Duration::from_secs(10)).build()?;
        Ok(Self { client, endpoint, scratch })
    }

    /// Removes every document whose id was given out; what is not done within `patience` is named.
    pub async fn clean(&self, documents: &Documents, patience: Duration) -> CleanupReport {
        let deadline = Instant::now() + patience;
        let mut report = CleanupReport { written: documents.taken(), ..CleanupReport::default() };
        let removals = stream::iter(0..documents.taken()).map(|number| {
            let id = documents.id(number);
            async move {
                let removed = tokio::time::timeout_at(deadline, self.remove(&id)).await;
                (id, removed.unwrap_or(false))
            }
        });
        let mut removals = removals.buffer_unordered(AT_ONCE);
        while let Some((id, removed)) = removals.next().await {
            if removed {
                report.removed += 1;
            } else {
                report.remaining_count += 1;
                if report.remaining_count <= NAMED {
                    report.remaining.push(id);
                }
            }
        }
        report
    }

    /// Whether the service says anything at all when it is asked for a document.
    pub async fn is_answered(&self, id: &str) -> bool {
        self.send(&self.scratch.lookup, id).await.is_some()
    }

    /// Removes one document; true when a look-up shows that it is absent.
    async fn remove(&self, id: &str) -> bool {
        for _ in 0..2 {
            // A document whose ingest failed is not there; its absence is what counts.
            let _ = self.send(&self.scratch.delete, id).await;
            if self.send(&self.scratch.lookup, id).await == Some(StatusCode::NOT_FOUND) {
                return true;
            }
        }
        false
    }

    async fn send(&self, operation: &Operation, id: &str) -> Option<StatusCode> {
        let values = [("collection", self.scratch.collection.as_str()), ("id", id)];
        let path = self.endpoint.path(&fill_path(&operation.path, &values));
        let method = reqwest::Method::from_bytes(operation.method.as_bytes()).ok()?;
        let request = self.client.request(method, format!("{}{path}", self.endpoint.origin()));
        let request = request.headers(self.endpoint.headers.clone());
        let request = match &operation.body {
            Some(body) => request.json(&fill_json(body, &values)),
            None => request,
        };
        request.send().await.ok().map(|response| response.status())
    }
}
