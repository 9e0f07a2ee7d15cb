//! Thresholds in k6's grammar, with windows and least samples: `p(99)<2s`, `p(95)[30s]<800ms`,
//! `rate[1m, n>=100]<1%`, `rate>20/s`, `count>100`.
//!
//! ```text
//! threshold    = aggregation [ "[" window [ "," "n>=" samples ] "]" ] comparison limit
//! aggregation  = "avg" | "min" | "med" | "max" | "p(" number ")" | "rate" | "count"
//! comparison   = "<" | "<=" | ">" | ">=" | "==" | "!="  (and k6's "===", "!==")
//! limit        = time (`2s`; a bare number is milliseconds, as in k6) | share (`1%`, or 0.01)
//!              | rate per second (`20/s`) | number
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::timespan::TimeSpan;

/// Longest threshold that is read.
const MAX_CHARS: usize = 100;

/// What is computed from the requests.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Aggregation {
    /// Mean response time.
    Average,
    /// Shortest response time.
    Minimum,
    /// A percentile of response time, 0-100; the median is the 50th.
    Percentile(f64),
    /// Longest response time.
    Maximum,
    /// Share of requests that failed, 0-1.
    FailedShare,
    /// Finished requests per second.
    PerSecond,
    /// Finished requests.
    Count,
}

/// How the value is compared with the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
}

impl Comparison {
    const ALL: [(&'static str, Self); 8] = [
        ("===", Self::Equal),
        ("!==", Self::Unequal),
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        ("<", Self::Below),
        (">", Self::Above),
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::Unequal => "!=",
        }
    }
}

/// A condition that requests have to meet. Written and read in k6's grammar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Threshold {
    /// What is computed.
    pub aggregation: Aggregation,
    /// Over the last so much measured time; over everything when left out.
    pub window: Option<TimeSpan>,
    /// With fewer requests nothing is decided.
    pub min_samples: Option<u64>,
    /// How it is compared.
    pub comparison: Comparison,
    /// The limit: microseconds, a share of 0-1, requests per second, or requests, as the aggregation
    /// has it.
    pub limit: f64,
}

impl Threshold {
    /// Whether a value (in the limit's unit) meets the condition.
    pub fn is_met_by(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Below => value < self.limit,
            Comparison::AtMost => value <= self.limit,
            Comparison::Above => value > self.limit,
            Comparison::AtLeast => value >= self.limit,
            Comparison::Equal => value == self.limit,
            Comparison::Unequal => value != self.limit,
        }
    }

    /// A value of the aggregation in words, with its unit.
    pub fn words(&self, value: f64) -> String {
        match self.aggregation {
            Aggregation::FailedShare => format!("{:.2} %", value * 100.0),
            Aggregation::PerSecond => format!("{value:.1}/s"),
            Aggregation::Count => format!("{value:.0}"),
            _ if value < 10_000.0 => format!("{:.1} ms", value / 1000.0),
            _ => format!("{:.0} ms", value / 1000.0),
        }
    }
}

/// Why a text is no threshold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a threshold such as p(99)<2s, p(95)[30s]<800ms, rate[1m, n>=100]<1% or rate>20/s, got \
     `{text}`: {reason}"
)]
pub struct ThresholdError {
    text: String,
    reason: &'static str,
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse =
            |reason| ThresholdError { text: text.chars().take(MAX_CHARS).collect(), reason };
        if text.len() > MAX_CHARS {
            return Err(refuse("it is too long"));
        }
        let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (head, rest) = match dense.split_once('[') {
            Some((head, rest)) => (head.to_owned(), Some(rest)),
            None => (dense.clone(), None),
        };
        let (name, inside, condition) = match rest {
            Some(rest) => {
                let (inside, after) =
                    rest.split_once(']').ok_or_else(|| refuse("a `]` is missing"))?;
                (head, Some(inside), after.to_owned())
            }
            None => {
                let at = head.find(['<', '>', '=', '!']);
                let at = at.ok_or_else(|| refuse("a comparison is missing"))?;
                (head[..at].to_owned(), None, head[at..].to_owned())
            }
        };
        let (window, min_samples) = match inside {
            Some(inside) => window(inside).map_err(refuse)?,
            None => (None, None),
        };
        let found = Comparison::ALL.into_iter().find(|(word, _)| condition.starts_with(word));
        let (word, comparison) = found.ok_or_else(|| refuse("a comparison is missing"))?;
        let limit = &condition[word.len()..];
        let aggregation = aggregation(&name, limit).map_err(refuse)?;
        let limit = limit_of(aggregation, limit).map_err(refuse)?;
        Ok(Self { aggregation, window, min_samples, comparison, limit })
    }
}

