//! Events of the load phases.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::ServiceKind;
use crate::run::histogram::Histogram;

/// Something that happened in a load phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "load", rename_all = "snake_case")]
pub enum LoadEvent {
    /// The generator is up.
    Started(LoadStart),
    /// What was measured since the last interval (one second).
    Interval(Box<IntervalReport>),
    /// An operator changed the number of users.
    Rescaled {
        /// The scenario, or all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scenario: Option<String>,
        /// Users wanted from now on.
        users: u32,
    },
    /// Documents with numbers up to `last` may be written from now on; whoever cleans up after a
    /// crash removes them all.
    WriteBlock {
        /// The last number; the first is 0.
        last: u64,
    },
    /// A brake stopped the load.
    GuardTripped {
        /// Which and why.
        reason: String,
    },
    /// What the load wrote has been removed again, or not.
    Cleanup(CleanupReport),
}

/// What a generator is about to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadStart {
    /// Name of what drives the load: `built-in`, or the external tool that really runs.
    pub engine: String,
    /// Threads of the generator.
    pub threads: u32,
    /// Scenario names with the service each speaks to.
    pub scenarios: Vec<(String, ServiceKind)>,
    /// Scenarios or flows that cannot run, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// Which requests a series counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The service spoken to.
    pub service: ServiceKind,
    /// The scenario.
    pub scenario: String,
    /// The step.
    pub step: String,
}

/// What a set of requests measured. Latencies are of all finished requests, failed ones too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// From the intended start to the end, microseconds.
    pub response: Histogram,
    /// From the actual send to the end, microseconds.
    pub service_time: Histogram,
    /// From the actual send to the first content of a streamed answer, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Histogram>,
    /// Requests that failed, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Response body bytes.
    #[serde(default)]
    pub bytes: u64,
    /// Tokens, as far as the answers say.
    #[serde(default)]
    pub tokens: u64,
}

impl Measurements {
    /// Adds the measurements of other requests: histograms are added, percentiles never averaged.
    pub fn add(&mut self, other: &Self) {
        self.response.add(&other.response);
        self.service_time.add(&other.service_time);
        if let Some(first) = &other.first_token {
            self.first_token.get_or_insert_default().add(first);
        }
        for (kind, n) in &other.errors {
            let total = self.errors.entry(*kind).or_default();
            *total = total.saturating_add(*n);
        }
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }

    /// Finished requests.
    pub const fn requests(&self) -> u64 {
        self.response.count()
    }

    /// Failed requests.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Requests for which the platform was not available.
    pub fn unavailable(&self) -> u64 {
        let kinds = self.errors.iter().filter(|(kind, _)| kind.is_unavailability());
        kinds.map(|(_, n)| n).sum()
    }

    /// Failed share in percent; none without requests.
    pub fn error_rate_percent(&self) -> Option<f64> {
        let n = self.requests();
        (n > 0).then(|| self.failed() as f64 * 100.0 / n as f64)
    }
}

/// What one series measured in one interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesInterval {
    /// Which requests.
    pub key: SeriesKey,
    /// What they measured.
    #[serde(flatten)]
    pub measured: Measurements,
}

/// One interval of a load phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntervalReport {
    /// Length of the interval in microseconds.
    pub length_us: u64,
    /// Virtual users at its end, by scenario.
    pub users: BTreeMap<String, u32>,
    /// The series that had requests.
    pub series: Vec<SeriesInterval>,
    /// How the generator itself fared.
    pub generator: GeneratorHealth,
}

/// How the generator fared in one interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorHealth {
    /// From the intended start to the actual send, microseconds.
    pub lateness: Histogram,
    /// Share of one core that the generator's busiest thread used, in percent.
    pub busiest_thread_percent: f32,
    /// Measurements that were lost because the consumer was too slow.
    pub dropped: u64,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No connection.
    Connect,
    /// TLS handshake or certificate.
    Tls,
    /// No answer in time.
    Timeout,
    /// Status 5xx.
    ServerStatus,
    /// Status 4xx or another that was not expected.
    ClientStatus,
    /// The answer has the right status and the wrong content.
    Check,
    /// The answer breaks its protocol (HTTP, SSE, JSON-RPC) or its size limit.
    Protocol,
}

impl ErrorKind {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::ServerStatus => "status 5xx",
            Self::ClientStatus => "status 4xx",
            Self::Check => "check",
            Self::Protocol => "protocol",
        }
    }

    /// Whether the platform was not available to the user (as opposed to having refused or
    /// misunderstood the request).
    pub const fn is_unavailability(self) -> bool {
        !matches!(self, Self::ClientStatus | Self::Check)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What became of the documents that the load wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanupReport {
    /// Documents written.
    pub written: u64,
    /// Documents removed and found absent afterwards.
    pub removed: u64,
    /// Documents whose absence could not be shown, at most fifty ids.
    pub remaining: Vec<String>,
    /// How many those are.
    pub remaining_count: u64,
}
