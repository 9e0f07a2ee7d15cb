//! What external tools say, line by line: k6's JSON output and the lines of our locustfile.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::config::LoadEngine;
use crate::config::metric::{Metric, Selector};
use crate::run::event::{
    ErrorKind, IntervalReport, Iterations, Measurements, SeriesInterval, SeriesKey,
};

/// What was said since the last interval.
#[derive(Default)]
pub struct Said {
    /// What is played, by scenario and step: nothing else is counted.
    known: BTreeMap<String, BTreeMap<String, SeriesKey>>,
    series: BTreeMap<SeriesKey, Measurements>,
    iterations: BTreeMap<String, Iterations>,
    users: BTreeMap<String, u32>,
    heard: bool,
}

/// Why nothing that a tool says is what a selector asks for; none where something is.
pub fn unsaid(engine: LoadEngine, selector: &Selector) -> Option<String> {
    let is_k6 = engine == LoadEngine::K6;
    let is_said = match selector.metric {
        Metric::ResponseTime
        | Metric::HttpReqDuration
        | Metric::HttpReqFailed
        | Metric::HttpReqs
        | Metric::Iterations
        | Metric::DroppedIterations => true,
        Metric::IterationDuration => is_k6,
        Metric::DataReceived => !is_k6,
        // k6 counts users of all scenarios together.
        Metric::Vus => !is_k6 || selector.tags.is_empty(),
        Metric::Lateness
        | Metric::TimeToFirstToken
        | Metric::InterTokenGap
        | Metric::TimePerOutputToken
        | Metric::Checks
        | Metric::Tokens => false,
    };
    (!is_said).then(|| format!("{} does not say it", engine.name()))
}

/// A line of `k6 run --out json`.
#[derive(Deserialize)]
struct K6Line {
    metric: String,
    #[serde(rename = "type")]
    kind: String,
    data: K6Data,
}

#[derive(Deserialize)]
struct K6Data {
    #[serde(default)]
    value: f64,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// A line of the locustfile: a request, a flow, or how many users there are.
#[derive(Deserialize)]
#[serde(untagged)]
enum LocustLine {
    Request { scenario: String, step: String, ms: f64, bytes: u64, status: u16, error: String },
    Flow { flow: String },
    Users { users: BTreeMap<String, u32> },
}

impl Said {
    /// Nothing yet, of these series.
    pub fn new(series: &[SeriesKey]) -> Self {
        let mut said = Self::default();
        for key in series {
            let steps = said.known.entry(key.scenario.clone()).or_default();
            steps.insert(key.step.clone(), key.clone());
        }
        said
    }

    /// Takes a line of k6 in; lines of other kinds are passed over.
    pub fn k6(&mut self, line: &str) {
        let Ok(line) = serde_json::from_str::<K6Line>(line) else { return };
        if line.kind != "Point" {
            return;
        }
        let tag = |name: &str| line.data.tags.get(name).map_or("", String::as_str);
        let scenario = tag("scenario").to_owned();
        let iterations = |this: &mut Self, change: &dyn Fn(&mut Iterations)| {
            if this.known.contains_key(&scenario) {
                change(this.iterations.entry(scenario.clone()).or_default());
                this.heard = true;
            }
        };
        match line.metric.as_str() {
            "http_req_duration" => {
                let status = tag("status").parse().unwrap_or(0);
                let error = k6_error(status, tag("error_code"));
                self.request(&scenario, tag("name"), line.data.value, error, 0);
            }
            "iterations" => iterations(self, &|i| add(&mut i.finished, line.data.value as u64)),
            "dropped_iterations" => {
                iterations(self, &|i| add(&mut i.dropped, line.data.value as u64));
            }
            "iteration_duration" => {
                iterations(self, &|i| i.duration.record_us((line.data.value * 1e3) as u64, 1));
            }
            // k6 counts users of all scenarios together.
            "vus" => {
                self.users.insert("all".into(), line.data.value as u32);
            }
            _ => {}
        }
    }

