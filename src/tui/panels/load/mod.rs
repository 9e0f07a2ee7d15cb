//! Load in detail: one service's clocks and history, thresholds, scenarios, streams, every step, the
//! generator's own health.

mod limit;
mod scenarios;
mod steps;
mod streams;
mod thresholds;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::latency::{NONE_ANSWERED, columns_of};
use super::{flowed, history, lines, numbered, page_rows, pages, split_top, wrapped};
use crate::run::histogram::Histogram;
use crate::run::state::{LoadState, Standing};
use crate::tui::app::App;
use crate::tui::format::{above, count, latency};
use crate::tui::view::Figures;

/// A history in fewer rows says nothing.
const HISTORY_ROWS: u16 = 8;

/// A part in fewer rows says nothing: a heading, a row, and how many more there are.
const LEAST_ROWS: usize = 3;

/// The part that says whether all the others count: it is shown whole, or not at all.
const GENERATOR: usize = 1;

/// What the keys do here.
const KEYS: &str = " (v: next service, b: other phase, e: explains)";

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let Some(phase) = app.load_phase() else {
        let text = vec![
            Line::raw(""),
            Line::styled(
                "   no load yet: the mixed and ramping phases fill this panel",
                app.theme.dim,
            ),
        ];
        return lines(frame, area, app, text);
    };
    let load = phase.load.as_ref();
    let engine = load.and_then(|load| load.start.as_ref());
    let engine = engine.map_or("", |start| start.engine.as_str());
    let loaded = load.map(|load| (load, load.standing()));
    let loaded = loaded.as_ref().map(|(load, standing)| (*load, standing));
    let title = format!(" {} by the {engine} engine", phase.kind);
    let mut rest = area;
    let parts = [
        selected(app, &title, area.width),
        loaded.map_or_else(Vec::new, |(load, standing)| generator(load, standing, area.width, app)),
        limit::block(app),
        loaded.map_or_else(Vec::new, |(load, standing)| thresholds::block(load, standing, app)),
        scenarios::block(app),
        streams::block(app, area.width),
        steps::block(app, area.width),
    ];
    // The first page has the beginning of every part, those after it have the parts that are cut there.
    let shares = shared_out(parts.each_ref().map(Vec::len), usize::from(area.height));
    let cut = parts.iter().zip(shares).filter(|(part, share)| part.len() > *share);
    let cut: Vec<Line<'_>> = cut.flat_map(|(part, _)| part.clone()).collect();
    let all = pages(cut.len(), area) + 1;
    let turned = app.panel_page % all;
    if turned > 0 {
        let room = page_rows(area);
        let rows = cut.into_iter().skip((turned - 1) * room).take(room).collect();
        return lines(frame, area, app, numbered(rows, (turned, all), room, "2 turns", app));
    }
    for part in shortened(parts, shares, app) {
        let (top, below) = split_top(rest, part.len() as u16);
        lines(frame, top, app, part);
        rest = below;
    }
    if let Some(service) = app.selected_service()
        && rest.height >= HISTORY_ROWS
    {
        history::render(frame, rest, app, service);
    }
}

/// How many rows of each part are shown: a heading, a row and how many more there are at least, or none at
/// all; what is left goes to the first ones first.
fn shared_out<const N: usize>(wanted: [usize; N], room: usize) -> [usize; N] {
    let shares = self::shares(wanted, room);
    if shares.iter().zip(wanted).any(|(share, rows)| *share == 0 && rows > 0) {
        // What is left out altogether is told in a row of its own.
        return self::shares(wanted, room.saturating_sub(1));
    }
    shares
}

/// The parts with so many rows of each; where that is not all of it, the last one says how many more.
fn shortened<'a, const N: usize>(
    parts: [Vec<Line<'a>>; N],
    shares: [usize; N],
    app: &App,
) -> Vec<Vec<Line<'a>>> {
    let mut left_out = 0;
    let mut shown = Vec::with_capacity(N + 1);
    for (mut part, share) in parts.into_iter().zip(shares) {
        if share == 0 {
            left_out += part.len();
        } else if share < part.len() {
            let missing = part.len() - (share - 1);
            part.truncate(share - 1);
            part.push(missing_rows(missing, app));
            shown.push(part);
        } else {
            shown.push(part);
        }
    }
    if left_out > 0 {
        shown.push(vec![missing_rows(left_out, app)]);
    }
    shown
}

