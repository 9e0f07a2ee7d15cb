//! The audit's HTTP client: only configured services, within a budget and a rate, bounded answers,
//! nothing followed, and held at any moment by a pause. Paths go over the wire exactly as they are,
//! which ordinary clients prevent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::Answer;
use super::homes::Homes;
use super::looked::Looked;
use super::request::{Identity, Request};
use crate::config::{Config, HttpVersion, ServiceKind};
use crate::platform::connection::Connection;
use crate::platform::connector::Connector;
use crate::platform::endpoint::ResolvedEndpoint;
use crate::platform::tls;

/// More of an answer is not read.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// From the send to the last byte, and before that for a connection.
const TIMEOUT: Duration = Duration::from_secs(10);
/// From the beginning of a connection to the last byte, at most.
pub const LONGEST: Duration = Duration::from_secs(2 * TIMEOUT.as_secs() + 1);
/// How often something is asked that is out of order.
const TRIES: usize = 3;
/// How often a removal is tried again that is refused for its rate, and the longest wait before that.
const MAX_RETRIES: u32 = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Connections kept for the next request, per service.
const MAX_IDLE: usize = 4;

/// Why an answer could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The audit has sent as many requests as it may.
    #[error("the audit's budget of requests is used up (security.max_requests)")]
    Budget,
    /// The service is not configured, or cannot be spoken to.
    #[error("{0}")]
    Failed(String),
}

/// Sends the audit's requests.
pub struct Prober {
    doors: Vec<Door>,
    homes: Homes,
    looked: Looked,
    max_requests: u64,
    sent: AtomicU64,
    refused: AtomicU64,
    pace: Mutex<Instant>,
    between: Duration,
    open: watch::Receiver<bool>,
    in_flight: watch::Sender<usize>,
}

/// The way to one service.
struct Door {
    service: ServiceKind,
    connector: Connector,
    second: Option<HeaderMap>,
    idle: Mutex<Vec<Connection>>,
}

impl Prober {
    /// A prober of the configured services; it waits while `open` is false.
    ///
    /// # Errors
    /// When an endpoint cannot be used.
    pub fn new(config: &Config, open: watch::Receiver<bool>) -> Result<Self, ProbeError> {
        tls::install_provider();
        let failed = |error: String| ProbeError::Failed(error);
        let mut doors = Vec::new();
        for (service, endpoint) in config.services.endpoints() {
            let mut first =
                ResolvedEndpoint::resolve(endpoint).map_err(|error| failed(error.to_string()))?;
            // Where both are spoken, the audit asks in the one that carries its requests unchanged.
            if first.connection.http == HttpVersion::Auto {
                first.connection.http = HttpVersion::Http1;
            }
            let second = match config.security.second_user.get(&service) {
                None => None,
                Some(auth) => {
                    let other =
                        crate::config::Endpoint { auth: Some(auth.clone()), ..endpoint.clone() };
                    let other = ResolvedEndpoint::resolve(&other);
                    Some(other.map_err(|error| failed(error.to_string()))?.headers)
                }
            };
            let connector = Connector::new(Arc::new(first));
            let connector = connector.map_err(|error| failed(error.to_string()))?;
            doors.push(Door { service, connector, second, idle: Mutex::default() });
        }
        let home = |door: &Door| {
            let first = doors.iter().find(|other| other.is_the_way_of(door));
            (door.service, first.map_or(door.service, |first| first.service))
        };
        let homes = doors.iter().map(home).collect();
        Ok(Self {
            doors,
            homes,
            looked: Looked::default(),
            max_requests: config.security.max_requests,
            sent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            pace: Mutex::new(Instant::now()),
            between: Duration::from_secs(1) / config.security.requests_per_second.max(1),
            open,
            in_flight: watch::channel(0).0,
        })
    }

