//! Objectives over their whole window, as the platform's own Prometheus has them. Bad events are
//! counted, not sampled, so there are no bounds; but what was not scraped is not known, and a limit
//! between two buckets of a histogram can only be bracketed.

mod api;

use async_trait::async_trait;

#[cfg(any(test, fuzzing))]
use self::api::read;
use self::api::{Prometheus, PrometheusError, Value};
use crate::config::{PrometheusSli, Slo, SloDefinitions, SloKind, TimeSpan};
use crate::run::error_budget::{BudgetLeft, ErrorBudget};
use crate::run::event::{Verdict, WholeWindow};

/// With less of the window scraped nothing is decided, in percent.
const LEAST_COVERAGE: f64 = 95.0;
/// The window of the burn rate that is shown.
const BURN_WINDOW: &str = "1h";

/// What the platform's own monitoring says about the objectives that it measures, and that are wanted.
pub async fn whole_windows(
    promises: &SloDefinitions,
    wanted: impl Fn(&Slo) -> bool,
) -> Vec<(&Slo, WholeWindow)> {
    let Some(source) = &promises.prometheus else { return Vec::new() };
    let measured = promises.slos.iter().filter(|slo| wanted(slo));
    let measured = measured.filter_map(|slo| Some((slo, slo.prometheus.as_ref()?)));
    let prometheus = Prometheus::new(source);
    let mut whole = Vec::new();
    for (slo, sli) in measured {
        let said = match &prometheus {
            Ok(prometheus) => prometheus.whole_window(slo, sli).await,
            Err(error) => nothing(slo, &error.to_string()),
        };
        whole.push((slo, said));
    }
    whole
}

/// The error budgets that are left, as the platform's own Prometheus has them.
pub struct MonitoredBudget;

#[async_trait]
impl ErrorBudget for MonitoredBudget {
    async fn left(&self, promises: &SloDefinitions) -> Vec<BudgetLeft> {
        let whole = whole_windows(promises, |slo| slo.kind == SloKind::Availability).await;
        let left = whole.into_iter().map(|(slo, whole)| BudgetLeft {
            of: format!("{} over {} by Prometheus", slo.id, whole.window),
            percent: whole.budget_left_percent.ok_or(whole.reason),
        });
        left.collect()
    }
}

impl Prometheus {
    /// What it says about an objective.
    async fn whole_window(&self, slo: &Slo, sli: &PrometheusSli) -> WholeWindow {
        match self.measure(slo, sli).await {
            Ok(whole) => whole,
            Err(error) => nothing(slo, &error.to_string()),
        }
    }

    async fn measure(
        &self,
        slo: &Slo,
        sli: &PrometheusSli,
    ) -> Result<WholeWindow, PrometheusError> {
        let allowed = slo.allowed_bad().unwrap_or_default();
        let window = prometheus_span(slo.window);
        let coverage = self.coverage(&window, slo.window).await?;
        let Some((total, bad)) = self.bad(slo, sli, &window).await? else {
            return Ok(WholeWindow {
                coverage_percent: coverage,
                ..nothing(slo, "Prometheus has no events of it")
            });
        };
        let burn = self.bad(slo, sli, BURN_WINDOW).await?.map(|(_, bad)| bad.1 / allowed);
        Ok(judge(slo, allowed, total, bad, coverage, burn))
    }

    /// Share of the window of which there are samples, in percent.
    async fn coverage(&self, window: &str, span: TimeSpan) -> Result<Option<f64>, PrometheusError> {
        let query = format!("max(count_over_time({}[{window}]))", self.source.up);
        let seen = self.query(&query).await?.first().map(|value| value.value);
        let every = self.source.scrape_interval.get().as_secs_f64().max(0.001);
        let expected = span.get().as_secs_f64() / every;
        Ok(seen.map(|seen| (seen / expected * 100.0).min(100.0)))
    }

