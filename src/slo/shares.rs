//! Objectives that are shares of bad requests, judged by exact bounds, window by window.

use super::budget;
use super::confidence::{Bounds, judge, needed};
use super::evaluation::{named, unmeasured, words};
use crate::config::{Slo, SloDefinitions, SloKind};
use crate::run::event::{Measurements, Objective, Verdict};
use crate::run::state::{Counts, RunState, SLICE_US};

/// What decided a share.
struct Decided {
    verdict: Verdict,
    bounds: Bounds,
    counts: Counts,
    /// Full windows that do not overlap, and the end of the one that decides; none when all of the
    /// load was taken together, which was shorter than the window.
    window: Option<(u64, u64)>,
}

/// Judges a share. Where the load was longer than the window, every full window has to be met: to
/// show that all are, each is tested at the confidence that is asked for; to show that one is not,
/// the doubt that is left is shared among those that do not overlap (Bonferroni).
fn decide(at: usize, slo: &Slo, all: Counts, allowed: f64, state: &RunState, sure: f64) -> Decided {
    let Some((windows, disjoint)) = state.windows.full(at, slo) else {
        let (verdict, bounds) = judge(all.bad, all.n, allowed, sure);
        return Decided { verdict, bounds, counts: all, window: None };
    };
    let surer = 1.0 - (1.0 - sure) / disjoint as f64;
    let judged = windows.into_iter().map(|window| {
        let Counts { n, bad } = window.counts;
        let (verdict, bounds) = judge(bad, n, allowed, sure);
        let verdict = match verdict {
            Verdict::Fail if judge(bad, n, allowed, surer).0 != Verdict::Fail => {
                Verdict::Inconclusive
            }
            verdict => verdict,
        };
        let window = Some((disjoint, window.at_us));
        Decided { verdict, bounds, counts: Counts { n, bad }, window }
    });
    let worst = judged
        .max_by(|a, b| a.verdict.cmp(&b.verdict).then(a.bounds.upper.total_cmp(&b.bounds.upper)));
    worst.unwrap_or(Decided {
        verdict: Verdict::Inconclusive,
        bounds: Bounds { lower: 0.0, upper: 1.0 },
        counts: all,
        window: None,
    })
}

/// Availability, error rate and latency are all shares of bad requests.
pub(super) fn share(
    at: usize,
    slo: &Slo,
    promises: &SloDefinitions,
    seen: &Measurements,
    state: &RunState,
) -> Objective {
    let Some(allowed) = slo.allowed_bad() else {
        return unmeasured(slo, Verdict::Inconclusive, "the definition is incomplete: slo lint");
    };
    let (n, bad) = (seen.requests(), seen.bad_for(slo));
    let decided = decide(at, slo, Counts { n, bad }, allowed, state, promises.confidence);
    let percent = promises.confidence * 100.0;
    let reason = match decided.verdict {
        Verdict::Inconclusive => undecided(&decided, allowed, promises.confidence),
        _ => String::new(),
    };
    let measured = match slo.kind {
        SloKind::Latency => slo.quantile.and_then(|q| seen.response.quantile(q)).map(words),
        SloKind::ErrorRate => (n > 0).then(|| share_words(bad, n)),
        _ => (n > 0).then(|| share_words(n - bad, n)),
    };
    let of = decided.window.map_or_else(String::new, |(windows, _)| {
        let Counts { n, bad } = decided.counts;
        format!("worst {} of {windows}: {bad} of {n}, ", slo.window)
    });
    Objective {
        measured: measured.unwrap_or_else(|| "-".into()),
        n,
        bad,
        verdict: decided.verdict,
        reason,
        bound: format!(
            "{of}{:.3} to {:.3} % bad at {percent:.0} %, {:.3} % allowed",
            decided.bounds.lower * 100.0,
            decided.bounds.upper * 100.0,
            allowed * 100.0
        ),
        method: method(slo, percent, &decided),
        budget: budget::of(at, slo, promises, Counts { n, bad }, state),
        ..named(slo)
    }
}

/// Why the samples do not decide.
fn undecided(decided: &Decided, allowed: f64, confidence: f64) -> String {
    let Counts { n, bad } = decided.counts;
    let of = if decided.window.is_some() { "a window of " } else { "" };
    match (n, needed(allowed, confidence)) {
        (0, _) => "nothing was measured".into(),
        (_, Some(needed)) if bad == 0 => {
            format!("{of}{n} samples: {needed} without a bad one decide")
        }
        _ => format!("{of}{n} samples, {bad} bad: too close to the limit for so few"),
    }
}

fn method(slo: &Slo, percent: f64, decided: &Decided) -> String {
    let what = match slo.kind {
        SloKind::Availability => {
            "bad: no connection, TLS, timeout, broken protocol, status 5xx".to_owned()
        }
        SloKind::ErrorRate => "bad: failed in any way".to_owned(),
        _ => format!(
            "bad: response time from the intended start at or above the limit, failed requests too; \
             of all requests {:.3} % may be",
            slo.allowed_bad().unwrap_or_default() * 100.0
        ),
    };
    let over = match decided.window {
        None if slo.store.is_some() => "over all queries while load ran".to_owned(),
        None => "over all load phases together, which are shorter than the window".to_owned(),
        Some((windows, at_us)) => format!(
            "over every full {} of load in steps of {} s ({windows} without overlap; the one that \
             decides ends {} s into the run)",
            slo.window,
            SLICE_US / 1_000_000,
            at_us / 1_000_000
        ),
    };
    format!("{what}. Exact binomial bounds, one-sided at {percent:.0} %, {over}")
}

fn share_words(part: u64, n: u64) -> String {
    format!("{:.2} %", part as f64 * 100.0 / n as f64)
}