    /// Takes a line of Locust in; lines of other kinds are passed over.
    pub fn locust(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(LocustLine::Request { scenario, step, ms, bytes, status, error }) => {
                let error = locust_error(status, &error);
                self.request(&scenario, &step, ms, error, bytes);
            }
            Ok(LocustLine::Flow { flow }) if self.known.contains_key(&flow) => {
                self.iterations.entry(flow).or_default().finished += 1;
            }
            Ok(LocustLine::Users { users }) => self.users = users,
            Ok(LocustLine::Flow { .. }) | Err(_) => {}
        }
    }

    fn request(
        &mut self,
        scenario: &str,
        step: &str,
        ms: f64,
        error: Option<ErrorKind>,
        bytes: u64,
    ) {
        let Some(key) = self.known.get(scenario).and_then(|steps| steps.get(step)) else { return };
        let measured = self.series.entry(key.clone()).or_default();
        let micros = Duration::from_secs_f64(ms.clamp(0.0, 3.6e6) / 1e3).as_micros() as u64;
        // These tools measure from the send; when a request should have begun they do not say.
        measured.response.record_us(micros, 1);
        measured.service_time.record_us(micros, 1);
        add(&mut measured.bytes, bytes);
        if let Some(kind) = error {
            *measured.errors.entry(kind).or_default() += 1;
        }
        self.heard = true;
    }

    /// The interval that ends now; none when nothing was said.
    pub fn take(&mut self, length: Duration) -> Option<IntervalReport> {
        if !std::mem::take(&mut self.heard) {
            return None;
        }
        let series = std::mem::take(&mut self.series).into_iter();
        Some(IntervalReport {
            length_us: length.as_micros() as u64,
            users: self.users.clone(),
            series: series.map(|(key, measured)| SeriesInterval { key, measured }).collect(),
            iterations: std::mem::take(&mut self.iterations),
            generator: Default::default(),
        })
    }
}

/// Figures are what the tool says: absurd ones end at the largest number.
const fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

const fn of_status(status: u16) -> Option<ErrorKind> {
    match status {
        200..=299 => None,
        500..=599 => Some(ErrorKind::ServerStatus),
        _ => Some(ErrorKind::ClientStatus),
    }
}

/// k6's error codes: 1050 timeout, 11xx DNS, 12xx TCP, 13xx TLS, 16xx HTTP/2.
fn k6_error(status: u16, code: &str) -> Option<ErrorKind> {
    if status > 0 {
        return of_status(status);
    }
    Some(match code.get(..2) {
        _ if code == "1050" => ErrorKind::Timeout,
        Some("11") => ErrorKind::Dns,
        Some("12") => ErrorKind::Connect,
        Some("13") => ErrorKind::Tls,
        _ => ErrorKind::Protocol,
    })
}

