//! Chaos: the experiment that is under way with every service second by second, what proves the
//! fault, what abort would undo, and what the experiments before it showed.

use std::collections::BTreeMap;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{fitted, fixed, folded, lines, numbered};
use crate::config::ServiceKind;
use crate::run::event::{
    ExperimentResult, MomentKind, ProbeSecond, Stage, SteadyFigures, Timeline, Verdict,
};
use crate::run::state::{ActiveFault, ChaosState, CurrentExperiment, IF_LEFT};
use crate::tui::app::{App, Link};
use crate::tui::format::{clock, count, latency};

/// Width of a name before a lane.
const NAME: usize = 8;
/// Columns of the bar of a recovery that is over, whatever time it took.
const PAST_COLUMNS: u64 = 40;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let phase = app.shown().phases.iter().find_map(|phase| phase.chaos.as_ref());
    let Some(chaos) = phase else {
        let text = "   nothing has been broken yet: the chaos phase fills this panel";
        return lines(frame, area, app, vec![Line::raw(""), Line::styled(text, app.theme.dim)]);
    };
    let parts = [now(chaos, area.width, app), stages(chaos, app), results(chaos, app)];
    let untouched = Part { head: None, rows: excluded(chaos, app) };
    let fit = |line| rows(ascii(line, app), usize::from(area.width));
    let parts = parts.into_iter().chain([untouched]).map(|part| Part {
        head: part.head.map(|head| ascii(head, app)),
        rows: part.rows.into_iter().flat_map(fit).collect(),
    });
    let parts: Vec<Part<'_>> = parts.filter(|part| !part.rows.is_empty()).collect();
    let whole: usize = parts.iter().map(Part::height).sum();
    let title = fit(title(chaos, app));
    let height = usize::from(area.height);
    if title.len() + whole <= height {
        return lines(frame, area, app, paged(&title, parts, height).concat());
    }
    let room = height.saturating_sub(1);
    let mut pages = paged(&title, parts, room);
    let (at, of) = (app.panel_page % pages.len(), pages.len());
    let page = numbered(pages.swap_remove(at), (at, of), room, "3 turns", app);
    lines(frame, area, app, page);
}

/// Rows that stand together, below a head that goes with them to every page.
struct Part<'a> {
    head: Option<Line<'a>>,
    rows: Vec<Line<'a>>,
}

impl Part<'_> {
    fn height(&self) -> usize {
        usize::from(self.head.is_some()) + self.rows.len()
    }
}

/// Parts on pages of so much room, each below the title and the head of the part that it begins with.
fn paged<'a>(title: &[Line<'a>], parts: Vec<Part<'a>>, room: usize) -> Vec<Vec<Line<'a>>> {
    let (mut pages, mut page) = (Vec::new(), title.to_vec());
    for Part { head, rows } in parts {
        let mut below = head.is_none();
        for row in rows {
            // A head does not stand alone at the foot of a page.
            let needed = if below { 1 } else { 2 };
            if page.len() > title.len() && page.len() + needed > room {
                pages.push(std::mem::replace(&mut page, title.to_vec()));
                below = head.is_none();
            }
            if !below {
                page.extend(head.clone());
                below = true;
            }
            page.push(row);
        }
    }
    pages.push(page);
    pages
}

/// What is under way: the experiment, every service second by second, and every target's recovery.
fn now<'a>(chaos: &ChaosState, width: u16, app: &App) -> Part<'a> {
    let mut rows = chaos.current.as_ref().map_or_else(Vec::new, |now| experiment(now, app));
    let columns = usize::from(width).saturating_sub(NAME + 2);
    rows.extend(lanes(chaos, columns, app));
    let (timelines, until_us) = latest(chaos);
    rows.extend(timelines.iter().map(|timeline| bar(timeline, chaos, until_us, columns, app)));
    if !rows.is_empty() {
        let (done, dim) = (app.glyphs.done(), app.theme.dim);
        let marks = format!(
            " probes: {done} well, + some failed, x all failed, d without a peer; targets: ! under the fault, ~ on \
             the way back, {done} stable"
        );
        rows.push(Line::styled(marks, dim));
    }
    if chaos.current.is_some() {
        rows.extend(timelines.iter().map(|timeline| moments(timeline, app)));
    }
    Part { head: None, rows }
}

