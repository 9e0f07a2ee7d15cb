//! `/metrics` of a practice service, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Upper bounds of the latency buckets, in seconds.
const BOUNDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Counters of one service.
#[derive(Debug)]
pub struct Metrics {
    service: &'static str,
    started: f64,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<(String, u16), u64>,
    buckets: [u64; BOUNDS.len()],
    sum: f64,
    count: u64,
}

impl Metrics {
    /// Counters at zero.
    pub fn new(service: &'static str) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { service, started: started.as_secs_f64(), counts: Mutex::default() }
    }

    /// Counts an answer of a route; `route` is a template of the router, so there are few of them.
    pub fn count(&self, route: &str, status: u16, latency: Duration) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.requests.entry((route.to_owned(), status)).or_default() += 1;
        let seconds = latency.as_secs_f64();
        for (bound, bucket) in BOUNDS.iter().zip(&mut counts.buckets) {
            *bucket += u64::from(seconds <= *bound);
        }
        counts.sum += seconds;
        counts.count += 1;
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> String {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let service = self.service;
        let mut text = String::from("# TYPE sandbox_requests_total counter\n");
        for ((route, status), n) in &counts.requests {
            let _ = writeln!(
                text,
                "sandbox_requests_total{{service=\"{service}\",route=\"{route}\",status=\"{status}\"}} {n}"
            );
        }
        text.push_str("# TYPE sandbox_request_seconds histogram\n");
        for (bound, n) in BOUNDS.iter().zip(&counts.buckets) {
            let _ = writeln!(
                text,
                "sandbox_request_seconds_bucket{{service=\"{service}\",le=\"{bound}\"}} {n}"
            );
        }
        let (sum, count) = (counts.sum, counts.count);
        let _ = write!(
            text,
            "sandbox_request_seconds_bucket{{service=\"{service}\",le=\"+Inf\"}} {count}\n\
             sandbox_request_seconds_sum{{service=\"{service}\"}} {sum}\n\
             sandbox_request_seconds_count{{service=\"{service}\"}} {count}\n\
             # TYPE process_start_time_seconds gauge\n\
             process_start_time_seconds{{service=\"{service}\"}} {}\n",
            self.started
        );
        text
    }
}
