//! Drawing pauses.

use std::time::Duration;

use rand::Rng;
use rand_distr::{Distribution, Exp, LogNormal, Normal};

use crate::config::{ThinkDistribution, ThinkTime, TimeSpan};

/// A pause drawn from its distribution, moved into its bounds.
pub fn draw(think: &ThinkTime, random: &mut impl Rng) -> Duration {
    let (min, max) = (think.min.get().as_secs_f64(), think.max.get().as_secs_f64());
    let seconds = |span: Option<TimeSpan>| span.unwrap_or_default().get().as_secs_f64();
    let (mean, deviation) = (seconds(think.mean), seconds(think.deviation));
    let drawn = match think.distribution {
        ThinkDistribution::Uniform => Some(min + (max - min) * random.random::<f64>()),
        ThinkDistribution::Normal => Normal::new(mean, deviation).ok().map(|d| d.sample(random)),
        ThinkDistribution::Exponential => Exp::new(1.0 / mean).ok().map(|d| d.sample(random)),
        ThinkDistribution::Lognormal => {
            LogNormal::from_mean_cv(mean, deviation / mean).ok().map(|d| d.sample(random))
        }
    };
    Duration::from_secs_f64(drawn.unwrap_or(min).clamp(min, max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn moments(distribution: ThinkDistribution) -> (f64, f64) {
        let think = ThinkTime {
            min: TimeSpan::millis(0),
            max: TimeSpan::secs(1000),
            distribution,
            mean: Some(TimeSpan::secs(10)),
            deviation: Some(TimeSpan::secs(2)),
        };
        let mut random = StdRng::seed_from_u64(1);
        let n = 50_000;
        let drawn: Vec<f64> = (0..n).map(|_| draw(&think, &mut random).as_secs_f64()).collect();
        let mean = drawn.iter().sum::<f64>() / f64::from(n);
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        (mean, variance.sqrt())
    }

    #[test]
    fn pauses_have_the_mean_and_deviation_that_are_asked_for() {
        for (distribution, deviation) in [
            (ThinkDistribution::Normal, 2.0),
            (ThinkDistribution::Lognormal, 2.0),
            (ThinkDistribution::Exponential, 10.0),
        ] {
            let (mean, spread) = moments(distribution);
            assert!((mean - 10.0).abs() < 0.15, "{distribution:?}: mean {mean}");
            assert!((spread - deviation).abs() < 0.3, "{distribution:?}: deviation {spread}");
        }
    }

    #[test]
    fn bounds_hold() {
        let think = ThinkTime {
            min: TimeSpan::millis(500),
            max: TimeSpan::secs(2),
            distribution: ThinkDistribution::Exponential,
            mean: Some(TimeSpan::secs(1)),
            deviation: None,
        };
        let mut random = StdRng::seed_from_u64(2);
        let drawn: Vec<Duration> = (0..1000).map(|_| draw(&think, &mut random)).collect();
        assert_eq!(drawn.iter().min(), Some(&Duration::from_millis(500)));
        assert_eq!(drawn.iter().max(), Some(&Duration::from_secs(2)));
    }
}