/// A line in rows that fit, each as far in as the first; one of several styles fits by itself.
fn rows(line: Line<'_>, width: usize) -> Vec<Line<'_>> {
    let [words] = &line.spans[..] else { return vec![line] };
    let margin = words.content.len() - words.content.trim_start().len();
    folded(line, width, margin)
}

fn ascii<'a>(line: Line<'a>, app: &App) -> Line<'a> {
    let spans = line.spans.into_iter();
    let spans = spans.map(|span| Span::styled(app.glyphs.text(&span.content), span.style));
    Line::from(spans.collect::<Vec<_>>()).style(line.style)
}

fn title<'a>(chaos: &ChaosState, app: &App) -> Line<'a> {
    let (runtime, seed, planned) =
        chaos.start.as_ref().map_or(("", 0, 0), |s| (s.runtime.as_str(), s.seed, s.experiments));
    let last = chaos.results.last().map_or(0, |result| result.number);
    let number = chaos.current.as_ref().map_or(last, |current| current.number);
    let score = chaos.score.as_ref().map_or_else(String::new, |score| match score.score {
        Some(points) => {
            format!("   resilience {points:.0} of 100, coverage {}/{}", score.covered, score.asked)
        }
        None => "   no resilience score".into(),
    });
    Line::styled(
        format!(
            " chaos by the {runtime} runtime   experiment {number} of {planned}   seed {seed}{score}"
        ),
        app.theme.title,
    )
}

fn experiment<'a>(current: &CurrentExperiment, app: &App) -> Vec<Line<'a>> {
    let Some(fault) = &current.fault else {
        let text = format!("   {}: measuring the platform, nothing is broken now", current.title);
        return vec![Line::styled(text, app.theme.text)];
    };
    if matches!(app.link, Link::Lost(_)) {
        // Nobody counts down any more, and nobody is there to be told to abort.
        let words = format!(
            "   nothing is heard of its engine, and whoever holds it ends it: {}; if the engine is gone, \
             `shakedown recover` makes sure",
            fault.fault
        );
        return vec![Line::styled(words, app.theme.bad)];
    }
    let undo = match fault.healing {
        Some(_) => format!("   being done: {}", fault.undo),
        None => format!("   if you abort now: {}, then wait for a steady platform", fault.undo),
    };
    let (proof, style) = match &fault.effect {
        Some((true, evidence)) => (format!("   proof: {evidence}"), app.theme.ok),
        Some((false, evidence)) => {
            (format!("   no proven effect yet: {evidence}"), app.theme.warning)
        }
        None if fault.healing.is_some() => ("   no effect was measured".into(), app.theme.dim),
        None => ("   its effect is being measured".into(), app.theme.dim),
    };
    let mut rows = vec![Line::styled(format!("   {}", in_words(fault, app)), app.theme.bad)];
    if let Some(why) = &fault.trouble {
        rows.push(Line::styled(format!("   {why}; {IF_LEFT}"), app.theme.warning));
    }
    rows.extend([Line::styled(proof, style), Line::styled(undo, app.theme.dim)]);
    rows
}

/// Until when a fault is there, or for how long it has been healed, then what it is: a narrow screen
/// cuts off the end.
pub fn in_words(fault: &ActiveFault, app: &App) -> String {
    if let Some(reason) = &fault.healing {
        let seconds = app.now_us().saturating_sub(fault.healing_since_us) / 1_000_000;
        return format!("healing for {seconds} s ({reason}): {}", fault.fault);
    }
    let left = fault.until_us.saturating_sub(app.now_us());
    if fault.until_us == fault.since_us {
        return format!("waiting until it is back: {}", fault.fault);
    }
    format!("heals itself in {}: {}", clock(Duration::from_micros(left)), fault.fault)
}

/// A lane a service: one column a second, the newest on the right.
fn lanes<'a>(chaos: &ChaosState, columns: usize, app: &App) -> Vec<Line<'a>> {
    let skipped = chaos.seconds.len().saturating_sub(columns);
    let mut services: BTreeMap<ServiceKind, Vec<Span<'a>>> = BTreeMap::new();
    for (_, probes) in chaos.seconds.iter().skip(skipped) {
        let known: Vec<ServiceKind> = probes.iter().map(|probe| probe.service).collect();
        for service in ServiceKind::ALL.into_iter().filter(|s| known.contains(s)) {
            let own = probes.iter().filter(|probe| probe.service == service);
            services.entry(service).or_default().push(second(own, app));
        }
    }
    services
        .into_iter()
        .map(|(service, cells)| {
            let name = Span::styled(format!(" {:<NAME$}", service.name()), app.theme.text);
            Line::from([vec![name], cells].concat())
        })
        .collect()
}

