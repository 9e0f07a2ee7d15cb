//! Numbers with units, in fixed widths, so that they do not jump about.

use std::time::Duration;

/// `00:23:41`; hours grow beyond two digits when they have to.
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A latency of at most eight characters: `850 us`, `12.3 ms`, `812 ms`, `1.90 s`; `-` without data.
pub fn latency(value: Option<Duration>) -> String {
    let Some(value) = value else { return "-".into() };
    let micros = value.as_micros();
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..100_000 => format!("{:.1} ms", micros as f64 / 1e3),
        100_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..100_000_000 => format!("{:.2} s", micros as f64 / 1e6),
        _ => format!("{} s", micros / 1_000_000),
    }
}

/// A time kept by a timer; below what the timer can tell apart there is no figure but that.
pub fn above(value: Option<Duration>, floor: Option<Duration>) -> String {
    match floor {
        Some(floor) if value.is_some_and(|value| value < floor) => {
            format!("<{}", latency(Some(floor)))
        }
        _ => latency(value),
    }
}

/// A count of at most five characters: `999`, `12.3k`, `4.5M`.
pub fn count(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..100_000 => format!("{:.1}k", n as f64 / 1e3),
        100_000..1_000_000 => format!("{}k", n / 1_000),
        1_000_000..100_000_000 => format!("{:.1}M", n as f64 / 1e6),
        _ => format!("{}M", n / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_follow_the_size() {
        let of = |micros| latency(Some(Duration::from_micros(micros)));
        assert_eq!(
            (of(850), of(12_345), of(812_000)),
            ("850 us".into(), "12.3 ms".into(), "812 ms".into())
        );
        assert_eq!((of(1_904_000), latency(None)), ("1.90 s".into(), "-".into()));
        assert_eq!(
            (count(999), count(41_234), count(4_500_000)),
            ("999".into(), "41.2k".into(), "4.5M".into())
        );
        assert_eq!(clock(Duration::from_secs(360_000)), "100:00:00");
    }

    #[test]
    fn nothing_is_told_apart_that_the_timer_cannot() {
        let (short, long) = (Duration::from_micros(400), Duration::from_micros(1_100));
        assert_eq!(above(Some(short), Some(long)), "<1.1 ms");
        assert_eq!(above(Some(long), Some(short)), "1.1 ms");
        assert_eq!(
            (above(Some(short), None), above(None, Some(long))),
            ("400 us".into(), "-".into())
        );
    }

    proptest! {
        #[test]
        fn nothing_outgrows_its_column(micros in 0u64..3_600_000_000, n in 0u64..10_000_000_000) {
            prop_assert!(latency(Some(Duration::from_micros(micros))).len() <= 8);
            prop_assert!(count(n).len() <= 6);
        }
    }
}
