//! What thresholds of a workload speak of: metrics with k6's names and tags, such as
//! `response_time{scenario:chat}`, and which aggregations each has.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::service::ServiceKind;
use super::threshold::{Aggregation, Threshold};
use super::timespan::TimeSpan;

/// Thresholds by metric, with k6's tags: `http_req_duration{scenario:chat}`.
pub type ThresholdMap = BTreeMap<String, Vec<ThresholdEntry>>;

/// One threshold, short or long.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ThresholdEntry {
    /// The expression alone, such as `p(95)<500`.
    Short(String),
    /// With what follows from it.
    Long(LongThreshold),
}

/// A threshold with what follows from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongThreshold {
    /// The expression.
    pub threshold: String,
    /// Whether the load stops when it is broken.
    #[serde(default, rename = "abortOnFail")]
    pub abort_on_fail: bool,
    /// No stop before this much of the phase.
    #[serde(default, rename = "delayAbortEval", skip_serializing_if = "Option::is_none")]
    pub delay_abort_eval: Option<TimeSpan>,
}

/// Reads either form by what stands there, so that what is wrong in it is told.
impl<'de> Deserialize<'de> for ThresholdEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> Visitor<'de> for Entry {
            type Value = ThresholdEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a threshold such as p(99)<2s, or one below `threshold`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(ThresholdEntry::Short(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let long = LongThreshold::deserialize(MapAccessDeserializer::new(map));
                long.map(ThresholdEntry::Long)
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

impl ThresholdEntry {
    /// The long form.
    pub fn long(&self) -> LongThreshold {
        match self {
            Self::Long(long) => long.clone(),
            Self::Short(threshold) => LongThreshold {
                threshold: threshold.clone(),
                abort_on_fail: false,
                delay_abort_eval: None,
            },
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// From the intended start to the end.
    ResponseTime,
    /// From the send to the end, as k6 measures it.
    HttpReqDuration,
    /// From the intended start to the send.
    Lateness,
    /// From the send to the first content of a streamed answer.
    TimeToFirstToken,
    /// Between two arrivals of content of a streamed answer.
    InterTokenGap,
    /// From the first content to the last, by token.
    TimePerOutputToken,
    /// Length of a flow.
    IterationDuration,
    /// Share of requests that failed.
    HttpReqFailed,
    /// Share of checks that held.
    Checks,
    /// Requests.
    HttpReqs,
    /// Flows that were taken to their end.
    Iterations,
    /// Flows that found no free user.
    DroppedIterations,
    /// Bytes of answers.
    DataReceived,
    /// Tokens of answers.
    Tokens,
    /// Users.
    Vus,
}

/// What kind of values a metric has; it decides which aggregations there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Times.
    Trend,
    /// Shares.
    Rate,
    /// Counts.
    Counter,
    /// A level.
    Gauge,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::ResponseTime,
        Self::HttpReqDuration,
        Self::Lateness,
        Self::TimeToFirstToken,
        Self::InterTokenGap,
        Self::TimePerOutputToken,
        Self::IterationDuration,
        Self::HttpReqFailed,
        Self::Checks,
        Self::HttpReqs,
        Self::Iterations,
        Self::DroppedIterations,
        Self::DataReceived,
        Self::Tokens,
        Self::Vus,
    ];

    /// Its name; where k6 has the metric, k6's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResponseTime => "response_time",
            Self::HttpReqDuration => "http_req_duration",
            Self::Lateness => "lateness",
            Self::TimeToFirstToken => "time_to_first_token",
            Self::InterTokenGap => "inter_token_gap",
            Self::TimePerOutputToken => "time_per_output_token",
            Self::IterationDuration => "iteration_duration",
            Self::HttpReqFailed => "http_req_failed",
            Self::Checks => "checks",
            Self::HttpReqs => "http_reqs",
            Self::Iterations => "iterations",
            Self::DroppedIterations => "dropped_iterations",
            Self::DataReceived => "data_received",
            Self::Tokens => "tokens",
            Self::Vus => "vus",
        }
    }

    /// The kind of its values.
    pub const fn kind(self) -> MetricKind {
        match self {
            Self::HttpReqFailed | Self::Checks => MetricKind::Rate,
            Self::HttpReqs
            | Self::Iterations
            | Self::DroppedIterations
            | Self::DataReceived
            | Self::Tokens => MetricKind::Counter,
            Self::Vus => MetricKind::Gauge,
            _ => MetricKind::Trend,
        }
    }

    /// Whether it belongs to scenarios rather than to their steps.
    pub const fn is_of_scenario(self) -> bool {
        matches!(
            self,
            Self::IterationDuration | Self::Iterations | Self::DroppedIterations | Self::Vus
        )
    }
}

/// A metric with the tags that its samples must have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    /// What is measured.
    pub metric: Metric,
    /// Tags and their values; all of them must be there.
    pub tags: Vec<(String, String)>,
}

/// What samples belong to.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// Name of the scenario.
    pub scenario: &'a str,
    /// The service that it speaks to.
    pub service: ServiceKind,
    /// Name of the step; none for what belongs to a scenario as a whole.
    pub step: Option<&'a str>,
    /// Tags of the scenario, and of the request.
    pub tags: &'a BTreeMap<String, String>,
}

impl<'a> Labels<'a> {
    /// The value of a tag.
    pub fn value(&self, tag: &str) -> Option<&'a str> {
        match tag {
            "scenario" => Some(self.scenario),
            "service" => Some(self.service.name()),
            "name" | "step" => self.step,
            other => self.tags.get(other).map(String::as_str),
        }
    }
}