fn second<'a, 'b>(probes: impl Iterator<Item = &'b ProbeSecond>, app: &App) -> Span<'a> {
    let sum = |(ok, failed, degraded): (u32, u32, u32), probe: &ProbeSecond| {
        (ok + probe.ok, failed + probe.failed, degraded + probe.degraded)
    };
    match probes.fold((0, 0, 0), sum) {
        (0, 0, 0) => Span::raw(" "),
        (_, 0, 0) => Span::styled(app.glyphs.done(), app.theme.ok),
        (_, 0, _) => Span::styled("d", app.theme.warning),
        (0, ..) => Span::styled("x", app.theme.bad),
        _ => Span::styled("+", app.theme.warning),
    }
}

/// The timelines of the experiment that is under way, or else of the last one, and the end of the latter.
fn latest(chaos: &ChaosState) -> (&[Timeline], u64) {
    match (&chaos.current, chaos.results.last()) {
        (Some(current), _) => (&current.timelines, u64::MAX),
        (None, Some(last)) => (&last.timelines, chaos.ended_us),
        (None, None) => (&[], 0),
    }
}

/// The recovery of a target below the lanes of the services, second by second: broken, on its way
/// back, stable; nothing after the end of its experiment.
fn bar<'a>(
    timeline: &Timeline,
    chaos: &ChaosState,
    until_us: u64,
    columns: usize,
    app: &App,
) -> Line<'a> {
    let skipped = chaos.seconds.len().saturating_sub(columns);
    let seconds = chaos.seconds.iter().skip(skipped).map(|(at, _)| *at);
    let cells = seconds.map(|at| standing(timeline.stood_at(at).filter(|_| at <= until_us), app));
    let name = Span::styled(format!(" {}", fixed(&timeline.target, NAME)), app.theme.text);
    Line::from([vec![name], cells.collect()].concat())
}

/// How a target stands after its last moment: broken, on its way back, or stable; before the first nothing
/// is known.
fn standing<'a>(after: Option<MomentKind>, app: &App) -> Span<'a> {
    match after {
        None => Span::raw(" "),
        Some(MomentKind::Injected | MomentKind::Died) => Span::styled("!", app.theme.bad),
        Some(MomentKind::Stable) => Span::styled(app.glyphs.done(), app.theme.ok),
        Some(_) => Span::styled("~", app.theme.warning),
    }
}

fn moments<'a>(timeline: &Timeline, app: &App) -> Line<'a> {
    Line::styled(format!("   {}: {}", timeline.target, told(timeline)), app.theme.text)
}

fn told(timeline: &Timeline) -> String {
    let origin = timeline.origin_us();
    let words: Vec<String> = timeline.moments.iter().map(|moment| moment.words(origin)).collect();
    words.join("  ")
}

/// The whole recovery of a target of an experiment that is over, on a bar of its own scale, and its
/// moments below it.
fn past<'a>(timeline: &Timeline, app: &App) -> Vec<Line<'a>> {
    let (origin, last) = (timeline.origin_us(), timeline.moments.iter().map(|m| m.at_us).max());
    let Some(last) = last else { return Vec::new() };
    let length = last.saturating_sub(origin);
    let cells = (0..=PAST_COLUMNS)
        .map(|column| standing(timeline.stood_at(origin + length * column / PAST_COLUMNS), app));
    let name = Span::styled(format!("     {} ", fixed(&timeline.target, NAME)), app.theme.text);
    let length = Span::styled(format!(" {:.1} s", length as f64 / 1e6), app.theme.dim);
    let bar = std::iter::once(name).chain(cells).chain([length]);
    let moments = Line::styled(format!("       {}", told(timeline)), app.theme.dim);
    vec![Line::from_iter(bar), moments]
}

