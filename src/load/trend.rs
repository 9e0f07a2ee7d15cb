//! Whether something grows: a straight line through points (least squares), and how sure its slope is.

/// Below this many points nothing is said.
const MIN_POINTS: usize = 6;
/// A growth below this share of the mean is not worth speaking of.
const MIN_GROWTH: f64 = 0.1;

/// Points of time and value.
#[derive(Clone, Debug, Default)]
pub struct Trend(Vec<(f64, f64)>);

impl Trend {
    /// Adds a point.
    pub fn add(&mut self, at: f64, value: f64) {
        self.0.push((at, value));
    }

    /// Whether there are enough points to say anything.
    pub const fn can_tell(&self) -> bool {
        self.0.len() >= MIN_POINTS
    }

    /// Whether the slope is above 0 with 95 % confidence (Student's t), and the growth worth it.
    pub fn grows(&self) -> bool {
        if !self.can_tell() {
            return false;
        }
        let n = self.0.len() as f64;
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| self.0.iter().map(of).sum::<f64>() / n;
        let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
        let sxx: f64 = self.0.iter().map(|p| (p.0 - x).powi(2)).sum();
        let sxy: f64 = self.0.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
        if sxx <= 0.0 {
            return false;
        }
        let slope = sxy / sxx;
        let residuals: f64 = self.0.iter().map(|p| (p.1 - y - slope * (p.0 - x)).powi(2)).sum();
        let error = (residuals / (n - 2.0) / sxx).sqrt();
        let first = self.0.first().map_or(0.0, |p| p.0);
        let span = self.0.last().map_or(0.0, |p| p.0) - first;
        slope - t_quantile(self.0.len() - 2) * error > 0.0 && slope * span > MIN_GROWTH * y
    }
}

/// The 97.5 % quantile of Student's t distribution (Cornish and Fisher's expansion; within 2 % from 4
/// degrees of freedom on).
fn t_quantile(degrees: usize) -> f64 {
    let (z, d) = (1.959_964_f64, degrees as f64);
    let z3 = z.powi(3);
    z + (z3 + z) / (4.0 * d) + (5.0 * z.powi(5) + 16.0 * z3 + 3.0 * z) / (96.0 * d * d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    fn trend(value: impl Fn(f64) -> f64) -> Trend {
        let mut trend = Trend::default();
        (0..10).for_each(|at| trend.add(f64::from(at), value(f64::from(at))));
        trend
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, table) in [(4, 2.776), (8, 2.306), (28, 2.048)] {
            assert!((t_quantile(degrees) / table - 1.0).abs() < 0.02, "{degrees}");
        }
    }

    #[test]
    fn growth_is_told_from_noise_and_from_standing_still() {
        assert!(trend(|at| 10.0 + 2.0 * at).grows());
        assert!(!trend(|_| 10.0).grows());
        assert!(!trend(|at| 100.0 + 0.1 * at).grows(), "hardly any");
        assert!(!trend(|at| 30.0 - 2.0 * at).grows());
        let mut random = StdRng::seed_from_u64(1);
        let noise: Vec<Trend> = (0..1000)
            .map(|_| {
                let mut trend = Trend::default();
                (0..10).for_each(|at| trend.add(f64::from(at), random.random_range(50.0..150.0)));
                trend
            })
            .collect();
        let alarms = noise.iter().filter(|trend| trend.grows()).count();
        assert!(alarms < 40, "{alarms} false alarms in 1000");
    }
}
