//! What requests of the load measured, and how those that failed did.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::metric::Labels;
use crate::config::{ServiceKind, Slo, SloKind};
use crate::run::histogram::Histogram;

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

impl SeriesKey {
    /// What its samples belong to, with the tags of scenario and request.
    pub fn labels<'a>(&'a self, tags: &'a BTreeMap<String, String>) -> Labels<'a> {
        let (scenario, step) = (self.scenario.as_str(), Some(self.step.as_str()));
        Labels { scenario, service: self.service, step, tags }
    }
}

/// What a set of requests measured. Latencies are of all finished requests, failed ones too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// From the intended start to the end, microseconds.
    pub response: Histogram,
    /// From the actual send to the end, microseconds.
    pub service_time: Histogram,
    /// From the intended start to the actual send, microseconds.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub lateness: Histogram,
    /// From the actual send to the first content of a streamed answer, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Histogram>,
    /// Between two arrivals of content of a streamed answer, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_gap: Option<Histogram>,
    /// From first to last content divided by tokens less one, of each streamed answer, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_per_token: Option<Histogram>,
    /// What streamed answers consisted of.
    #[serde(default, skip_serializing_if = "StreamCounts::is_empty")]
    pub streams: StreamCounts,
    /// Checks of answers.
    #[serde(default, skip_serializing_if = "CheckCounts::is_empty")]
    pub checks: CheckCounts,
    /// Requests that failed, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Response body bytes.
    #[serde(default)]
    pub bytes: u64,
    /// Tokens, as far as the answers say.
    #[serde(default)]
    pub tokens: u64,
    /// Requests without an answer when their users had to leave, by how long they had waited,
    /// microseconds. They stand in no other figure.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub cut_off: Histogram,
}

impl Measurements {
    /// Adds the measurements of other requests: histograms are added, percentiles never averaged.
    pub fn add(&mut self, other: &Self) {
        self.response.add(&other.response);
        self.service_time.add(&other.service_time);
        self.lateness.add(&other.lateness);
        for (mine, theirs) in [
            (&mut self.first_token, &other.first_token),
            (&mut self.token_gap, &other.token_gap),
            (&mut self.time_per_token, &other.time_per_token),
        ] {
            if let Some(theirs) = theirs {
                mine.get_or_insert_default().add(theirs);
            }
        }
        self.streams.add(&other.streams);
        self.checks.add(other.checks);
        for (kind, n) in &other.errors {
            let total = self.errors.entry(*kind).or_default();
            *total = total.saturating_add(*n);
        }
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cut_off.add(&other.cut_off);
    }

    /// How many of the requests that were cut off would have been slower than the P99 of those with an
    /// answer, when these are too many for that P99 to be true: more than one in a hundred.
    pub fn cut_short(&self) -> Option<u64> {
        let p99 = self.response.quantile(0.99).unwrap_or_default();
        let slower = self.cut_off.at_or_above(p99);
        (slower * 100 > self.requests() + slower).then_some(slower)
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

    /// Requests that count against an objective: for a latency those at or above its limit (in the
    /// same bucket of the histogram, 0.1 % wide, is not below it), failed ones too.
    pub fn bad_for(&self, slo: &Slo) -> u64 {
        match slo.kind {
            SloKind::Availability => self.unavailable(),
            SloKind::ErrorRate => self.failed(),
            _ => self.response.at_or_above(slo.below.map_or(Duration::MAX, |below| below.get())),
        }
    }

    /// Failed share in percent; none without requests.
    pub fn error_rate_percent(&self) -> Option<f64> {
        let n = self.requests();
        (n > 0).then(|| self.failed() as f64 * 100.0 / n as f64)
    }
}

/// What streamed answers consisted of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamCounts {
    /// Answers.
    pub streams: u64,
    /// Events with content.
    pub chunks: u64,
    /// Of these, events that arrived together with the one before, so that there is no gap between.
    pub coalesced: u64,
    /// Answers that did not say how many tokens they have; their chunks are counted as tokens.
    pub without_usage: u64,
}

impl StreamCounts {
    /// Whether there was no streamed answer.
    pub const fn is_empty(&self) -> bool {
        self.streams == 0
    }

    /// Adds those of other answers.
    pub const fn add(&mut self, other: &Self) {
        self.streams = self.streams.saturating_add(other.streams);
        self.chunks = self.chunks.saturating_add(other.chunks);
        self.coalesced = self.coalesced.saturating_add(other.coalesced);
        self.without_usage = self.without_usage.saturating_add(other.without_usage);
    }
}

/// Checks of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckCounts {
    /// Those that held.
    pub passed: u64,
    /// Those that did not.
    pub failed: u64,
}

impl CheckCounts {
    /// Whether nothing was checked.
    pub const fn is_empty(&self) -> bool {
        self.passed == 0 && self.failed == 0
    }

    /// Adds those of other answers.
    pub const fn add(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
    }

    /// Counts one.
    pub const fn count(&mut self, holds: bool) {
        if holds {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }
}

/// Iterations (flows) of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Iterations {
    /// Taken to their end.
    pub finished: u64,
    /// Given up before their end, because a step failed that later ones need, or time was over.
    pub interrupted: u64,
    /// Due by an open model, whether a user was free or not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub arrived: u64,
    /// Due by an open model and not begun, because no user was free.
    pub dropped: u64,
    /// Length of those that were taken to their end, microseconds.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub duration: Histogram,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Iterations {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.finished = self.finished.saturating_add(other.finished);
        self.interrupted = self.interrupted.saturating_add(other.interrupted);
        self.arrived = self.arrived.saturating_add(other.arrived);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.duration.add(&other.duration);
    }
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The name of the host has no address.
    Dns,
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
    /// The request could not be sent for want of a descriptor or a port of this machine: the target
    /// has no part in it.
    Generator,
    /// No request can be made of the values that it is to be filled with.
    Unsendable,
}

impl ErrorKind {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::ServerStatus => "status 5xx",
            Self::ClientStatus => "status 4xx",
            Self::Check => "check",
            Self::Protocol => "protocol",
            Self::Generator => "generator",
            Self::Unsendable => "unsendable",
        }
    }

    /// Whether the platform was not available to the user (as opposed to having refused or
    /// misunderstood the request).
    pub const fn is_unavailability(self) -> bool {
        !matches!(self, Self::ClientStatus | Self::Check) && self.was_sent()
    }

    /// Whether a request that failed like this left this machine, so that it says something about the
    /// target.
    pub const fn was_sent(self) -> bool {
        !matches!(self, Self::Generator | Self::Unsendable)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
