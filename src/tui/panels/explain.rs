//! What the numbers mean: formula, n, method.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::explain_objective;
use super::{lines, page, wrapped};
use crate::run::event::Objective;
use crate::run::state::RECENT_INTERVALS;
use crate::tui::app::{App, Panel};

/// Draws it, a page at a time; the key for it turns the page.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let mut rows = vec![Line::styled(" what the numbers mean (Esc closes)", app.theme.title)];
    let mut say = |text: &str, indent: &str, style| {
        let width = usize::from(area.width).saturating_sub(indent.len());
        let text = wrapped(&app.glyphs.text(text), width);
        rows.extend(text.into_iter().map(|row| Line::styled(format!("{indent}{row}"), style)));
    };
    let objectives = &app.shown().objectives;
    let selected = objectives.get(app.objective).filter(|_| app.panel == Panel::Slo);
    if let Some(objective) = selected {
        let Objective { id, objective: asked, measured, verdict, .. } = objective;
        say(&format!("{id}: {measured} of {asked}, {verdict}"), " ", app.theme.accent);
        for row in explain_objective::rows(objective, app.shown()) {
            say(&row, "   ", app.theme.text);
        }
        say("up and down choose another objective", " ", app.theme.dim);
        let controls = explain_objective::controls(app.shown());
        if !controls.is_empty() {
            say("controls: by evidence, no part of the verdict", " ", app.theme.accent);
        }
        controls.iter().for_each(|row| say(row, "   ", app.theme.text));
    }
    for objective in objectives.iter().filter(|_| selected.is_none()) {
        let Objective { id, objective: asked, measured, verdict, method, n, .. } = objective;
        say(&format!("{id}: {measured} of {asked}, {verdict}"), " ", app.theme.accent);
        say(&format!("{method} (n {n})"), "   ", app.theme.text);
        for more in [&objective.bound, &objective.reason] {
            if !more.is_empty() {
                say(more, "   ", app.theme.text);
            }
        }
    }
    let load = app.load_phase().and_then(|phase| phase.load.as_ref());
    if let Some(limit) = load.and_then(|load| load.limit.as_ref()) {
        let state = if limit.complete { "found" } else { "still looking" };
        let steps = limit.steps.len();
        say(&format!("largest sustained rate: {}", limit.words()), " ", app.theme.accent);
        say(&format!("{state}, {steps} steps; {LIMIT}"), "   ", app.theme.text);
    }
    let n = app.load().all_now.n;
    let now =
        format!("now: the last {RECENT_INTERVALS} intervals of one second, here {n} requests");
    for note in [&now].into_iter().map(String::as_str).chain(NOTES) {
        say(note, " ", app.theme.text);
    }
    let text = page(rows, app.explain_page, area, "e turns the page, Esc closes", app);
    lines(frame, area, app, text);
}

const LIMIT: &str = "an interval: the largest rate of flows that was borne, and the smallest that was not; the first third of a step is not judged; a rate is not borne when a threshold or the promised P99 breaks, more than 1 % of requests fail or of flows find no free user, or requests in flight and response time both grow (slope above 0 with 95 % confidence)";

const NOTES: [&str; 11] = [
    "P50, P95, P99: HdrHistogram quantiles, three significant digits, over all finished requests, failed ones too",
    "response time: from the intended start (end of the last request plus think time, pauses left out) to the end",
    "service time: from the moment at which work on the request began (connecting included) to the end",
    "late: from the intended start to the actual one; it is the generator's fault, never the target's: a P99 above 20 ms and a tenth of the response P99, or a thread above 90 % of a core in a tenth of the intervals, makes the phase invalid",
    "at its ceiling: users without think time use a core up by design; the rate is the generator's, and thresholds on times or rates that break may be its doing (invalid); failures are not",
    "first token: from the actual start to the first event with content (one that only names the role is none)",
    "gaps: between two arrivals of content; events that came in one read are together, with no gap between",
    "per token: from first to last content of an answer, divided by its tokens less one; tokens as the answer's usage says, else events",
    "flows: taken to their end; broken: given up before it; dropped: due by the rate, and no user was free (maxVUs)",
    "thresholds: over the whole phase, or in every window of the length in brackets; a window counts once it is full; n is what it is computed from",
    "failed: connect, TLS, timeout, status 4xx or 5xx, wrong content (check), broken protocol",
];
