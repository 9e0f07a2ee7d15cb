//! The audit's HTTP client: only configured services, within a budget and a rate, bounded answers,
//! and held at any moment by a pause.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, redirect};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::config::{Config, Operation, ServiceKind};
use crate::platform::endpoint::ResolvedEndpoint;
use crate::platform::tls;

/// More of an answer is not read.
const MAX_BODY_BYTES: usize = 256 * 1024;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why an answer could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The audit has sent as many requests as it may.
    #[error("the audit's budget of requests is used up")]
    Budget,
    /// The service is not configured, or cannot be spoken to.
    #[error("{0}")]
    Failed(String),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: String,
}

impl Answer {
    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether it is a 2xx.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// One request of the audit.
#[derive(Clone, Debug)]
pub struct Question {
    /// To which service.
    pub service: ServiceKind,
    /// What.
    pub operation: Operation,
    /// Headers besides the configured ones; they replace those.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the configured credentials go with it.
    pub credentials: bool,
}

impl Question {
    /// A GET with the configured credentials.
    pub fn get(service: ServiceKind, path: &str) -> Self {
        let operation = Operation { method: "GET".into(), path: path.to_owned(), body: None };
        Self { service, operation, headers: Vec::new(), credentials: true }
    }

    /// A configured operation.
    pub const fn of(service: ServiceKind, operation: Operation) -> Self {
        Self { service, operation, headers: Vec::new(), credentials: true }
    }

    /// With one more header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// Where it goes, in words.
    pub fn place(&self) -> String {
        format!("{} {} {}", self.service, self.operation.method, self.operation.path)
    }
}

/// Sends the audit's requests.
pub struct Prober {
    client: Client,
    services: Vec<(ServiceKind, ResolvedEndpoint)>,
    max_requests: u64,
    sent: AtomicU64,
    pace: tokio::sync::Mutex<Instant>,
    between: Duration,
    open: watch::Receiver<bool>,
}

impl Prober {
    /// A prober of the configured services; it waits while `open` is false.
    ///
    /// # Errors
    /// When an endpoint cannot be used.
    pub fn new(config: &Config, open: watch::Receiver<bool>) -> Result<Self, ProbeError> {
        tls::install_provider();
        let failed = |words: String| ProbeError::Failed(words);
        let client = Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT).build();
        let client = client.map_err(|error| failed(error.to_string()))?;
        let mut services = Vec::new();
        for (service, endpoint) in config.services.endpoints() {
            let resolved = ResolvedEndpoint::resolve(endpoint);
            services.push((service, resolved.map_err(|error| failed(error.to_string()))?));
        }
        Ok(Self {
            client,
            services,
            max_requests: config.security.max_requests,
            sent: AtomicU64::new(0),
            pace: tokio::sync::Mutex::new(Instant::now()),
            between: Duration::from_secs(1) / config.security.requests_per_second.max(1),
            open,
        })
    }

    /// The services that can be asked.
    pub fn services(&self) -> impl Iterator<Item = ServiceKind> + '_ {
        self.services.iter().map(|(service, _)| *service)
    }

    /// Requests sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether a service is spoken to over TLS.
    pub fn is_tls(&self, service: ServiceKind) -> bool {
        self.services.iter().any(|(of, endpoint)| *of == service && endpoint.tls)
    }

    /// Asks, at the audit's pace.
    ///
    /// # Errors
    /// When there is no answer, or the budget is used up.
    pub async fn ask(&self, question: &Question) -> Result<Answer, ProbeError> {
        let due = {
            let mut next = self.pace.lock().await;
            let due = (*next).max(Instant::now());
            *next = due + self.between;
            due
        };
        sleep_until(due).await;
        self.ask_at_once(question).await
    }

    /// Asks without waiting for the pace, for the test of rate limits.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_at_once(&self, question: &Question) -> Result<Answer, ProbeError> {
        let mut open = self.open.clone();
        // An orchestrator that is gone ends the phase otherwise.
        let _ = open.wait_for(|open| *open).await;
        if self.sent.fetch_add(1, Ordering::Relaxed) >= self.max_requests {
            return Err(ProbeError::Budget);
        }
        let endpoint = self.services.iter().find(|(service, _)| *service == question.service);
        let (_, endpoint) = endpoint
            .ok_or_else(|| ProbeError::Failed(format!("{} is not configured", question.service)))?;
        let operation = &question.operation;
        let url = format!("{}{}", endpoint.origin(), endpoint.path(&operation.path));
        let method = operation.method.parse().unwrap_or(Method::GET);
        let mut headers = if question.credentials {
            endpoint.headers.clone()
        } else {
            let plain = endpoint.headers.iter().filter(|(_, value)| !value.is_sensitive());
            plain.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        for (name, value) in &question.headers {
            headers.insert(name.clone(), value.clone());
        }
        let mut request = self.client.request(method, url).headers(headers);
        if let Some(body) = &operation.body {
            request = request.json::<Value>(body);
        }
        let response = request.send().await;
        let mut response =
            response.map_err(|error| ProbeError::Failed(error.without_url().to_string()))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while body.len() < MAX_BODY_BYTES {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(MAX_BODY_BYTES);
        Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}
