//! How a practice service calls another one: with a short timeout, and a breaker that stops calling
//! for a while after failures in a row, as a well-built platform would.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

const TIMEOUT: Duration = Duration::from_millis(1200);
/// Failures in a row that open the breaker.
const OPENS_AFTER: u32 = 3;
/// How long it stays open before one call may try again.
const OPEN_FOR: Duration = Duration::from_secs(2);

/// Another service.
#[derive(Clone)]
pub struct Peer {
    client: reqwest::Client,
    url: String,
    breaker: Arc<Mutex<Breaker>>,
}

#[derive(Default)]
struct Breaker {
    failures: u32,
    closed_until: Option<Instant>,
}

impl Peer {
    /// The service behind this base URL.
    pub fn new(url: String) -> Option<Self> {
        // Fails only when a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Plain HTTP to a neighbour, which must not need the machine's authorities.
        let client = reqwest::Client::builder().tls_certs_only([]).timeout(TIMEOUT).build().ok()?;
        Some(Self { client, url, breaker: Arc::default() })
    }

    /// Posts a JSON body; none when the peer does not answer well or is not asked at all.
    pub async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        if self.breaker().closed_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let answer = async {
            let sent = self.client.post(format!("{}{path}", self.url)).json(body).send().await;
            sent.ok()?.error_for_status().ok()?.json().await.ok()
        };
        let answer: Option<Value> = answer.await;
        let mut breaker = self.breaker();
        if answer.is_some() {
            *breaker = Breaker::default();
        } else {
            breaker.failures += 1;
            if breaker.failures >= OPENS_AFTER {
                breaker.closed_until = Some(Instant::now() + OPEN_FOR);
            }
        }
        answer
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
