//! PromQL of an objective: as its definition says that it is measured, else by the metrics that the
//! platform is expected to have by the conventions of Prometheus.

use crate::config::{Slo, SloKind};

/// PromQL for bad and all events of an objective over a window.
pub(super) fn bad_and_all(slo: &Slo, window: &str) -> (String, String) {
    // In the order in which a run's own questions to Prometheus are chosen.
    if buckets(slo).is_none()
        && let Some((good, all)) = stated(slo, window)
    {
        // Without a series of good events none was good.
        return (format!("({all} - ({good} or 0 * {all}))"), all);
    }
    let sum = |selector: String| format!("sum(rate({selector}[{window}]))");
    if slo.kind == SloKind::Latency {
        let all = sum(requests_timed(slo));
        return (format!("({all} - {})", sum(in_time(slo, &either_way(slo)))), all);
    }
    (sum(failures(slo)), sum(requests(slo)))
}

/// Good and all events, where the objective has queries of its own.
fn stated(slo: &Slo, window: &str) -> Option<(String, String)> {
    let sli = slo.prometheus.as_ref()?;
    let of = |query: &str| format!("({})", query.replace("{{window}}", window));
    Some((of(sli.good.as_ref()?), of(sli.total.as_ref()?)))
}

/// All requests.
pub(super) fn requests(slo: &Slo) -> String {
    selector("http_requests_total", slo, "")
}

/// Requests that count against an objective that speaks of failures.
pub(super) fn failures(slo: &Slo) -> String {
    let codes = if slo.kind == SloKind::ErrorRate { "[45].." } else { "5.." };
    selector("http_requests_total", slo, &format!("code=~\"{codes}\""))
}

/// All requests whose time was taken.
pub(super) fn requests_timed(slo: &Slo) -> String {
    match buckets(slo) {
        Some(buckets) => with_label(buckets, "le=\"+Inf\""),
        None => selector("http_request_duration_seconds_count", slo, ""),
    }
}

/// Requests that took no longer than the limit, whose bucket is matched by `le`.
pub(super) fn in_time(slo: &Slo, le: &str) -> String {
    match buckets(slo) {
        Some(buckets) => with_label(buckets, le),
        None => selector("http_request_duration_seconds_bucket", slo, le),
    }
}

/// The bucket that ends at the limit.
pub(super) fn exactly(slo: &Slo) -> String {
    format!("le=\"{}\"", limit(slo))
}

/// The same, as either version of a client or server writes whole numbers.
fn either_way(slo: &Slo) -> String {
    let limit = limit(slo);
    if limit.fract() == 0.0 { format!("le=~\"{limit}|{limit}.0\"") } else { exactly(slo) }
}

fn limit(slo: &Slo) -> f64 {
    slo.below.map_or(0.0, |below| below.get().as_secs_f64())
}

/// The buckets of its own that an objective of latency is measured by.
pub(super) fn buckets(slo: &Slo) -> Option<&str> {
    let own = slo.prometheus.as_ref().filter(|_| slo.kind == SloKind::Latency);
    own?.buckets.as_deref()
}

/// A metric with the labels of the objective's service and step; a step is meant by the beginning of its
/// name, as where a run is judged.
fn selector(metric: &str, slo: &Slo, more: &str) -> String {
    let service = slo.service.map(|service| format!("service=\"{service}\""));
    let step = slo.step.as_ref().map(|step| format!("step=~\"{}.*\"", literal(step)));
    let more = (!more.is_empty()).then(|| more.to_owned());
    let labels: Vec<String> = service.into_iter().chain(step).chain(more).collect();
    format!("{metric}{{{}}}", labels.join(","))
}

/// A text as it stands in a PromQL text that is a regular expression.
fn literal(text: &str) -> String {
    regex::escape(text).replace('\\', "\\\\").replace('"', "\\\"")
}

/// A selector with a label more.
fn with_label(selector: &str, label: &str) -> String {
    let selector = selector.trim();
    match selector.strip_suffix('}').map(|open| open.trim_end().trim_end_matches(',')) {
        None => format!("{selector}{{{label}}}"),
        Some(open) if open.ends_with('{') => format!("{open}{label}}}"),
        Some(open) => format!("{open},{label}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_meant_as_it_is_written() {
        assert_eq!(literal("query"), "query");
        assert_eq!(literal("GET /a.json?\"x\""), r#"GET /a\\.json\\?\"x\""#);
    }
}
