//! Exact bounds on a share: Clopper and Pearson, "The use of confidence or fiducial limits illustrated
//! in the case of the binomial", Biometrika 26 (1934). A quantile is judged by the same bounds: it is
//! below a limit when the share of samples at or above the limit is below its complement, which is
//! the bound by order statistics.

use crate::run::event::Verdict;

/// Steps of the bisection: the bounds are exact to about 1e-15.
const STEPS: u32 = 60;

/// One-sided bounds on a share, each at the given confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The share is above this.
    pub lower: f64,
    /// The share is below this.
    pub upper: f64,
}

/// Bounds on the share of bad ones, of which `bad` of `n` were seen. Confidence is within 0-1.
pub fn bounds(bad: u64, n: u64, confidence: f64) -> Bounds {
    let alpha = 1.0 - confidence;
    // P(X >= bad | lower) = alpha, and P(X <= bad | upper) = alpha.
    let lower = match bad {
        0 => 0.0,
        _ => bisect(|p| 1.0 - cumulative(bad - 1, n, p) < alpha),
    };
    let upper = if bad >= n { 1.0 } else { bisect(|p| cumulative(bad, n, p) > alpha) };
    Bounds { lower, upper }
}

/// Whether a share is proven to be at most (or above) a limit.
pub fn judge(bad: u64, n: u64, limit: f64, confidence: f64) -> (Verdict, Bounds) {
    let bounds = bounds(bad, n, confidence);
    let verdict = if n == 0 {
        Verdict::Inconclusive
    } else if bounds.upper <= limit {
        Verdict::Pass
    } else if bounds.lower > limit {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    };
    (verdict, bounds)
}

/// How many good samples in a row prove that a share is at most `limit`; none when nothing can.
pub fn needed(limit: f64, confidence: f64) -> Option<u64> {
    if limit <= 0.0 || limit >= 1.0 {
        return None;
    }
    // (1 - limit)^n <= 1 - confidence
    Some(((1.0 - confidence).ln() / (1.0 - limit).ln()).ceil() as u64)
}

/// The largest share for which `holds`, which holds up to some share and not above.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..STEPS {
        let middle = (low + high) / 2.0;
        if holds(middle) { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// P(X <= k) for a binomial with n trials and probability p, by the regularised incomplete beta
/// function: 1 - I_p(k + 1, n - k).
fn cumulative(k: u64, n: u64, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    1.0 - incomplete_beta(p, (k + 1) as f64, (n - k) as f64)
}

/// The regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun
/// 26.5.8), evaluated by Lentz's method.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    let front = (a.mul_add(x.ln(), b * (1.0 - x).ln()) - ln_beta(a, b)).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let keep = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / keep(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / keep(1.0 + even * d);
        c = keep(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / keep(1.0 + odd * d);
        c = keep(1.0 + odd / c);
        let step = d * c;
        h *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    h
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The logarithm of the gamma function for x > 0, by Stirling's series (Abramowitz and Stegun
/// 6.1.41) above 10, below it by recurrence.
fn ln_gamma(x: f64) -> f64 {
    if x < 10.0 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    let square = x * x;
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x * square)
        + 1.0 / (1260.0 * x * square * square)
        - 1.0 / (1680.0 * x * square * square * square);
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_limits_for_half_a_percent_are_those_of_the_exact_test() {
        // Most failures with which it passes, least with which it fails, computed independently.
        for (n, passes, fails) in [
            (600, 0, 7),
            (1_000, 1, 10),
            (2_000, 4, 16),
            (5_000, 16, 34),
            (10_000, 38, 63),
            (24_000, 101, 139),
            (72_000, 328, 392),
        ] {
            let of = |bad| judge(bad, n, 0.005, 0.95).0;
            assert_eq!((of(passes), of(passes + 1)), (Verdict::Pass, Verdict::Inconclusive), "{n}");
            assert_eq!((of(fails - 1), of(fails)), (Verdict::Inconclusive, Verdict::Fail), "{n}");
        }
    }

    #[test]
    fn the_least_samples_for_a_quantile_are_those_of_order_statistics() {
        let of = |limit: f64| needed(limit, 0.95);
        assert_eq!((of(0.5), of(0.05), of(0.01)), (Some(5), Some(59), Some(299)));
        assert_eq!((of(0.001), of(0.005), of(0.0)), (Some(2995), Some(598), None));
    }

    proptest! {
        #[test]
        fn bounds_hold_what_was_seen_and_more_confidence_is_wider(
            n in 1u64..5000, share in 0.0f64..=1.0, confidence in 0.6f64..0.98,
        ) {
            let bad = (share * n as f64) as u64;
            let seen = bad as f64 / n as f64;
            let narrow = bounds(bad, n, confidence);
            let wide = bounds(bad, n, confidence + 0.015);
            prop_assert!(narrow.lower <= seen + 1e-9 && seen <= narrow.upper + 1e-9);
            prop_assert!(wide.lower <= narrow.lower + 1e-9 && narrow.upper <= wide.upper + 1e-9);
        }

        #[test]
        fn the_distribution_sums_as_it_should(k in 0u64..30, more in 1u64..30, p in 0.001f64..0.999) {
            let n = k + more;
            let direct: f64 = (0..=k).map(|i| {
                let choose: f64 = (0..i).map(|j| ((n - j) as f64 / (i - j) as f64).ln()).sum();
                (choose + i as f64 * p.ln() + (n - i) as f64 * (1.0 - p).ln()).exp()
            }).sum();
            prop_assert!((direct - cumulative(k, n, p)).abs() < 1e-9, "{direct}");
        }
    }
}
