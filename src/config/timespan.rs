//! Lengths of time as they are written in configuration: always with a unit.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time written as `500ms`, `30s`, `10m`, `1h30m` or `2d`, at most ten years. A bare number
/// is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeSpan(pub Duration);

impl TimeSpan {
    /// A span of whole seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// A span of whole milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The same span for the standard library.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// Units from the largest to the smallest, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest: nothing here lasts longer, and sums of spans stay far from the end of numbers.
const LONGEST_MILLIS: u64 = 3660 * 86_400_000;

/// Why a text is no length of time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TimeSpanError {
    /// It has no unit, or another form.
    #[error("expected a duration with a unit such as 500ms, 30s, 10m or 1h30m, got `{0}`")]
    Form(String),
    /// It is out of range.
    #[error("expected a duration of at most 3660d, got `{0}`")]
    TooLong(String),
}

impl FromStr for TimeSpan {
    type Err = TimeSpanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let got = || text.chars().take(40).collect();
        let refuse = || TimeSpanError::Form(got());
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return Err(refuse());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refuse)?;
            let (whole, decimals) = rest[..digits].split_once('.').unwrap_or((&rest[..digits], ""));
            let amount: u64 = whole.parse().map_err(|_| refuse())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let unit = &rest[..letters];
            rest = &rest[letters..];
            let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
            let part = part_of(*millis, decimals).ok_or_else(refuse)?;
            total = amount
                .checked_mul(*millis)
                .and_then(|add| total.checked_add(add)?.checked_add(part))
                .filter(|total| *total <= LONGEST_MILLIS)
                .ok_or_else(|| TimeSpanError::TooLong(got()))?;
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

/// The decimals of a unit in whole milliseconds; none when there is a rest.
fn part_of(unit_millis: u64, decimals: &str) -> Option<u64> {
    if decimals.is_empty() {
        return Some(0);
    }
    let scale = 10_u64.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let product = decimals.parse::<u64>().ok()?.checked_mul(unit_millis)?;
    product.is_multiple_of(scale).then_some(product / scale)
}

impl TryFrom<String> for TimeSpan {
    type Error = TimeSpanError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TimeSpan> for String {
    fn from(span: TimeSpan) -> Self {
        span.to_string()
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            if millis >= size {
                write!(f, "{}{unit}", millis / size)?;
                millis %= size;
            }
        }
        Ok(())
    }
}

impl schemars::JsonSchema for TimeSpan {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeSpan".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A duration with a unit: 500ms, 30s, 10m, 1h30m, 2d.",
            "pattern": "^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bare_number_and_unknown_units_are_refused() {
        for text in [
            "",
            "30",
            "5 m",
            "m",
            "1w",
            "10minutes",
            "0.0001s",
            ".5s",
            "1..5s",
            "-3s",
            "99999999999999999999s",
            "9999999999999999s",
            "3661d",
        ] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn compound_spans_add_up() {
        assert_eq!("1h30m".parse(), Ok(TimeSpan::secs(5400)));
        assert_eq!("500ms".parse(), Ok(TimeSpan::millis(500)));
        assert_eq!("3.6h".parse(), Ok(TimeSpan::secs(12_960)));
        assert_eq!("50.4m".parse(), Ok(TimeSpan::secs(3_024)));
    }

    proptest! {
        #[test]
        fn display_reads_back(millis in 0u64..10_000_000_000) {
            let span = TimeSpan::millis(millis);
            prop_assert_eq!(span.to_string().parse::<TimeSpan>(), Ok(span));
        }
    }
}