/// Every service in the stages of the experiment that is under way, or else of the last one.
fn stages<'a>(chaos: &ChaosState, app: &App) -> Part<'a> {
    let figures: [&[SteadyFigures]; 3] = match (&chaos.current, chaos.results.last()) {
        (Some(current), _) => Stage::ALL.map(|stage| current.measured(stage)),
        (None, Some(last)) => [&last.before, &last.during, &last.after],
        (None, None) => [&[], &[], &[]],
    };
    let known = |service: &ServiceKind| figures.concat().iter().any(|row| row.service == *service);
    let services: Vec<ServiceKind> = ServiceKind::ALL.into_iter().filter(known).collect();
    let titles = Stage::ALL
        .iter()
        .map(|stage| format!("{:>9}{:>8}{:>8}", format!("{} n", stage.name()), "failed", "P95"));
    let title = format!(" {:<4}{}", "", titles.collect::<String>());
    let rows = services.into_iter().map(|service| {
        let name = Span::styled(format!(" {:<4}", service.name()), app.theme.text);
        let cells =
            figures.iter().map(|rows| stage(rows.iter().find(|row| row.service == service), app));
        Line::from_iter(std::iter::once(name).chain(cells))
    });
    Part { head: Some(Line::styled(title, app.theme.title)), rows: rows.collect() }
}

fn stage<'a>(figures: Option<&SteadyFigures>, app: &App) -> Span<'a> {
    let failed = figures.and_then(SteadyFigures::error_percent);
    let style = if failed > Some(0.0) { app.theme.warning } else { app.theme.text };
    let n = figures.map_or_else(|| "-".into(), |figures| count(figures.n));
    let failed = failed.map_or_else(|| "-".into(), |percent| format!("{percent:.1} %"));
    let p95 = latency(figures.and_then(|figures| figures.p95_us).map(Duration::from_micros));
    Span::styled(format!("{n:>9}{failed:>8}{p95:>8}"), style)
}

fn results<'a>(chaos: &ChaosState, app: &App) -> Part<'a> {
    let titles = format!(" {:<44}{:<14}{:>9}{:>8}", "experiment", "verdict", "recovery", "points");
    let mut text = Vec::new();
    for result in &chaos.results {
        text.push(row(result, app));
        text.push(Line::styled(format!("     {}", details(result)), app.theme.dim));
        text.extend(result.evidence.iter().map(|evidence| {
            let proof = format!("     proof: {evidence}");
            Line::styled(proof, app.theme.dim)
        }));
        text.extend(result.timelines.iter().flat_map(|timeline| past(timeline, app)));
    }
    Part { head: Some(Line::styled(titles, app.theme.title)), rows: text }
}

fn row<'a>(result: &ExperimentResult, app: &App) -> Line<'a> {
    let recovery =
        result.recovery_us.map_or_else(|| "-".into(), |us| format!("{:.1} s", us as f64 / 1e6));
    let points = result.points.map_or_else(|| "-".into(), |points| format!("{points:.0}"));
    Line::from(vec![
        Span::styled(format!(" {}", fitted(&result.title, 44, app)), app.theme.text),
        Span::styled(format!("{:<14}", result.verdict), app.theme.verdict(result.verdict)),
        Span::styled(format!("{recovery:>9}{points:>8}"), app.theme.text),
    ])
}

fn details(result: &ExperimentResult) -> String {
    let availability = |rows: &[SteadyFigures]| {
        let (n, failed) = rows.iter().fold((0, 0), |(n, f), row| (n + row.n, f + row.failed));
        let slowest = rows.iter().filter_map(|row| row.p95_us).max();
        match (n, slowest) {
            (0, _) | (_, None) => "-".to_owned(),
            (n, Some(p95)) => {
                let percent = (n - failed) as f64 * 100.0 / n as f64;
                format!("{percent:.1} % P95 {} ms", p95 / 1000)
            }
        }
    };
    if result.before.is_empty() || result.during.is_empty() {
        return result.reason.clone();
    }
    let why = if result.verdict == Verdict::Pass { "" } else { &result.reason };
    let notes = result.notes.iter().filter(|note| *note != why);
    format!(
        "{why}{}before {}, during {}, after {}{}",
        if why.is_empty() { "" } else { "; " },
        availability(&result.before),
        availability(&result.during),
        availability(&result.after),
        notes.map(|note| format!("; {note}")).collect::<String>()
    )
}

fn excluded<'a>(chaos: &ChaosState, app: &App) -> Vec<Line<'a>> {
    let excluded = chaos.start.iter().flat_map(|start| &start.excluded);
    excluded
        .map(|(name, why)| Line::styled(format!(" untouched {name}: {why}"), app.theme.dim))
        .collect()
}
