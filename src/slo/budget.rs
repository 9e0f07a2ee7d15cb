//! Error budgets and how fast they burn. Burn rate: share of bad requests over the share that is
//! allowed; at 1 the budget lasts exactly its window (Google, The Site Reliability Workbook, chapter 5).

use std::time::Duration;

use crate::config::{
    AlertSeverity, BurnAlert, PhaseKind, ServiceKind, Slo, SloDefinitions, SloKind, TimeSpan,
};
use crate::run::event::{Budget, BurnRate};
use crate::run::state::{Counts, RunState, Stretch};

/// With fewer requests in its short window an alert does not fire: a single failure at night is none.
const MIN_EVENTS: u64 = 20;

/// How long everything may be down in a window.
pub fn allowed(slo: &Slo, window: TimeSpan) -> Option<Duration> {
    slo.allowed_bad().map(|share| window.get().mul_f64(share.clamp(0.0, 1.0)))
}

/// The budget of an availability objective as this run leaves it.
pub fn of(
    at: usize,
    slo: &Slo,
    promises: &SloDefinitions,
    counts: Counts,
    state: &RunState,
) -> Option<Budget> {
    let (SloKind::Availability, Some(share)) = (slo.kind, slo.allowed_bad()) else { return None };
    if counts.n == 0 || share <= 0.0 {
        return None;
    }
    let burn = counts.bad as f64 / counts.n as f64 / share;
    let length: u64 =
        state.phases.iter().filter_map(|phase| phase.load.as_ref()).map(|l| l.measured_us).sum();
    let window = slo.window.get().as_secs_f64();
    let cost = burn * Duration::from_micros(length).as_secs_f64() / window;
    let alerts = promises.burn_alerts.iter();
    Some(Budget {
        allowed_seconds: allowed(slo, slo.window).unwrap_or_default().as_secs_f64(),
        burn_rate: burn,
        run_cost_percent: cost * 100.0,
        chaos_cost_percent: chaos_down_seconds(slo, state)
            .map(|down| down / (share * window) * 100.0),
        rest_cost_percent: rest_down_seconds(slo, state)
            .map(|down| down / (share * window) * 100.0),
        exhausted_after_seconds: (burn > 0.0).then(|| window / burn),
        alerts: alerts.map(|alert| rate(alert, at, slo, share, state)).collect(),
    })
}