fn aggregation(name: &str, limit: &str) -> Result<Aggregation, &'static str> {
    match name {
        "avg" => Ok(Aggregation::Average),
        "min" => Ok(Aggregation::Minimum),
        "med" => Ok(Aggregation::Percentile(50.0)),
        "max" => Ok(Aggregation::Maximum),
        "rate" if limit.ends_with("/s") => Ok(Aggregation::PerSecond),
        "rate" => Ok(Aggregation::FailedShare),
        "count" => Ok(Aggregation::Count),
        _ => {
            let inside = name.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')'));
            let inside = inside.ok_or("expected avg, min, med, max, p(N), rate or count")?;
            let percentile: f64 = inside.parse().map_err(|_| "p(N) needs a number")?;
            if (0.0..=100.0).contains(&percentile) {
                Ok(Aggregation::Percentile(percentile))
            } else {
                Err("p(N) needs a number from 0 to 100")
            }
        }
    }
}

type Window = (Option<TimeSpan>, Option<u64>);

fn window(inside: &str) -> Result<Window, &'static str> {
    let (mut span, mut samples) = (None, None);
    for part in inside.split(',') {
        if let Some(n) = part.strip_prefix("n>=") {
            samples = Some(n.parse().map_err(|_| "n>= needs a whole number")?);
        } else {
            let one: TimeSpan = part.parse().map_err(|_| "a window needs a unit, such as 30s")?;
            if one.get().is_zero() {
                return Err("a window of no length holds nothing");
            }
            span = Some(one);
        }
    }
    Ok((span, samples))
}

fn limit_of(aggregation: Aggregation, text: &str) -> Result<f64, &'static str> {
    let number = |text: &str, otherwise| -> Result<f64, &'static str> {
        let value: f64 = text.parse().map_err(|_| otherwise)?;
        if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(otherwise) }
    };
    match aggregation {
        Aggregation::FailedShare => {
            let expected = "a share is written as 1% or 0.01";
            let share = match text.strip_suffix('%') {
                Some(percent) => number(percent, expected)? / 100.0,
                None => number(text, expected)?,
            };
            if share <= 1.0 { Ok(share) } else { Err("a share is at most 1, or 100%") }
        }
        Aggregation::PerSecond => {
            let text = text.strip_suffix("/s").unwrap_or(text);
            number(text, "a rate is written as 20/s")
        }
        Aggregation::Count => number(text, "expected a number of requests"),
        _ => {
            let expected = "a time is written as 2s, 800ms, or in milliseconds";
            // Beyond that a product of milliseconds and 1000 is no longer exact.
            let bare = number(text, expected).ok().filter(|ms| *ms < 1e12);
            let span = || text.parse().map(|span: TimeSpan| span.get().as_micros() as f64);
            bare.map(|ms| ms * 1000.0).or_else(|| span().ok()).ok_or(expected)
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.aggregation {
            Aggregation::Average => f.write_str("avg")?,
            Aggregation::Minimum => f.write_str("min")?,
            Aggregation::Percentile(percentile) => write!(f, "p({percentile})")?,
            Aggregation::Maximum => f.write_str("max")?,
            Aggregation::FailedShare | Aggregation::PerSecond => f.write_str("rate")?,
            Aggregation::Count => f.write_str("count")?,
        }
        match (self.window, self.min_samples) {
            (Some(window), Some(n)) => write!(f, "[{window}, n>={n}]")?,
            (Some(window), None) => write!(f, "[{window}]")?,
            (None, Some(n)) => write!(f, "[n>={n}]")?,
            (None, None) => {}
        }
        f.write_str(self.comparison.word())?;
        match self.aggregation {
            // As a fraction: a percentage would be rounded on its way there and back.
            Aggregation::FailedShare | Aggregation::Count => write!(f, "{}", self.limit),
            Aggregation::PerSecond => write!(f, "{}/s", self.limit),
            _ => write!(f, "{}", self.limit / 1000.0),
        }
    }
}