/// By the name of requests' exception.
fn locust_error(status: u16, error: &str) -> Option<ErrorKind> {
    if status > 0 {
        return of_status(status);
    }
    Some(match error {
        "ConnectTimeout" | "ReadTimeout" | "Timeout" => ErrorKind::Timeout,
        "SSLError" => ErrorKind::Tls,
        "ConnectionError" | "ConnectionRefusedError" => ErrorKind::Connect,
        _ => ErrorKind::Protocol,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceKind;

    /// Longer than anything that is cut for a screen.
    const LONG: &str =
        "GET /a/path/that/is/so/long/that/its/name/would/not/fit/in/eighty/characters/of/a/row";

    fn said() -> Said {
        let key = |step: &str| SeriesKey {
            service: ServiceKind::Chat,
            scenario: "chat".into(),
            step: step.into(),
        };
        Said::new(&["completion", "q", "query", LONG].map(key))
    }

    #[test]
    fn a_step_is_counted_under_its_whole_name_and_what_is_not_played_not_at_all() {
        let mut said = said();
        for step in [LONG, &LONG[..80], "somebody else's"] {
            said.locust(&format!(
                r#"{{"scenario":"chat","step":"{step}","ms":1,"bytes":0,"status":200,"error":""}}"#
            ));
        }
        let report = said.take(Duration::from_secs(1)).expect("something");
        let steps: Vec<&str> = report.series.iter().map(|one| one.key.step.as_str()).collect();
        assert_eq!(steps, [LONG]);
    }

    #[test]
    fn lines_of_k6_become_series() {
        let mut said = said();
        for line in [
            r#"{"type":"Metric","data":{"name":"http_reqs","type":"counter"},"metric":"http_reqs"}"#,
            r#"{"metric":"http_req_duration","type":"Point","data":{"time":"2026-01-01T00:00:00Z","value":459.86,"tags":{"scenario":"chat","name":"completion","status":"200"}}}"#,
            r#"{"metric":"http_req_duration","type":"Point","data":{"value":0,"tags":{"scenario":"chat","name":"completion","status":"0","error_code":"1212"}}}"#,
            r#"{"metric":"http_req_duration","type":"Point","data":{"value":3,"tags":{"scenario":"chat","name":"completion","status":"503"}}}"#,
            r#"{"metric":"dropped_iterations","type":"Point","data":{"value":2,"tags":{"scenario":"chat"}}}"#,
            r#"{"metric":"vus","type":"Point","data":{"value":7}}"#,
            "not json",
        ] {
            said.k6(line);
        }
        let report = said.take(Duration::from_secs(1)).expect("something");
        let measured = &report.series[0].measured;
        assert_eq!((measured.requests(), measured.failed()), (3, 2));
        assert_eq!(measured.errors, [(ErrorKind::Connect, 1), (ErrorKind::ServerStatus, 1)].into());
        let longest = measured.response.max().expect("requests");
        assert!(longest >= Duration::from_millis(459) && longest < Duration::from_millis(461));
        assert_eq!((report.iterations["chat"].dropped, report.users["all"]), (2, 7));
        assert!(said.take(Duration::from_secs(1)).is_none());
    }

    #[test]
    fn absurd_figures_end_at_the_largest_number() {
        let mut said = said();
        let request = format!(
            r#"{{"scenario":"chat","step":"q","ms":1e300,"bytes":{},"status":200,"error":""}}"#,
            u64::MAX
        );
        let iterations = r#"{"metric":"iterations","type":"Point","data":{"value":1e30,"tags":{"scenario":"chat"}}}"#;
        for _ in 0..2 {
            said.locust(&request);
            said.k6(iterations);
        }
        let report = said.take(Duration::from_secs(1)).expect("something");
        assert_eq!(report.series[0].measured.bytes, u64::MAX);
        assert_eq!(report.iterations["chat"].finished, u64::MAX);
    }

    #[test]
    fn lines_of_locust_become_series() {
        let mut said = said();
        for line in [
            r#"{"scenario": "chat", "step": "query", "ms": 12.5, "bytes": 10, "status": 200, "error": ""}"#,
            r#"{"scenario": "chat", "step": "query", "ms": 5000, "bytes": 0, "status": 0, "error": "ReadTimeout"}"#,
            r#"{"scenario": "other", "step": "query", "ms": 1, "bytes": 0, "status": 200, "error": ""}"#,
            r#"{"flow": "chat"}"#,
            r#"{"users": {"chat": 4}}"#,
            "[2026-01-01] locust/INFO: hello",
        ] {
            said.locust(line);
        }
        let report = said.take(Duration::from_secs(1)).expect("something");
        assert_eq!((report.series.len(), report.users["chat"]), (1, 4));
        let measured = &report.series[0].measured;
        assert_eq!((measured.requests(), measured.bytes), (2, 10));
        assert_eq!(measured.errors, [(ErrorKind::Timeout, 1)].into());
        assert_eq!(report.iterations["chat"].finished, 1);
    }
}