/// Whether an alert would fire on what the run has measured.
fn rate(alert: &BurnAlert, at: usize, slo: &Slo, share: f64, state: &RunState) -> BurnRate {
    let factor = alert.factor(slo.window);
    let over = |window: TimeSpan| burn_over(window.get(), at, share, state);
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
fn burn_over(window: Duration, at: usize, share: f64, state: &RunState) -> Option<(f64, u64)> {
    let from = state.now_us.saturating_sub(window.as_micros() as u64);
    let Stretch { counts: Counts { n, bad }, length_us } = state.windows.since(at, from);
    let half = window.as_micros() as u64 / 2;
    (n > 0 && length_us >= half).then(|| (bad as f64 / n as f64 / share, n))
}

/// For how long a service was down in the chaos phase, by its probes; of all services the mean, each
/// counted alike. None without that phase.
fn chaos_down_seconds(slo: &Slo, state: &RunState) -> Option<f64> {
    // No probe asks a store: how long it was down is not known.
    let chaos = state.phase(PhaseKind::Chaos)?.chaos.as_ref().filter(|_| slo.store.is_none())?;
    let figures =
        || chaos.results.iter().flat_map(|result| result.during.iter().chain(&result.after));
    // How often a service was asked: answers of all its probes over the seconds that are kept.
    let per_second = |service: ServiceKind| {
        let rows = chaos.seconds.iter().flat_map(|(_, rows)| rows);
        let asked = rows.filter(|row| row.service == service);
        let asked: u64 = asked.map(|row| u64::from(row.ok + row.failed + row.degraded)).sum();
        asked as f64 / chaos.seconds.len().max(1) as f64
    };
    let down = |service: ServiceKind| {
        let failed: u64 = figures().filter(|f| f.service == service).map(|f| f.failed).sum();
        failed as f64 / per_second(service).max(1.0)
    };
    let of = |service: &ServiceKind| {
        slo.service.is_none_or(|wanted| wanted == *service)
            && figures().any(|f| f.service == *service)
    };
    let each: Vec<f64> = ServiceKind::ALL.into_iter().filter(of).map(down).collect();
    (!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64)
}

/// For how long a service was not well outside of load and chaos, by its health checks; of all services
/// the mean, each counted alike. None where none was asked.
fn rest_down_seconds(slo: &Slo, state: &RunState) -> Option<f64> {
    let wanted = |service: &ServiceKind| slo.service.is_none_or(|one| one == *service);
    let asked = state.health.iter().filter(|(service, _)| slo.store.is_none() && wanted(service));
    let down: Vec<f64> = asked.map(|(_, health)| health.down_us as f64 / 1e6).collect();
    (!down.is_empty()).then(|| down.iter().sum::<f64>() / down.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, SHIPPED_SLOS};
    use crate::run::event::{Event, EventBody, PhaseOutcome, Verdict};
    use crate::run::state::PhaseState;
    use crate::slo::test_load::{measure, run_of};

    fn promises() -> SloDefinitions {
        LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions
    }

    /// A platform of a hundred requests per second that fails for the last so many seconds.
    fn outage(seconds: u64, failing: u64, over: u64) -> RunState {
        let mut state = run_of(promises());
        let step = 5;
        for at in 0..seconds / step {
            let end = (at + 1) * step;
            let bad = end > seconds - over - failing && end <= seconds - over;
            let timed_out = if bad { 100 * step } else { 0 };
            measure(&mut state, (step, end), (100 * step, 1000), timed_out);
        }
        state
    }

    fn alert(state: &RunState, number: usize) -> BurnRate {
        let promises = promises();
        let counts = Counts { n: 10, bad: 1 };
        of(0, &promises.slos[0], &promises, counts, state).expect("a budget").alerts.remove(number)
    }

    #[test]
    fn what_no_load_measured_costs_by_the_health_checks() {
        let promises = promises();
        let mut state = RunState {
            promises: Some(Box::new(promises.clone())),
            phases: [PhaseKind::Mixed, PhaseKind::Security].map(PhaseState::new).to_vec(),
            ..RunState::default()
        };
        let health = |healthy| EventBody::Health {
            service: ServiceKind::Chat,
            healthy,
            latency_us: 1,
            detail: String::new(),
        };
        let started = EventBody::PhaseStarted { planned_us: 1 };
        let outcome = PhaseOutcome::new(Verdict::Pass, "over");
        // One event every ten seconds, but for the last.
        for (seq, at, phase, body) in [
            (1, 10, Some(PhaseKind::Mixed), started.clone()),
            (2, 20, None, health(true)),
            (3, 30, None, health(false)),
            (4, 40, Some(PhaseKind::Mixed), EventBody::PhaseFinished { outcome }),
            (5, 50, None, health(true)),
            (6, 60, Some(PhaseKind::Security), started),
            (7, 70, None, health(false)),
            (8, 200, None, health(false)),
        ] {
            let (at_us, wall) = (at * 1_000_000, jiff::Timestamp::UNIX_EPOCH);
            state.apply(&Event { v: 1, seq, at_us, wall, phase, body });
        }
        let counts = Counts { n: 10, bad: 0 };
        let budget = of(0, &promises.slos[0], &promises, counts, &state).expect("a budget");
        // 20 s before the seventh event, and no more than the 30 s between two checks before the last.
        let expected = 50.0 / (3.6 * 3600.0) * 100.0;
        assert!((budget.whole_cost_percent() - expected).abs() < 1e-9, "{budget:?}");
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
    fn a_full_outage_fires_when_the_workbook_says() {
        // Factor x 0.5 % of the long window: 4.3, 10.8, 21.6 and 21.6 minutes of failures.
        const HOUR: u64 = 3600;
        for (number, hours, minutes) in [(0, 1, 4.32), (1, 6, 10.8), (2, 24, 21.6), (3, 72, 21.6)] {
            let at = (minutes * 60.0) as u64;
            let before = alert(&outage(hours * HOUR, at - at % 5 - 15, 0), number);
            assert!(!before.fires, "{number}: {before:?}");
            let after = alert(&outage(hours * HOUR, at + 30, 0), number);
            assert!(after.fires, "{number}: {after:?}");
        }
    }

    #[test]
    fn an_alert_ends_with_its_short_window() {
        let over = alert(&outage(3600, 600, 330), 0);
        assert!(!over.fires && over.long_burn > Some(14.4), "{over:?}");
        assert_eq!(over.short_burn, Some(0.0));
    }

    #[test]
    fn a_window_that_was_not_measured_says_nothing() {
        let rate = alert(&outage(600, 600, 0), 0);
        assert_eq!((rate.fires, rate.long_burn), (false, None));
        assert!(rate.short_burn.is_some());
    }
}