    /// The services that can be asked.
    pub fn services(&self) -> impl Iterator<Item = ServiceKind> + '_ {
        self.doors.iter().map(|door| door.service)
    }

    /// Which services are reached in the same way as which.
    pub const fn homes(&self) -> &Homes {
        &self.homes
    }

    /// Where was looked so far.
    pub const fn looked(&self) -> &Looked {
        &self.looked
    }

    /// Requests sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Answers so far that refused a request for its rate (429).
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> watch::Receiver<usize> {
        self.in_flight.subscribe()
    }

    /// Whether a service is spoken to over TLS.
    pub fn is_tls(&self, service: ServiceKind) -> bool {
        self.endpoint(service).is_some_and(|endpoint| endpoint.tls)
    }

    /// Scheme, host and port of a service as a browser names its origin: no port where it is the
    /// scheme's own.
    pub fn web_origin(&self, service: ServiceKind) -> Option<String> {
        let endpoint = self.endpoint(service)?;
        let scheme = if endpoint.tls { "https" } else { "http" };
        Some(format!("{scheme}://{}", endpoint.authority()))
    }

    /// Path prefix of a service.
    pub fn prefix(&self, service: ServiceKind) -> &str {
        self.endpoint(service).map_or("", |endpoint| endpoint.prefix.as_str())
    }

    /// The credentials of a service: header and value.
    pub fn credentials(&self, service: ServiceKind) -> Option<(HeaderName, String)> {
        let headers = &self.endpoint(service)?.headers;
        let mut secret = headers.iter().filter(|(_, value)| value.is_sensitive());
        secret
            .next()
            .and_then(|(name, value)| Some((name.clone(), value.to_str().ok()?.to_owned())))
    }

    /// Whether there is a second user of a service.
    pub fn has_second_user(&self, service: ServiceKind) -> bool {
        self.door(service).is_some_and(|door| door.second.is_some())
    }

    /// Asks, at the audit's pace.
    ///
    /// # Errors
    /// When there is no answer, or the budget is used up.
    pub async fn ask(&self, request: &Request) -> Result<Answer, ProbeError> {
        self.turn().await;
        self.ask_at_once(request).await
    }

    /// Asks; what changes nothing is asked again, and once more, while the service is out of order (429, 5xx).
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_in_order(&self, request: &Request) -> Result<Answer, ProbeError> {
        let mut answer = self.ask(request).await?;
        for _ in 1..TRIES {
            if !answer.is_out_of_order() || !request.is_safe() {
                break;
            }
            answer = self.ask(request).await?;
        }
        Ok(answer)
    }

    /// Waits for the next turn at the audit's pace.
    async fn turn(&self) {
        let due = {
            let mut next = self.pace.lock().await;
            let due = (*next).max(Instant::now());
            *next = due + self.between;
            due
        };
        sleep_until(due).await;
    }

    /// Asks without waiting for the pace, for the test of rate limits.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_at_once(&self, request: &Request) -> Result<Answer, ProbeError> {
        let mut open = self.open.clone();
        // An orchestrator that is gone ends the phase otherwise.
        let _ = open.wait_for(|open| *open).await;
        if self.sent.fetch_add(1, Ordering::Relaxed) >= self.max_requests {
            self.sent.fetch_sub(1, Ordering::Relaxed);
            return Err(ProbeError::Budget);
        }
        self.send(request).await
    }

    /// Asks although the budget is used up or the audit is held: to remove what was written. Waits where
    /// the service says that it is asked too often.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask_for_removal(&self, request: &Request) -> Result<Answer, ProbeError> {
        let mut tries = 0;
        loop {
            self.turn().await;
            self.sent.fetch_add(1, Ordering::Relaxed);
            let answer = self.send(request).await?;
            if answer.status != 429 || tries == MAX_RETRIES {
                return Ok(answer);
            }
            tries += 1;
            let seconds = answer.header("retry-after").trim().parse().unwrap_or(1);
            sleep_until(Instant::now() + Duration::from_secs(seconds).min(LONGEST_WAIT)).await;
        }
    }

    async fn send(&self, request: &Request) -> Result<Answer, ProbeError> {
        let service = request.service;
        let door = self.door(service);
        let door =
            door.ok_or_else(|| ProbeError::Failed(format!("{service} is not configured")))?;
        let wire = door.wire(request)?;
        self.looked.asked(&request.place());
        let _flight = Flight::begin(&self.in_flight);
        let mut connection = door.connection().await?;
        let began = Instant::now();
        let failed = |why: String| {
            ProbeError::Failed(crate::platform::text::excerpt(&format!("{service}: {why}")))
        };
        let exchange = async {
            let response =
                connection.send(wire).await.map_err(|error| failed(error.to_string()))?;
            let (head, body) = response.into_parts();
            let (bytes, whole) = read(body, began).await;
            let body = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
                whole,
                latency: began.elapsed(),
                landed: None,
            })
        };
        let answer: Answer = timeout(TIMEOUT + Duration::from_secs(1), exchange)
            .await
            .map_err(|_| failed("no answer within 10 s".into()))??;
        if answer.whole {
            door.keep(connection).await;
        }
        self.refused.fetch_add(u64::from(answer.status == 429), Ordering::Relaxed);
        Ok(answer)
    }

    fn door(&self, service: ServiceKind) -> Option<&Door> {
        self.doors.iter().find(|door| door.service == service)
    }

    fn endpoint(&self, service: ServiceKind) -> Option<&ResolvedEndpoint> {
        self.door(service).map(|door| door.connector.endpoint())
    }
}

