//! The resilience score, 0-100: kills 30, partitions 30, CPU 20, memory 20; in each, recovery 40,
//! how fast 30, availability meanwhile 20, a steady state afterwards 10. What did not count leaves
//! the denominator and shows as missing coverage, never as points.

use std::collections::BTreeMap;

use crate::config::ExperimentKind;
use crate::run::event::{ChaosScore, ExperimentResult, SteadyFigures, Verdict};

/// Recovery within this share of its limit gets all points for speed.
const FAST_SHARE: f64 = 0.25;
/// Something that could not be undone keeps the score at or below this.
const RESIDUE_CAP: f64 = 50.0;

const fn weight(kind: ExperimentKind) -> f64 {
    match kind {
        ExperimentKind::Kill | ExperimentKind::Partition => 30.0,
        ExperimentKind::Cpu | ExperimentKind::Memory => 20.0,
    }
}

/// The points of one experiment, 0-100; none for one that does not count.
pub fn points(result: &ExperimentResult) -> Option<f64> {
    let counts = matches!(result.verdict, Verdict::Pass | Verdict::Fail);
    if !counts || result.effective != Some(true) {
        return None;
    }
    let recovered = if result.recovery_us.is_some() { 40.0 } else { 0.0 };
    let speed = result.recovery_us.map_or(0.0, |took| {
        let share = took as f64 / result.recovery_limit_us.max(1) as f64;
        30.0 * (1.0 - ((share - FAST_SHARE) / (1.0 - FAST_SHARE)).clamp(0.0, 1.0))
    });
    let available = 20.0 * availability(&result.during);
    let steady = if result.steady_after == Some(true) { 10.0 } else { 0.0 };
    Some(recovered + speed + available + steady)
}

fn availability(figures: &[SteadyFigures]) -> f64 {
    let (n, failed) = figures.iter().fold((0, 0), |(n, f), row| (n + row.n, f + row.failed));
    if n == 0 { 0.0 } else { (n - failed) as f64 / n as f64 }
}

/// The score over all experiments of a phase.
pub fn score(
    results: &[ExperimentResult],
    asked: &[ExperimentKind],
    disturbed: &[String],
) -> ChaosScore {
    let mut by_kind: BTreeMap<ExperimentKind, Vec<f64>> = BTreeMap::new();
    for result in results {
        if let Some(points) = result.points {
            by_kind.entry(result.kind).or_default().push(points);
        }
    }
    let weights: f64 = by_kind.keys().map(|kind| weight(*kind)).sum();
    let mean = |points: &Vec<f64>| points.iter().sum::<f64>() / points.len() as f64;
    let sum: f64 = by_kind.iter().map(|(kind, points)| weight(*kind) * mean(points)).sum();
    let mut score = (weights > 0.0).then(|| sum / weights);
    let residue = results.iter().any(|result| !result.residue.is_empty());
    let mut capped = None;
    if residue {
        score = score.map(|score| score.min(RESIDUE_CAP));
        capped = Some("something could not be undone".to_owned());
    }
    if let Some(what) = disturbed.first() {
        score = Some(0.0);
        capped = Some(format!("a protected target changed: {what}"));
    }
    let kinds: std::collections::BTreeSet<_> = asked.iter().collect();
    ChaosScore { score, covered: by_kind.len() as u32, asked: kinds.len() as u32, capped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceKind;

    fn result(kind: ExperimentKind, recovery_s: Option<u64>, failed: u64) -> ExperimentResult {
        let during = vec![SteadyFigures {
            service: ServiceKind::Chat,
            n: 100,
            failed,
            degraded: 0,
            p95_us: Some(1),
        }];
        let mut result = ExperimentResult {
            verdict: Verdict::Pass,
            effective: Some(true),
            recovery_us: recovery_s.map(|s| s * 1_000_000),
            recovery_limit_us: 60_000_000,
            steady_after: Some(true),
            during,
            ..ExperimentResult::new(1, kind, "")
        };
        result.points = points(&result);
        result
    }

    #[test]
    fn fast_recovery_without_failures_gets_everything() {
        assert_eq!(result(ExperimentKind::Kill, Some(3), 0).points, Some(100.0));
        let slow = result(ExperimentKind::Kill, Some(60), 0).points.expect("counts");
        assert!((slow - 70.0).abs() < 1e-9, "{slow}");
        let never = result(ExperimentKind::Kill, None, 100).points.expect("counts");
        assert!((never - 10.0).abs() < 1e-9, "{never}");
    }

    #[test]
    fn what_does_not_count_leaves_the_denominator_and_shows_in_the_coverage() {
        let mut invalid = result(ExperimentKind::Cpu, None, 100);
        invalid.verdict = Verdict::Invalid;
        invalid.points = points(&invalid);
        let results = [result(ExperimentKind::Kill, Some(1), 0), invalid];
        let score = score(&results, &ExperimentKind::ALL, &[]);
        assert_eq!((score.score, score.covered, score.asked), (Some(100.0), 1, 4));
    }

    #[test]
    fn residue_caps_and_a_disturbed_database_is_zero() {
        let mut left = result(ExperimentKind::Kill, Some(1), 0);
        left.residue = vec!["a rule".into()];
        let results = [left];
        assert_eq!(score(&results, &ExperimentKind::ALL, &[]).score, Some(50.0));
        assert_eq!(score(&results, &ExperimentKind::ALL, &["pg".into()]).score, Some(0.0));
        assert_eq!(score(&[], &ExperimentKind::ALL, &[]).score, None);
    }
}