/// Rows of each part.
fn shares<const N: usize>(wanted: [usize; N], room: usize) -> [usize; N] {
    let mut left = room;
    let mut shares: [usize; N] = std::array::from_fn(|part| {
        let rows = wanted[part];
        let least = if part == GENERATOR { rows } else { rows.min(LEAST_ROWS) };
        let least = Some(least).filter(|least| *least <= left).unwrap_or(0);
        left -= least;
        least
    });
    for (share, rows) in shares.iter_mut().zip(wanted).filter(|(share, _)| **share > 0) {
        let more = (rows - *share).min(left);
        *share += more;
        left -= more;
    }
    shares
}

fn missing_rows<'a>(rows: usize, app: &App) -> Line<'a> {
    let text = format!(" {} {rows} more rows: 2 turns the page", app.glyphs.more());
    Line::styled(text, app.theme.dim)
}

fn selected<'a>(app: &App, title: &str, width: u16) -> Vec<Line<'a>> {
    let mut heading = format!("{title}, last 10 s");
    if heading.len() + KEYS.len() <= usize::from(width) {
        heading += KEYS;
    }
    let mut text = vec![Line::styled(heading, app.theme.title)];
    let services = &app.load().services;
    let Some(service) = services.get(app.service % services.len().max(1)) else { return text };
    let name = service.service.name();
    text.push(clock("response", name, &service.response, &service.now, width, app));
    text.push(clock("service", "", &service.service_time, &service.now_service_time, width, app));
    text.push(Line::raw(format!(
        "         n {}, {:.1}/s   max {}   failed {} {}",
        count(service.now.n),
        service.now.rate.unwrap_or_default(),
        latency(service.now.max),
        count(service.now.failed),
        steps::errors(&service.now)
    )));
    text
}

/// One clock: its histogram and its percentiles.
fn clock<'a>(
    clock: &str,
    name: &str,
    histogram: &Histogram,
    figures: &Figures,
    width: u16,
    app: &App,
) -> Line<'a> {
    let tail = if figures.all_failed() {
        format!(" {NONE_ANSWERED:<38}")
    } else {
        format!(
            " P50 {:<8} P95 {:<8} P99 {:<8}",
            latency(figures.p50),
            latency(figures.p95),
            latency(figures.p99)
        )
    };
    let columns = usize::from(width).saturating_sub(16 + tail.len()).max(8);
    Line::from(vec![
        Span::styled(format!(" {name:<5}"), app.theme.accent),
        Span::styled(format!("{clock:<9}"), app.theme.text),
        columns_of(histogram, columns, app),
        Span::styled(tail, app.theme.text),
    ])
}

/// How far the figures can be trusted, by the same rule as the phase's verdict, on what is known now.
fn generator<'a>(load: &LoadState, standing: &Standing, width: u16, app: &App) -> Vec<Line<'a>> {
    let floor = load.start.as_ref().and_then(|start| start.clock).map(|clock| clock.timer());
    let waited = above(load.loop_lateness.quantile(0.99), floor);
    let (word, style, more) = match standing {
        Standing::Sound if load.starved > 0 => {
            ("out of descriptors or ports: raise `ulimit -n`", app.theme.bad, None)
        }
        Standing::Sound => ("trustworthy", app.theme.ok, None),
        Standing::Ceiling { .. } => {
            let more = format!(
                "users without think time use its core up: the target may bear more; P99 {waited} of \
                 a response is its own"
            );
            ("AT ITS CEILING", app.theme.warning, Some(more))
        }
        Standing::Invalid(reason) => ("INVALID", app.theme.bad, Some(reason.clone())),
    };
    let mut figures = vec![word.to_owned(), format!("users {}", load.users.values().sum::<u32>())];
    if load.starved > 0 {
        figures.push(format!("not sent {}", load.starved));
    }
    figures.extend([
        format!(
            "late P50 {} P99 {}",
            above(load.lateness.quantile(0.5), floor),
            above(load.lateness.quantile(0.99), floor)
        ),
        format!("busiest thread {:.0} %", load.generator.busiest_thread_percent),
    ]);
    let room = usize::from(width).saturating_sub(12);
    let mut rows = flowed(&figures, room).into_iter();
    let first = rows.next().unwrap_or_default().split_off(word.len());
    let mut text = vec![Line::from(vec![
        Span::styled(" generator  ", app.theme.title),
        Span::styled(word, style),
        Span::styled(first, app.theme.text),
    ])];
    let below = |row: String, style| Line::styled(format!("{:12}{row}", ""), style);
    text.extend(rows.map(|row| below(row, app.theme.text)));
    let more = more.iter().flat_map(|more| wrapped(&app.glyphs.text(more), room));
    text.extend(more.map(|row| below(row, style)));
    text
}