impl TryFrom<String> for Threshold {
    type Error = ThresholdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Threshold> for String {
    fn from(threshold: Threshold) -> Self {
        threshold.to_string()
    }
}

impl schemars::JsonSchema for Threshold {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A threshold in k6's grammar: p(99)<2s, p(95)[30s]<800ms, rate[1m, n>=100]<1%, rate>20/s, count>100.",
            "pattern": "^\\s*(avg|min|med|max|rate|count|p\\([0-9.]+\\))\\s*(\\[[^\\]]*\\])?\\s*(<|<=|>|>=|={2,3}|!={1,2})"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Threshold {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn k6s_own_thresholds_mean_what_they_mean_there() {
        let p95 = parse("p(95)<200");
        assert_eq!((p95.aggregation, p95.limit), (Aggregation::Percentile(95.0), 200_000.0));
        assert_eq!(parse("p(99.9) <= 1.5s").limit, 1_500_000.0);
        assert_eq!(parse("med < 300ms").aggregation, Aggregation::Percentile(50.0));
        let rate = parse("rate<0.01");
        assert_eq!((rate.aggregation, rate.limit), (Aggregation::FailedShare, 0.01));
        assert_eq!(parse("rate < 1%"), rate);
        let speed = parse("rate>=20/s");
        assert_eq!(
            (speed.aggregation, speed.comparison),
            (Aggregation::PerSecond, Comparison::AtLeast)
        );
        assert_eq!(parse("count===0").comparison, Comparison::Equal);
    }

    #[test]
    fn windows_and_least_samples_are_read() {
        let both = parse("p(99)[30s, n>=100]<2s");
        assert_eq!((both.window, both.min_samples), (Some(TimeSpan::secs(30)), Some(100)));
        assert_eq!(parse("rate[n>=50]<5%").min_samples, Some(50));
    }

    #[test]
    fn what_is_none_says_why() {
        for (text, part) in [
            ("", "a comparison is missing"),
            ("p(99)", "a comparison is missing"),
            ("p99<2s", "expected avg"),
            ("p(101)<2s", "from 0 to 100"),
            ("p(99)<fast", "a time is written"),
            ("p(99)[30]<2s", "needs a unit"),
            ("p(99)[0s]<2s", "no length"),
            ("p(99)[30s<2s", "`]` is missing"),
            ("rate<5", "at most 1"),
            ("rate<NaN", "a share"),
            ("count>-1", "number of requests"),
            ("avg<1e300", "a time is written"),
        ] {
            let error = text.parse::<Threshold>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_limit_itself_is_not_below_it() {
        assert!(!parse("p(99)<2s").is_met_by(2_000_000.0));
        assert!(parse("p(99)<=2s").is_met_by(2_000_000.0));
        assert!(parse("rate>20/s").is_met_by(20.5));
    }

    proptest! {
        #[test]
        fn display_reads_back(percentile in 0u32..=1000, seconds in 0u64..4000, n in proptest::option::of(0u64..1000), ms in 0u32..10_000_000) {
            let threshold = Threshold {
                aggregation: Aggregation::Percentile(f64::from(percentile) / 10.0),
                window: (seconds > 0).then(|| TimeSpan::secs(seconds)),
                min_samples: n,
                comparison: Comparison::Below,
                limit: f64::from(ms) * 1000.0,
            };
            prop_assert_eq!(threshold.to_string().parse(), Ok(threshold));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(text in ".{0,40}") {
            let _ = text.parse::<Threshold>();
        }
    }
}