    /// Events, and the least and the largest share of bad ones; none without events.
    async fn bad(
        &self,
        slo: &Slo,
        sli: &PrometheusSli,
        window: &str,
    ) -> Result<Option<(f64, (f64, f64))>, PrometheusError> {
        if let (Some(buckets), Some(below)) = (&sli.buckets, slo.below) {
            let query = format!("sum by (le) (increase({buckets}[{window}]))");
            let values = self.query(&query).await?;
            return Ok(bracket(&values, below.get().as_secs_f64()));
        }
        let (Some(good), Some(total)) = (&sli.good, &sli.total) else {
            return Err(PrometheusError(
                "`good` and `total`, or `buckets`, have to be named".into(),
            ));
        };
        let one = |query: &str| query.replace("{{window}}", window);
        let total = self.query(&one(total)).await?.first().map(|value| value.value);
        // No series of good events beside some of all events: none was good.
        let good = self.query(&one(good)).await?.first().map_or(0.0, |value| value.value);
        Ok(total.filter(|total| *total > 0.0).map(|total| {
            let bad = (1.0 - good / total).clamp(0.0, 1.0);
            (total, (bad, bad))
        }))
    }
}

/// Takes a body for a histogram, whoever wrote it.
#[cfg(any(test, fuzzing))]
pub fn histogram_in(body: &[u8], limit: f64) -> Option<(f64, f64)> {
    let buckets = read(body)?.ok()?;
    Some(bracket(&buckets, limit)?.1)
}

/// All events of a histogram, and the least and the largest share at or above a limit in seconds.
fn bracket(buckets: &[Value], limit: f64) -> Option<(f64, (f64, f64))> {
    let total = buckets.iter().find(|bucket| bucket.le == Some(f64::INFINITY))?.value;
    if total <= 0.0 {
        return None;
    }
    let near = |le: f64| (le - limit).abs() <= limit * 1e-9;
    let upper = |value: &Value| value.le.filter(|le| le.is_finite());
    let at_most = |value: &&Value| upper(value).is_some_and(|le| le < limit || near(le));
    let at_least = |value: &&Value| upper(value).is_some_and(|le| le > limit || near(le));
    // Events up to a bound below the limit are surely good; those up to one above it may be.
    let surely = buckets.iter().filter(at_most).map(|b| b.value).fold(0.0, f64::max);
    let perhaps = buckets.iter().filter(at_least).map(|b| b.value).fold(total, f64::min);
    let share = |good: f64| (1.0 - good / total).clamp(0.0, 1.0);
    Some((total, (share(perhaps.max(surely)), share(surely))))
}

fn judge(
    slo: &Slo,
    allowed: f64,
    total: f64,
    bad: (f64, f64),
    coverage: Option<f64>,
    burn: Option<f64>,
) -> WholeWindow {
    let (least, most) = bad;
    let percent = |share: f64| share * 100.0;
    let bucket_limited = most - least > 1e-12;
    let words = if bucket_limited {
        format!("{:.3} to {:.3} % bad", percent(least), percent(most))
    } else {
        format!("{:.3} % bad", percent(most))
    };
    let words = format!("{words} of {total:.0}, {:.3} % allowed", percent(allowed));
    let enough = coverage.is_some_and(|coverage| coverage >= LEAST_COVERAGE);
    let (verdict, reason) = if !enough {
        let seen = coverage.map_or_else(|| "nothing".into(), |c| format!("{c:.1} %"));
        (
            Verdict::Inconclusive,
            format!("insufficient_history: {seen} of the window was scraped; {words}"),
        )
    } else if most <= allowed {
        (Verdict::Pass, words)
    } else if least > allowed {
        (Verdict::Fail, words)
    } else {
        (Verdict::Inconclusive, format!("bucket_limited: no bucket ends at the limit; {words}"))
    };
    let left = 1.0 - most / allowed.max(f64::MIN_POSITIVE);
    let budget = slo.kind == SloKind::Availability && enough;
    let window = slo.window.get().as_secs_f64();
    let ends = burn.filter(|burn| *burn > 0.0).map(|burn| left.max(0.0) * window / burn);
    WholeWindow {
        window: slo.window.to_string(),
        verdict,
        reason,
        total: Some(total),
        bad_share: Some(bad),
        coverage_percent: coverage,
        budget_left_percent: budget.then_some(left * 100.0),
        burn_rate: burn,
        exhausted_after_seconds: ends.filter(|_| budget),
    }
}

fn nothing(slo: &Slo, why: &str) -> WholeWindow {
    WholeWindow {
        window: slo.window.to_string(),
        verdict: Verdict::Inconclusive,
        reason: why.to_owned(),
        total: None,
        bad_share: None,
        coverage_percent: None,
        budget_left_percent: None,
        burn_rate: None,
        exhausted_after_seconds: None,
    }
}

