//! What the figures of the load panel are: in its own words and order, with their formulas, and with what
//! was put into them.

use crate::run::event::Iterations;
use crate::run::histogram::Histogram;
use crate::run::state::{LoadState, RECENT_INTERVALS};
use crate::tui::app::App;
use crate::tui::format::count;

/// Figures as the panel names them, with what they are.
pub type Explained = (&'static str, String);

/// All of them.
pub fn rows(app: &App) -> Vec<Explained> {
    let none = LoadState::default();
    let load = app.load_phase().and_then(|phase| phase.load.as_ref()).unwrap_or(&none);
    let mut rows = of_requests(app, load);
    rows.extend(of_the_generator(load));
    rows.extend(of_the_limit(load));
    rows.extend(of_thresholds(load));
    rows.extend(of_scenarios(load));
    rows.extend(of_streams(load));
    rows.push((
        "history . + *, marks",
        "P50, P95 and P99 of response time, an interval of one second a point; over long phases points are \
         merged, and the largest counts. Marks: what was done meanwhile, as the log tells it"
            .into(),
    ));
    rows
}

fn of_requests(app: &App, load: &LoadState) -> Vec<Explained> {
    let (now, whole) = (load.now(None), load.totals(None));
    let selected = app.selected_service();
    let here = selected.map_or_else(String::new, |service| {
        format!(", {} of {service}", load.now(Some(service)).measured.requests())
    });
    let (n, failed) = (whole.measured.requests(), whole.measured.failed());
    let seconds = whole.length_us as f64 / 1e6;
    vec![
        (
            "now, last 10 s",
            format!(
                "the last {RECENT_INTERVALS} intervals of one second, here {} requests{here}; steps, scenarios, \
                 streams, thresholds and the generator count from the beginning of the phase",
                now.measured.requests()
            ),
        ),
        (
            "response",
            "response time = end - intended start (by the rate, or the end of the last request plus think \
             time; pauses left out)"
                .into(),
        ),
        (
            "service",
            "service time = end - moment at which work on the request began (connecting included)".into(),
        ),
        (
            "columns",
            "requests by their time on a logarithmic axis from 1 ms to 30 s, the fullest column highest; the \
             line is the promised P99"
                .into(),
        ),
        (
            "P50, P95, P99",
            format!(
                "HdrHistogram quantiles: the least time that 50, 95, 99 % of n did not exceed, to three \
                 significant digits, failed requests too; n = {n} for all steps together. Histograms of \
                 threads are added, quantiles never averaged"
            ),
        ),
        ("max", "the longest of the n times, to three significant digits".into()),
        ("n", format!("finished requests, failed ones too: {n} in the phase")),
        (
            "/s, req/s",
            format!(
                "n / time measured, pauses left out; all steps together: {n} / {seconds:.0} s = {:.1}/s",
                whole.rate().unwrap_or_default()
            ),
        ),
        (
            "failed, errors, cut off",
            format!(
                "of n, those that failed ({failed} of {n} in the phase), by kind: dns, connect, tls, timeout, \
                 status 4xx or 5xx, wrong content (check), broken protocol; cut off: without an answer \
                 when their users had to leave, in no other figure"
            ),
        ),
    ]
}

fn of_the_generator(load: &LoadState) -> Vec<Explained> {
    let timer =
        load.start.as_ref().and_then(|start| start.clock).map_or_else(String::new, |clock| {
            format!("; below {:.1} ms the timer cannot tell", clock.timer().as_secs_f64() * 1e3)
        });
    vec![
        (
            "generator trustworthy, INVALID",
            format!(
                "invalid: late P99 above 20 ms and a tenth of the response P99; or a thread above 90 % of a \
                 core in a tenth of the intervals ({} of {} here); or one answer in a hundred may have waited \
                 as long for the generator; or one request in a hundred was not sent",
                load.busy_intervals, load.intervals
            ),
        ),
        (
            "AT ITS CEILING",
            format!(
                "users without think time use a core up by design; the rate is the generator's, and \
                 thresholds on times or rates that break may be its doing (invalid); failures are not. Its \
                 own part of a response: P99 of what answers may have waited for its loop (n {})",
                load.loop_lateness.count()
            ),
        ),
        ("users", "virtual users at the end of the last interval".into()),
        (
            "not sent",
            "requests for which this machine had no descriptor or port left: in no other count".into(),
        ),
        (
            "late",
            format!(
                "lateness = actual start - intended start (n {}): the generator's fault, never the target's\
                 {timer}",
                load.lateness.count()
            ),
        ),
        (
            "busiest thread",
            "CPU time of the generator's busiest thread / length of the last interval, in percent of a core"
                .into(),
        ),
    ]
}

fn of_the_limit(load: &LoadState) -> Option<Explained> {
    let limit = load.limit.as_ref()?;
    let state = if limit.complete { "found" } else { "still looking" };
    let (words, steps) = (limit.words(), limit.steps.len());
    Some((
        "limit flows/s, try, again, hold, req/s",
        format!(
            "{words}; {state}, {steps} steps. An interval: what flows ended at while the largest rate was \
             held for three steps (hold), less two and a half standard deviations of that count, and the \
             smallest rate that was not borne (try), for two steps once more (again) where that may have \
             been chance; n, P99, \
             failed and req/s are those of a step without its first third, which is not judged. A rate is \
             not borne when a threshold or the promised P99 breaks, more than 1 % of requests fail or of \
             flows find no free user, or fewer flows end than begin, by more than two standard deviations, \
             and response time grows (slope above 0 with 95 % confidence)"
        ),
    ))
}

fn of_thresholds(load: &LoadState) -> Option<Explained> {
    let rows = &load.thresholds;
    (!rows.is_empty()).then(|| {
        (
            "thresholds now, n, broken for, worst",
            "now: the value over the whole phase, or over the last window of the length in brackets, which \
             counts once it is full; n: what it is computed from; broken for: all windows that did not hold \
             together; worst: the value furthest off; open: nothing is decided yet; skipped: what it \
             speaks of was left out; invalid: the generator was the bottleneck, and it says nothing about \
             the target. In a search they judge the step under way, and not the phase"
                .into(),
        )
    })
}

fn of_scenarios(load: &LoadState) -> Option<Explained> {
    let models = load.start.as_ref().is_some_and(|start| !start.models.is_empty());
    let mut all = Iterations::default();
    load.iterations.values().for_each(|iterations| all.add(iterations));
    models.then(|| {
        (
            "scenario users, flows, broken, dropped, P95",
            format!(
                "flows taken to their end ({}); broken: given up before it; dropped: due by the rate, and no \
                 user was free (maxVUs); P95 of a whole flow: its end - its intended start, pauses between \
                 steps included (n {})",
                count(all.finished),
                all.duration.count()
            ),
        )
    })
}

fn of_streams(load: &LoadState) -> Vec<Explained> {
    let of = load.totals(None).measured;
    if of.streams.is_empty() {
        return Vec::new();
    }
    let n = |times: &Option<Histogram>| times.as_ref().map_or(0, Histogram::count);
    vec![
        ("streams", format!("streamed answers that came whole: {}", of.streams.streams)),
        (
            "first token",
            format!(
                "first event with content (one that only names the role is none) - actual start (n {})",
                n(&of.first_token)
            ),
        ),
        (
            "per token",
            format!(
                "(last content - first content) / (tokens - 1), one value an answer (n {})",
                n(&of.time_per_token)
            ),
        ),
        (
            "gaps",
            format!("between two arrivals of content, one value a gap (n {})", n(&of.token_gap)),
        ),
        (
            "tokens/s",
            format!(
                "tokens of the service's answers / time measured: as their usage says ({} answers without: \
                 their events)",
                of.streams.without_usage
            ),
        ),
        (
            "events, together",
            format!(
                "events with content ({}); of these, events that came in one read with the one before ({}): \
                 between them there is no gap to measure",
                of.streams.chunks, of.streams.coalesced
            ),
        ),
    ]
}
