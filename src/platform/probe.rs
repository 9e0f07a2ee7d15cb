//! The open-loop service probe: every service is asked at fixed times, however long it takes to
//! answer, and latency counts from the time at which it should have been asked. So a service that
//! hangs shows as one, and not as fewer questions.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::endpoint::ResolvedEndpoint;
use super::health::{HealthError, service_client};
use super::text::excerpt;
use crate::config::{Probe, ServiceKind, Services};

/// Questions per second of each probe, unless other ones are wanted.
const RATE: u32 = 5;
/// A service that takes longer hangs.
pub const HANGS_AFTER: Duration = Duration::from_secs(3);
/// More of an answer is not read.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// Name of the probe that asks for health.
pub const HEALTH: &str = "health";

/// How a probe was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Well.
    Well,
    /// Well, but without a peer.
    Degraded,
    /// Not, or with a failure; in words, cleaned.
    Failed(String),
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The service.
    pub service: ServiceKind,
    /// [`HEALTH`], or what was asked.
    pub probe: Arc<str>,
    /// When it should have been asked.
    pub due: Instant,
    /// From then to the answer, or to the failure.
    pub latency: Duration,
    /// How it was answered.
    pub answered: Answered,
}

/// Questions that are not answered yet, by when they should have been asked. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct OpenQuestions(Arc<Mutex<Vec<Instant>>>);

impl OpenQuestions {
    /// Whether one of them should have been asked before a moment.
    pub fn any_before(&self, moment: Instant) -> bool {
        self.with(|open| open.iter().any(|due| *due < moment))
    }

    /// A question that is open for as long as the returned value lives.
    pub fn ask(&self, due: Instant) -> OpenQuestion {
        self.with(|open| open.push(due));
        OpenQuestion { among: self.clone(), due }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Vec<Instant>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One of them.
#[derive(Debug)]
pub struct OpenQuestion {
    among: OpenQuestions,
    due: Instant,
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        self.among.with(|open| {
            if let Some(at) = open.iter().position(|due| *due == self.due) {
                open.swap_remove(at);
            }
        });
    }
}

/// Every probe of a platform.
#[derive(Clone)]
pub struct ServiceProbes {
    questions: Vec<Arc<Question>>,
    rate: u32,
    open: OpenQuestions,
}

struct Question {
    service: ServiceKind,
    client: Client,
    probe: Arc<str>,
    method: Method,
    url: String,
    endpoint: ResolvedEndpoint,
    body: Option<Value>,
    degraded: Option<String>,
}

impl ServiceProbes {
    /// Probes of the health of every configured service, and of what is configured besides. Every
    /// question gets a connection of its own, so that a fresh client's view is measured.
    ///
    /// # Errors
    /// When an endpoint cannot be used.
    pub fn new<'a>(
        services: &Services,
        probes: impl IntoIterator<Item = (&'a ServiceKind, &'a Probe)> + Clone,
    ) -> Result<Self, HealthError> {
        let mut questions = Vec::new();
        for (service, endpoint) in services.endpoints() {
            let resolved = ResolvedEndpoint::resolve(endpoint)
                .map_err(|source| HealthError::Endpoint { service, source })?;
            let client = service_client(service, &resolved, |builder| {
                builder.timeout(HANGS_AFTER).pool_max_idle_per_host(0)
            })?;
            let url = |path: &str| format!("{}{}", resolved.origin(), resolved.path(path));
            questions.push(Arc::new(Question {
                service,
                client: client.clone(),
                probe: HEALTH.into(),
                method: Method::GET,
                url: url(&endpoint.health),
                endpoint: resolved.clone(),
                body: None,
                degraded: None,
            }));
            for (_, probe) in probes.clone().into_iter().filter(|(of, _)| **of == service) {
                questions.push(Arc::new(Question {
                    service,
                    client: client.clone(),
                    probe: probe.request.path.as_str().into(),
                    method: probe.request.method.parse().unwrap_or(Method::GET),
                    url: url(&probe.request.path),
                    endpoint: resolved.clone(),
                    body: probe.request.body.clone(),
                    degraded: probe.degraded.clone(),
                }));
            }
        }
        Ok(Self { questions, rate: RATE, open: OpenQuestions::default() })
    }

    /// What is asked and not answered yet, in whatever copy of these probes.
    pub fn open(&self) -> OpenQuestions {
        self.open.clone()
    }

    /// The same probes, asked so many times a second each.
    pub fn at_rate(self, rate: u32) -> Self {
        Self { rate: rate.max(1), ..self }
    }

    /// Asks until nobody receives any more. Dropped before, it gives up what is in flight.
    pub async fn run(self, samples: mpsc::Sender<Sample>) {
        let mut asking = JoinSet::new();
        let every = Duration::from_secs(1) / self.rate;
        // Spread over the interval, so that a service is not asked everything at once.
        for (at, question) in self.questions.iter().enumerate() {
            let offset = every * at as u32 / self.questions.len().max(1) as u32;
            let (question, samples) = (Arc::clone(question), samples.clone());
            let unanswered = self.open.clone();
            asking.spawn(async move {
                let mut ticks = interval_at(Instant::now() + offset, every);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
                // Given up together with whoever asks.
                let mut open = JoinSet::new();
                loop {
                    let due = ticks.tick().await;
                    if samples.is_closed() {
                        return;
                    }
                    let (question, samples) = (Arc::clone(&question), samples.clone());
                    while open.try_join_next().is_some() {}
                    let asked = unanswered.ask(due);
                    open.spawn(async move {
                        let answered = question.ask().await;
                        let sample = Sample {
                            service: question.service,
                            probe: Arc::clone(&question.probe),
                            due,
                            latency: due.elapsed(),
                            answered,
                        };
                        // Nobody listens any more: the phase is over.
                        let _ = samples.send(sample).await;
                        drop(asked);
                    });
                }
            });
        }
        drop(samples);
        while asking.join_next().await.is_some() {}
    }
}

impl Question {
    async fn ask(&self) -> Answered {
        let mut request = self
            .client
            .request(self.method.clone(), &self.url)
            .headers(self.endpoint.headers.clone());
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return failed(&error),
        };
        if !response.status().is_success() {
            return Answered::Failed(format!("status {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER_BYTES => {
                    body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => return Answered::Failed("the answer is too long".into()),
                Ok(None) => break,
                Err(error) => return failed(&error),
            }
        }
        let Some(pointer) = &self.degraded else { return Answered::Well };
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        match body.pointer(pointer).and_then(Value::as_bool) {
            Some(true) => Answered::Degraded,
            _ => Answered::Well,
        }
    }
}

fn failed(error: &reqwest::Error) -> Answered {
    Answered::Failed(excerpt(&super::health::describe(error, HANGS_AFTER)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_in_flight_is_given_up_with_whoever_asks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let services =
            format!("chat: {{ endpoint: {{ base_url: 'http://{address}' }}, model: m }}");
        let services: Services = serde_yaml::from_str(&services).expect("services");
        let none = BTreeMap::<ServiceKind, Probe>::new();
        let probes = ServiceProbes::new(&services, &none).expect("usable");
        let (sender, _samples) = mpsc::channel(8);
        let asking = tokio::spawn(probes.run(sender));
        let (mut asked, _) = listener.accept().await.expect("asked");
        asking.abort();
        // Nobody answers: a question that goes on keeps its connection until it is said to hang.
        let end = timeout(HANGS_AFTER / 2, asked.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "it is still waited for");
    }
}