impl Selector {
    /// Whether samples of these labels are meant.
    pub fn selects(&self, labels: &Labels<'_>) -> bool {
        self.tags.iter().all(|(tag, value)| labels.value(tag) == Some(value))
    }

    /// The same for one scenario alone.
    pub fn of_scenario(mut self, name: &str) -> Self {
        self.tags.insert(0, ("scenario".into(), name.to_owned()));
        self
    }
}

/// Why a text is no metric, or no threshold on one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MetricError(String);

fn refuse<T>(why: impl Into<String>) -> Result<T, MetricError> {
    Err(MetricError(why.into()))
}

impl FromStr for Selector {
    type Err = MetricError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, tags) = match text.split_once('{') {
            None => (text, ""),
            Some((name, rest)) => match rest.trim_end().strip_suffix('}') {
                Some(tags) => (name, tags),
                None => return refuse(format!("`{text}`: expected a closing brace")),
            },
        };
        let Some(metric) = Metric::ALL.into_iter().find(|metric| metric.name() == name.trim())
        else {
            let names = Metric::ALL.map(Metric::name).join(", ");
            return refuse(format!("no metric is called `{}`: there are {names}", name.trim()));
        };
        let tags = tags.split(',').filter(|tag| !tag.trim().is_empty()).map(|tag| {
            let Some((name, value)) = tag.split_once(':') else {
                return refuse(format!("`{text}`: expected tags such as scenario:chat"));
            };
            let plain = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
            Ok((plain(name), plain(value)))
        });
        Ok(Self { metric, tags: tags.collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric.name())?;
        if !self.tags.is_empty() {
            let tags = self.tags.iter().map(|(name, value)| format!("{name}:{value}"));
            write!(f, "{{{}}}", tags.collect::<Vec<_>>().join(","))?;
        }
        Ok(())
    }
}

impl MetricKind {
    /// Reads a threshold on a metric of this kind. k6's `rate>20` of a counter is per second, and its
    /// `value` of a gauge a level.
    ///
    /// # Errors
    /// What was expected, and what came.
    pub fn threshold(self, text: &str) -> Result<Threshold, MetricError> {
        let text = text.trim();
        let word = |word: &str| text.strip_prefix(word);
        let ours = match self {
            Self::Counter if word("rate").is_some() && !text.ends_with("/s") => format!("{text}/s"),
            Self::Gauge => match word("value") {
                Some(rest) => format!("count{rest}"),
                None => return refuse(format!("`{text}`: expected {}", self.choices())),
            },
            _ => text.to_owned(),
        };
        let threshold: Threshold = ours.parse().map_err(|e| MetricError(format!("{e}")))?;
        let fits = match threshold.aggregation {
            Aggregation::Count => matches!(self, Self::Counter | Self::Gauge),
            Aggregation::PerSecond => self == Self::Counter,
            Aggregation::FailedShare => self == Self::Rate,
            _ => self == Self::Trend,
        };
        if fits { Ok(threshold) } else { refuse(format!("`{text}`: expected {}", self.choices())) }
    }

    const fn choices(self) -> &'static str {
        match self {
            Self::Trend => "avg, min, max, med or p(N)",
            Self::Rate => "rate",
            Self::Counter => "count or rate",
            Self::Gauge => "value",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Comparison;
    use proptest::prelude::*;

    fn parse(key: &str, text: &str) -> Result<Threshold, MetricError> {
        key.parse::<Selector>()?.metric.kind().threshold(text)
    }

    #[test]
    fn thresholds_of_k6_are_read_on_metrics_of_k6() {
        for (key, text) in [
            ("http_req_duration{scenario:chat}", "p(99.9) <= 1500.5"),
            ("http_reqs", "count>=100"),
            ("http_reqs", "rate > 12"),
            ("http_req_failed", "rate<0.01"),
            ("checks{scenario:a,name:b}", "rate===1"),
            ("vus", "value!=3"),
            ("iteration_duration", "med<200"),
            ("response_time", "p(99)[30s, n>=100]<2s"),
        ] {
            assert!(parse(key, text).is_ok(), "{key}: {text}: {:?}", parse(key, text));
        }
        let rate = parse("http_reqs", "rate>12").expect("valid");
        assert_eq!(
            (rate.aggregation, rate.comparison),
            (Aggregation::PerSecond, Comparison::Above)
        );
    }

    #[test]
    fn mistakes_are_told_apart() {
        let why = |key: &str, text: &str| parse(key, text).expect_err("refused").to_string();
        assert!(why("http_req_duratio", "p(95)<1").contains("http_req_duration"));
        assert!(why("response_time", "rate<1").contains("p(N)"));
        assert!(why("http_req_failed", "p(95)<1").contains("rate"));
        assert!(why("vus", "p(95)<1").contains("value"));
        assert!(why("http_reqs{scenario", "count>1").contains("brace"));
        assert!(why("http_reqs{scenario}", "count>1").contains("scenario:chat"));
    }

    proptest! {
        #[test]
        fn nothing_makes_the_parser_stumble(key in any::<String>(), text in any::<String>()) {
            let _ = key.parse::<Selector>();
            for kind in [MetricKind::Trend, MetricKind::Rate, MetricKind::Counter, MetricKind::Gauge] {
                let _ = kind.threshold(&text);
            }
        }

        #[test]
        fn a_selector_reads_back(metric in 0usize..15, tags in prop::collection::btree_map("[a-z]{1,5}", "[a-z]{1,5}", 0..3)) {
            let selector = Selector { metric: Metric::ALL[metric], tags: tags.into_iter().collect() };
            prop_assert_eq!(selector.to_string().parse(), Ok(selector));
        }
    }
}
