//! The generator in virtual time, against servers in memory whose behaviour is known exactly.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::budget::Budget;
use super::course::Course;
use super::documents::Documents;
use super::exchange::Dial;
use super::generator::{self, FromThread, ThreadParts};
use super::user::{Common, Gate};
use crate::config::{Config, LoadOptions, PhaseKind, parse};
use crate::platform::connection::{ConnectError, Connection};
use crate::platform::endpoint::ResolvedEndpoint;
use crate::run::event::{ErrorKind, Measurements};
use crate::run::histogram::Histogram;

/// Ten users who ask, wait for the answer, and think for exactly 100 ms.
const PLATFORM: &str = r#"
target: { name: memory, environment: sandbox }
services:
  rag:
    endpoint: { base_url: "http://memory", timeout: 5s }
    query: { path: /query, body: { q: "{question}" } }
workloads:
  mixed:
    users: 10
    think_time: { min: 100ms, max: 100ms }
    scenarios:
      - name: rag
        service: rag
        flows: [{ name: ask, steps: [{ query: { question: why } }] }]
"#;

/// A server that takes exactly this long, answers nothing while it is frozen, and then that.
#[derive(Clone, Copy)]
struct Behaviour {
    takes: Duration,
    frozen: Option<(Instant, Instant)>,
    status: StatusCode,
}

struct InMemory(Behaviour);

impl Dial for InMemory {
    fn dial(&self) -> Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + '_>> {
        let behaviour = self.0;
        Box::pin(async move {
            let (client, server) = tokio::io::duplex(64 * 1024);
            let answer = service_fn(move |_| async move {
                if let Some((from, until)) = behaviour.frozen
                    && (from..until).contains(&Instant::now())
                {
                    tokio::time::sleep_until(until).await;
                }
                tokio::time::sleep(behaviour.takes).await;
                let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
                *response.status_mut() = behaviour.status;
                Ok::<_, Infallible>(response)
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(server), answer);
            tokio::task::spawn_local(async move {
                // Ends with its client.
                let _ = serving.await;
            });
            Connection::over(client).await
        })
    }
}

struct Seen {
    measured: Measurements,
    lateness: Histogram,
}

/// Runs the generator for so many seconds against a server.
fn run(seconds: u64, behave: impl FnOnce() -> Behaviour) -> Seen {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let work = async {
        let config: Config =
            parse("platform", PLATFORM, &LoadOptions::default()).expect("valid").config;
        let course = Course::new(config.workloads.of(PhaseKind::Mixed).expect("there"), &config);
        let endpoint = &config.services.rag.as_ref().expect("there").endpoint;
        let common = Common {
            endpoints: vec![Arc::new(ResolvedEndpoint::resolve(endpoint).expect("valid"))],
            course,
            config: Arc::new(config),
            budget: Budget::new(None, None, (0, 0)),
            exhausted: AtomicBool::new(false),
            documents: Documents::new("test", "mixed"),
            run_id: "test".into(),
        };
        let (gate, gate_seen) = watch::channel(Gate::Open);
        let (_targets, targets) = watch::channel(vec![10]);
        let (out, mut from_thread) = mpsc::channel(1000);
        let parts = ThreadParts {
            thread: 0,
            threads: 1,
            common: Arc::new(common),
            seed: 1,
            gate: gate_seen,
            targets,
            out,
        };
        let working = generator::run(parts, vec![Rc::new(InMemory(behave())) as Rc<dyn Dial>]);
        let ending = async {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            gate.send_replace(Gate::Draining);
        };
        tokio::join!(working, ending);
        let mut seen = Seen { measured: Measurements::default(), lateness: Histogram::default() };
        while let Some(message) = from_thread.recv().await {
            if let FromThread::Interval(interval) = message {
                seen.lateness.add(&interval.measured.lateness);
                interval.measured.series.iter().for_each(|s| seen.measured.add(&s.measured));
            }
        }
        seen
    };
    LocalSet::new().block_on(&runtime.expect("runtime"), work)
}

fn server(millis: u64) -> Behaviour {
    Behaviour { takes: Duration::from_millis(millis), frozen: None, status: StatusCode::OK }
}

/// Tokio's timers count whole milliseconds and fire on the next one.
fn is_about(measured: Option<Duration>, expected: Duration) -> bool {
    let measured = measured.unwrap_or_default();
    measured >= expected && measured <= expected + Duration::from_millis(3)
}

#[test]
fn a_server_that_takes_50_ms_is_measured_as_one_that_takes_50_ms() {
    let seen = run(60, || server(50));
    let expected = Duration::from_millis(50);
    for quantile in [0.01, 0.5, 0.99, 1.0] {
        assert!(is_about(seen.measured.response.quantile(quantile), expected));
        assert!(is_about(seen.measured.service_time.quantile(quantile), expected));
    }
    // Ten users, one request every 150 ms and a little each.
    let n = seen.measured.requests();
    assert!((3850..=4000).contains(&n), "{n} requests");
    assert_eq!(seen.measured.failed(), 0);
    assert!(seen.lateness.max() <= Some(Duration::from_millis(2)), "{:?}", seen.lateness.max());
}

#[test]
fn a_stall_of_the_server_is_seen_by_everybody_who_waited_and_blamed_on_nobody_else() {
    let seen = run(60, || {
        let freeze = Instant::now() + Duration::from_secs(20);
        Behaviour { frozen: Some((freeze, freeze + Duration::from_secs(2))), ..server(50) }
    });
    let slow = seen.measured.response.counts_between(&[1_000_000, u64::MAX]);
    assert_eq!(slow, [10], "each of ten users had one request in the stall");
    let longest = seen.measured.response.max().expect("requests");
    assert!(longest <= Duration::from_millis(2060) && longest >= Duration::from_millis(1900));
    assert!(seen.lateness.max() <= Some(Duration::from_millis(2)), "the generator was not late");
}

#[test]
fn timeouts_and_refusals_are_counted_with_the_time_that_they_took() {
    let seen = run(30, || server(60_000));
    assert_eq!(seen.measured.failed(), seen.measured.requests());
    assert_eq!(seen.measured.errors.keys().collect::<Vec<_>>(), [&ErrorKind::Timeout]);
    assert!(is_about(seen.measured.response.quantile(0.5), Duration::from_secs(5)));
    let refused = run(5, || Behaviour { status: StatusCode::FOUND, ..server(10) });
    assert_eq!(refused.measured.errors.keys().collect::<Vec<_>>(), [&ErrorKind::ClientStatus]);
    assert_eq!(refused.measured.failed(), refused.measured.requests());
}
