//! The supervisor's own endpoint: which children there are, and how they fare.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::link::{Links, Setting};
use crate::config::ServiceKind;

/// Where a child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChildStatus {
    /// At work.
    Running,
    /// Ended, and waiting for its next start.
    Restarting,
}

/// What is known of a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildState {
    /// The service or store.
    pub name: String,
    /// Its address.
    pub url: String,
    /// Its process, while it runs.
    pub pid: Option<u32>,
    /// When it was started last, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// How often it was started again.
    pub restarts: u32,
    /// Where it stands.
    pub status: ChildStatus,
}

impl ChildState {
    /// One that has not been started yet.
    pub fn new(name: &str, url: String) -> Self {
        Self {
            name: name.to_owned(),
            url,
            pid: None,
            started_unix_ms: 0,
            restarts: 0,
            status: ChildStatus::Restarting,
        }
    }
}

/// Children of one kind, shared between the supervisor and its endpoint.
#[derive(Clone, Default)]
pub struct Children(Arc<Mutex<Vec<ChildState>>>);

impl Children {
    /// Reads or changes the list.
    pub fn lock(&self) -> MutexGuard<'_, Vec<ChildState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The endpoint.
pub fn router(services: Children, stores: Children, links: Links) -> Router {
    let services = async move || Json(services.lock().clone());
    let stores = async move || Json(stores.lock().clone());
    let states = async |State(links): State<Links>| Json(links.states());
    let set = async |State(links): State<Links>,
                     Path((from, to)): Path<(ServiceKind, ServiceKind)>,
                     Json(setting): Json<Setting>| {
        if links.set(from, to, setting) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
    };
    let health = async || Json(serde_json::json!({ "status": "ok", "sandbox": true }));
    Router::new()
        .route("/sandbox/services", get(services))
        .route("/sandbox/stores", get(stores))
        .route("/sandbox/health", get(health))
        .route("/sandbox/links", get(states))
        .route("/sandbox/links/{from}/{to}", post(set))
        .with_state(links)
}
