//! Objectives against measurements. Only samples of the load phases count: what chaos breaks on
//! purpose is judged by its own score, and no request is sent during a pause.

use std::time::Duration;

use crate::config::Criteria;
use crate::run::event::{Measurements, Objective, Verdict};
use crate::run::state::RunState;

/// Evaluates every objective of a run.
pub fn evaluate(state: &RunState) -> Vec<Objective> {
    let Some(criteria) = &state.criteria else { return Vec::new() };
    let mut totals = Measurements::default();
    for load in state.phases.iter().filter_map(|phase| phase.load.as_ref()) {
        totals.add(&load.totals(None).measured);
    }
    vec![availability(&totals, criteria), p99(&totals, criteria), error_rate(&totals, criteria)]
}

fn availability(totals: &Measurements, criteria: &Criteria) -> Objective {
    let n = totals.requests();
    let measured = share_percent(n - totals.unavailable().min(n), n);
    Objective {
        id: "availability".into(),
        objective: format!("≥ {} %", criteria.availability_percent),
        measured: words(measured),
        n,
        verdict: decide(n, criteria, measured, |value| value >= criteria.availability_percent),
        method: format!(
            "100 % × (n - unavailable) / n over all load phases; unavailable = connect, TLS, timeout, \
             protocol and status 5xx: {} of {n}",
            totals.unavailable()
        ),
    }
}

fn p99(totals: &Measurements, criteria: &Criteria) -> Objective {
    let limit = criteria.p99.get();
    let measured = totals.response.quantile(0.99);
    let n = totals.requests();
    Objective {
        id: "p99".into(),
        objective: format!("< {} ms", limit.as_millis()),
        measured: measured.map_or_else(|| "-".into(), |value| format!("{} ms", value.as_millis())),
        n,
        verdict: decide(n, criteria, measured, |value: Duration| value < limit),
        method:
            "99th percentile of response time (from the intended start) of all requests, failed \
                 ones too, from HDR histograms with three significant digits"
                .into(),
    }
}

fn error_rate(totals: &Measurements, criteria: &Criteria) -> Objective {
    let n = totals.requests();
    let measured = totals.error_rate_percent();
    Objective {
        id: "error_rate".into(),
        objective: format!("< {} %", criteria.error_rate_percent),
        measured: words(measured),
        n,
        verdict: decide(n, criteria, measured, |value| value < criteria.error_rate_percent),
        method: format!("100 % × failed / n over all load phases: {} of {n}", totals.failed()),
    }
}

fn decide<T: Copy>(
    n: u64,
    criteria: &Criteria,
    measured: Option<T>,
    holds: impl Fn(T) -> bool,
) -> Verdict {
    match measured {
        Some(_) if n < criteria.min_samples => Verdict::Inconclusive,
        Some(value) if holds(value) => Verdict::Pass,
        Some(_) => Verdict::Fail,
        None => Verdict::Inconclusive,
    }
}

fn share_percent(part: u64, n: u64) -> Option<f64> {
    (n > 0).then(|| part as f64 * 100.0 / n as f64)
}

fn words(percent: Option<f64>) -> String {
    percent.map_or_else(|| "-".into(), |value| format!("{value:.2} %"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PhaseKind, ServiceKind};
    use crate::run::event::{ErrorKind, SeriesKey};
    use crate::run::state::{LoadState, PhaseState};

    fn measured(n: u64, latency_us: u64, errors: &[(ErrorKind, u64)]) -> RunState {
        let mut series = Measurements::default();
        series.response.record_us(latency_us, n);
        series.errors = errors.iter().copied().collect();
        let key = SeriesKey {
            service: ServiceKind::Chat,
            scenario: "chat".into(),
            step: "completion".into(),
        };
        let mut phase = PhaseState::new(PhaseKind::Mixed);
        phase.load = Some(LoadState { series: [(key, series)].into(), ..LoadState::default() });
        RunState { criteria: Some(Criteria::default()), phases: vec![phase], ..RunState::default() }
    }

    fn verdicts(state: &RunState) -> Vec<Verdict> {
        evaluate(state).into_iter().map(|objective| objective.verdict).collect()
    }

    #[test]
    fn a_healthy_platform_passes_and_too_few_samples_do_not_decide() {
        assert_eq!(verdicts(&measured(10_000, 300_000, &[])), [Verdict::Pass; 3]);
        assert_eq!(verdicts(&measured(10, 300_000, &[])), [Verdict::Inconclusive; 3]);
        assert_eq!(verdicts(&measured(0, 1, &[])), [Verdict::Inconclusive; 3]);
    }

    #[test]
    fn refusals_count_as_errors_but_not_as_unavailability() {
        let refused = measured(10_000, 300_000, &[(ErrorKind::ClientStatus, 100)]);
        assert_eq!(verdicts(&refused), [Verdict::Pass, Verdict::Pass, Verdict::Fail]);
        let down = measured(10_000, 300_000, &[(ErrorKind::Timeout, 100)]);
        assert_eq!(verdicts(&down), [Verdict::Fail, Verdict::Pass, Verdict::Fail]);
    }

    #[test]
    fn two_seconds_are_not_below_two_seconds() {
        assert_eq!(verdicts(&measured(10_000, 2_000_000, &[]))[1], Verdict::Fail);
    }
}
