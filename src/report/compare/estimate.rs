//! Figures with their intervals, and the interval of a difference.
//!
//! Shares have theirs by Wilson ("Probable inference", JASA 22 (1927)), quantiles by order statistics.
//! That of a difference is made of both by MOVER (Zou and Donner, Statistics in Medicine 27 (2008); for
//! shares that is Newcombe's method 10, ibid. 17 (1998)).

use crate::run::histogram::Histogram;

/// Two-sided 95 %.
const Z: f64 = 1.959_963_984_540_054;
/// Fewer samples on either side of a quantile than this do not bound it.
const LEAST_BESIDE: f64 = 5.0;

/// A figure with its own interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
}

/// The interval of `after - before`.
pub(super) fn difference(before: Estimate, after: Estimate) -> Estimate {
    let value = after.value - before.value;
    let down = (after.value - after.lower).hypot(before.upper - before.value);
    let up = (after.upper - after.value).hypot(before.value - before.lower);
    Estimate { value, lower: value - down, upper: value + up }
}

/// A share; none of nothing.
pub(super) fn wilson(bad: u64, n: u64) -> Option<Estimate> {
    if n == 0 {
        return None;
    }
    let (count, value) = (n as f64, bad as f64 / n as f64);
    let square = Z * Z / count;
    let middle = (value + square / 2.0) / (1.0 + square);
    let half = Z / (1.0 + square) * (value * (1.0 - value) / count + square / (4.0 * count)).sqrt();
    Some(Estimate { value, lower: middle - half, upper: middle + half })
}

/// A quantile in milliseconds, bounded by order statistics; none with too few samples beside it.
pub(super) fn quantile_of(histogram: &Histogram, quantile: f64) -> Option<Estimate> {
    let n = histogram.count() as f64;
    if n * quantile < LEAST_BESIDE || n * (1.0 - quantile) < LEAST_BESIDE {
        return None;
    }
    let half = Z * (quantile * (1.0 - quantile) / n).sqrt();
    let millis = |q: f64| histogram.quantile(q).map(|of| of.as_secs_f64() * 1000.0);
    Some(Estimate {
        value: millis(quantile)?,
        lower: millis(quantile - half)?,
        upper: millis(quantile + half)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_difference_is_newcombes() {
        // His example (a) of 1998, method 10: 56/70 and 48/80.
        let one = wilson(48, 80).expect("samples");
        let other = wilson(56, 70).expect("samples");
        let of = difference(one, other);
        assert!((of.value - 0.2).abs() < 1e-9);
        assert!((of.lower - 0.0524).abs() < 5e-5, "{of:?}");
        assert!((of.upper - 0.3339).abs() < 5e-5, "{of:?}");
    }
}