/// A span as PromQL has it: the same units, without `ms` beside others.
fn prometheus_span(span: TimeSpan) -> String {
    format!("{}s", span.get().as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use super::api::number;
    use super::*;
    use crate::config::{LoadedSlos, SHIPPED_SLOS};

    fn slo(id: &str) -> Slo {
        let promises = LoadedSlos::parse("built-in", SHIPPED_SLOS).expect("valid").definitions;
        promises.slos.into_iter().find(|slo| slo.id == id).expect("defined")
    }

    fn buckets(of: &[(&str, f64)]) -> Vec<Value> {
        of.iter().map(|(le, value)| Value { le: number(le), value: *value }).collect()
    }

    const USUAL: [(&str, f64); 4] =
        [("0.5", 900.0), ("1", 980.0), ("2.5", 995.0), ("+Inf", 1000.0)];

    #[test]
    fn a_limit_between_two_buckets_is_only_bracketed() {
        let (total, (least, most)) = bracket(&buckets(&USUAL), 2.0).expect("events");
        assert_eq!(total, 1000.0);
        assert!((least - 0.005).abs() < 1e-12 && (most - 0.02).abs() < 1e-12, "{least} {most}");
        let whole = judge(&slo("p99"), 0.01, total, (least, most), Some(100.0), None);
        assert_eq!(whole.verdict, Verdict::Inconclusive);
        assert!(whole.reason.starts_with("bucket_limited"), "{}", whole.reason);
    }

    #[test]
    fn a_limit_on_a_bucket_and_one_beyond_all_are_decided() {
        let (_, (least, most)) = bracket(&buckets(&USUAL), 1.0).expect("events");
        assert!((least - 0.02).abs() < 1e-12 && (most - 0.02).abs() < 1e-12);
        let (_, (least, most)) = bracket(&buckets(&USUAL), 10.0).expect("events");
        assert!(
            least == 0.0 && (most - 0.005).abs() < 1e-12,
            "beyond the last bound some may be good"
        );
        assert!(bracket(&buckets(&[("1", 0.0), ("+Inf", 0.0)]), 1.0).is_none(), "no events");
    }

    #[test]
    fn an_overspent_budget_is_below_nothing() {
        let whole =
            judge(&slo("availability"), 0.005, 1e6, (0.0075, 0.0075), Some(99.0), Some(2.0));
        assert_eq!(whole.verdict, Verdict::Fail);
        assert!((whole.budget_left_percent.expect("a budget") + 50.0).abs() < 1e-9);
        assert_eq!(whole.exhausted_after_seconds, Some(0.0));
        let half = judge(&slo("availability"), 0.005, 1e6, (0.0025, 0.0025), Some(99.0), Some(2.0));
        assert_eq!(half.exhausted_after_seconds, Some(0.5 * 30.0 * 86_400.0 / 2.0));
    }

    #[test]
    fn a_young_platform_has_insufficient_history() {
        let whole = judge(&slo("availability"), 0.005, 1e6, (0.5, 0.5), Some(12.0), Some(2.0));
        assert_eq!((whole.verdict, whole.budget_left_percent), (Verdict::Inconclusive, None));
        assert!(whole.reason.starts_with("insufficient_history: 12.0 %"), "{}", whole.reason);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_answered_shares_stay_shares(
            text in proptest::prelude::any::<String>(),
            values in proptest::collection::vec((proptest::prelude::any::<f64>(), proptest::prelude::any::<f64>()), 0..5),
        ) {
            let series = |(le, value): &(f64, f64)| {
                serde_json::json!({ "metric": { "le": le.to_string() }, "value": [0, value.to_string()] })
            };
            let all = serde_json::json!({ "metric": { "le": "+Inf" }, "value": [0, "7"] });
            let all: Vec<_> = values.iter().map(series).chain([all]).collect();
            let answer = serde_json::json!({ "status": "success", "data": { "result": all } });
            for body in [text, answer.to_string()] {
                let shares = histogram_in(body.as_bytes(), 0.3);
                assert!(shares.is_none_or(|(least, most)| 0.0 <= least && least <= most && most <= 1.0));
            }
        }
    }
}