/// Counts a request that is under way, however it ends.
struct Flight<'a>(&'a watch::Sender<usize>);

impl<'a> Flight<'a> {
    fn begin(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Door {
    /// Whether both lead to the same place in the same way.
    fn is_the_way_of(&self, other: &Self) -> bool {
        let (one, two) = (self.connector.endpoint(), other.connector.endpoint());
        (one.tls, one.authority(), &one.prefix) == (two.tls, two.authority(), &two.prefix)
            && (&one.headers, &one.trust, &one.connection.proxy)
                == (&two.headers, &two.trust, &two.connection.proxy)
    }

    /// An idle connection, or a new one.
    async fn connection(&self) -> Result<Connection, ProbeError> {
        loop {
            let idle = self.idle.lock().await.pop();
            let Some(mut idle) = idle else { break };
            if idle.is_usable().await {
                return Ok(idle);
            }
        }
        let failed = |why: String| ProbeError::Failed(format!("{}: {why}", self.service));
        let connected = timeout(TIMEOUT, self.connector.connect_shared()).await;
        connected
            .map_err(|_| failed("no connection within 10 s".into()))?
            .map_err(|error| failed(error.to_string()))
    }

    async fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().await;
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    fn wire(&self, request: &Request) -> Result<hyper::Request<Full<Bytes>>, ProbeError> {
        let endpoint = self.connector.endpoint();
        let plain = || -> HeaderMap {
            let open = endpoint.headers.iter().filter(|(_, value)| !value.is_sensitive());
            open.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let mut headers = match (request.identity, &self.second) {
            (Identity::First, _) => endpoint.headers.clone(),
            (Identity::Second, Some(second)) => second.clone(),
            (Identity::Second | Identity::Nobody, _) => plain(),
        };
        let put = |headers: &mut HeaderMap, name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(name, value);
            }
        };
        put(&mut headers, HOST, &endpoint.authority());
        put(&mut headers, USER_AGENT, "shakedown-audit");
        let encoded = request.encoded();
        if let Some(kind) = &encoded.content_type {
            put(&mut headers, CONTENT_TYPE, kind);
        }
        if let Some(cookie) = request.cookie() {
            put(&mut headers, COOKIE, &cookie);
        }
        for (name, value) in &request.headers {
            if let Ok(name) = HeaderName::try_from(name.as_str()) {
                put(&mut headers, name, value);
            }
        }
        let target = endpoint.path(&request.wire_target());
        let built = hyper::Request::builder().method(request.method.clone()).uri(&target);
        let mut wire = built
            .body(Full::new(Bytes::from(encoded.bytes)))
            .map_err(|_| ProbeError::Failed(format!("`{target}` is no path")))?;
        *wire.headers_mut() = headers;
        Ok(wire)
    }
}

/// The beginning of a body, and whether it was all of it. An endless one ends here.
async fn read(mut body: Incoming, began: Instant) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout_at(began + TIMEOUT, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    let room = MAX_BODY_BYTES - bytes.len();
                    bytes.extend_from_slice(&data[..data.len().min(room)]);
                    if bytes.len() == MAX_BODY_BYTES {
                        return (bytes, false);
                    }
                }
            }
            Ok(None) => return (bytes, true),
            Ok(Some(Err(_))) | Err(_) => return (bytes, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn services_behind_one_gateway_are_asked_as_one_unless_somebody_else_asks() {
        let of = |path: &str, key: &str| {
            let base_url = format!("http://127.0.0.1:9{path}");
            json!({ "base_url": base_url, "headers": { "x-key": key } })
        };
        let homes = |rag: serde_json::Value, mcp: serde_json::Value| -> Vec<ServiceKind> {
            let config = json!({
                "target": { "name": "gateway", "environment": "development" },
                "services": {
                    "chat": { "endpoint": of("", "a"), "model": "m" },
                    "rag": { "endpoint": rag, "query": { "path": "/query" } },
                    "mcp": { "endpoint": mcp },
                },
            });
            let config = serde_json::from_value(config).expect("a configuration");
            let prober = Prober::new(&config, watch::channel(true).1).expect("a prober");
            prober.homes().all().collect()
        };
        let [chat, rag, mcp] = ServiceKind::ALL;
        assert_eq!(homes(of("", "a"), of("/", "a")), [chat]);
        assert_eq!(homes(of("", "b"), of("/mcp", "a")), [chat, rag, mcp]);
    }
}
