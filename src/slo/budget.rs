//! Error budgets and how fast they burn. Burn rate: share of bad requests over the share that is
//! allowed; at 1 the budget lasts exactly its window (Google, The Site Reliability Workbook, chapter 5).

use std::time::Duration;

use crate::config::{
    AlertSeverity, BurnAlert, ServiceKind, Slo, SloDefinitions, SloKind, TimeSpan,
};
use crate::run::event::{Budget, BurnRate};
use crate::run::state::RunState;

/// With fewer requests in its short window an alert does not fire: a single failure at night is none.
const MIN_EVENTS: u64 = 20;

/// How long everything may be down in a window.
pub fn allowed(slo: &Slo, window: TimeSpan) -> Option<Duration> {
    slo.allowed_bad().map(|share| window.get().mul_f64(share.clamp(0.0, 1.0)))
}

/// The budget of an availability objective as this run leaves it.
pub fn of(
    slo: &Slo,
    promises: &SloDefinitions,
    bad: u64,
    n: u64,
    state: &RunState,
) -> Option<Budget> {
    let (SloKind::Availability, Some(share)) = (slo.kind, slo.allowed_bad()) else { return None };
    if n == 0 || share <= 0.0 {
        return None;
    }
    let burn = bad as f64 / n as f64 / share;
    let length: u64 =
        state.phases.iter().filter_map(|phase| phase.load.as_ref()).map(|l| l.measured_us).sum();
    let window = slo.window.get();
    let cost = burn * Duration::from_micros(length).as_secs_f64() / window.as_secs_f64();
    Some(Budget {
        allowed_seconds: allowed(slo, slo.window).unwrap_or_default().as_secs_f64(),
        burn_rate: burn,
        run_cost_percent: cost * 100.0,
        exhausted_after_seconds: (burn > 0.0).then(|| window.as_secs_f64() / burn),
        alerts: promises.burn_alerts.iter().map(|alert| rate(alert, slo, share, state)).collect(),
    })
}

/// Whether an alert would fire on what the run has measured.
fn rate(alert: &BurnAlert, slo: &Slo, share: f64, state: &RunState) -> BurnRate {
    let factor = alert.factor(slo.window);
    let over = |window: TimeSpan| burn_over(window.get(), slo.service, share, state);
    let (long, short) = (over(alert.long), over(alert.short));
    let fires = |seen: &Option<(f64, u64)>| seen.is_some_and(|(burn, _)| burn > factor);
    let events = short.map_or(0, |(_, n)| n);
    BurnRate {
        page: alert.severity == AlertSeverity::Page,
        long: alert.long.to_string(),
        short: alert.short.to_string(),
        factor,
        long_burn: long.map(|(burn, _)| burn),
        short_burn: short.map(|(burn, _)| burn),
        fires: fires(&long) && fires(&short) && events >= MIN_EVENTS,
    }
}

/// Burn rate and requests over the last stretch of load; none when less than half of it was measured.
fn burn_over(
    window: Duration,
    service: Option<ServiceKind>,
    share: f64,
    state: &RunState,
) -> Option<(f64, u64)> {
    let from = state.now_us.saturating_sub(window.as_micros() as u64);
    let (mut n, mut bad, mut covered) = (0, 0, 0);
    for load in state.phases.iter().filter_map(|phase| phase.load.as_ref()) {
        let mut longest = 0;
        for (of, points) in &load.history {
            if service.is_some_and(|service| service != *of) {
                continue;
            }
            let points = points.iter().filter(|point| point.at_us > from);
            let mut length = 0;
            for point in points {
                n += point.requests;
                bad += point.errors;
                length += point.length_us;
            }
            longest = longest.max(length);
        }
        covered += longest;
    }
    let half = window.as_micros() as u64 / 2;
    (n > 0 && covered >= half).then(|| (bad as f64 / n as f64 / share, n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, PhaseKind, SHIPPED_SLOS};
    use crate::run::state::{HistoryPoint, LoadState, PhaseState};

    fn promises() -> SloDefinitions {
        LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions
    }

    /// A platform that fails this share of its requests from some second on.
    fn outage(seconds: u64, from: u64, failing: f64) -> RunState {
        let point = |second: u64| HistoryPoint {
            at_us: (second + 1) * 1_000_000,
            length_us: 1_000_000,
            requests: 100,
            errors: if second >= from { (100.0 * failing) as u64 } else { 0 },
            ..HistoryPoint::default()
        };
        let mut phase = PhaseState::new(PhaseKind::Mixed);
        phase.load = Some(LoadState {
            history: [(ServiceKind::Chat, (0..seconds).map(point).collect())].into(),
            measured_us: seconds * 1_000_000,
            ..LoadState::default()
        });
        RunState { phases: vec![phase], now_us: seconds * 1_000_000, ..RunState::default() }
    }

    fn first_page(state: &RunState) -> BurnRate {
        let promises = promises();
        of(&promises.slos[0], &promises, 1, 10, state).expect("a budget").alerts.remove(0)
    }

    #[test]
    fn the_budget_of_a_month_is_three_point_six_hours() {
        let promises = promises();
        let of = |window| allowed(&promises.slos[0], window).expect("a ratio").as_secs_f64();
        assert!((of("30d".parse().expect("span")) - 3.6 * 3600.0).abs() < 1e-3);
        assert!((of("7d".parse().expect("span")) - 50.4 * 60.0).abs() < 1e-3);
    }

    #[test]
    fn factors_are_those_of_the_workbook() {
        let promises = promises();
        let month = promises.slos[0].window;
        let factors: Vec<f64> =
            promises.burn_alerts.iter().map(|alert| alert.factor(month)).collect();
        for (factor, expected) in factors.iter().zip([14.4, 6.0, 3.0, 1.0]) {
            assert!((factor - expected).abs() < 1e-9, "{factors:?}");
        }
    }

    #[test]
    fn a_full_outage_pages_after_four_point_three_minutes() {
        // 14.4 x 0.5 % of an hour: 259 s of failures.
        let hour = 3600;
        let after = |seconds: u64| first_page(&outage(hour, hour - seconds, 1.0));
        assert!(!after(250).fires, "{:?}", after(250));
        assert!(after(270).fires, "{:?}", after(270));
        let over = first_page(&outage(hour, hour, 1.0));
        assert_eq!((over.fires, over.short_burn), (false, Some(0.0)));
    }

    #[test]
    fn a_window_that_was_not_measured_says_nothing() {
        let rate = first_page(&outage(600, 0, 1.0));
        assert_eq!((rate.fires, rate.long_burn), (false, None));
        assert!(rate.short_burn.is_some());
    }
}
