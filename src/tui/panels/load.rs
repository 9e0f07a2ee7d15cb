//! Load in detail: one service's histogram and history, every step, the generator's own health.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::latency::columns_of;
use super::{fixed, history, lines, split_top};
use crate::tui::app::App;
use crate::tui::format::{count, latency};
use crate::tui::view::{Figures, SeriesView};

/// Terminals of this width show every column.
const WIDE: u16 = 100;

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
    let engine = phase.load.as_ref().and_then(|load| load.start.as_ref());
    let engine = engine.map_or("", |start| start.engine.as_str());
    let title = format!(" {} by the {engine} engine", phase.kind);
    let (top, rest) = split_top(area, 5);
    selected(frame, top, app, &title);
    let table_rows = app.load().series.len() as u16 + 2;
    let (table, rest) = split_top(rest, table_rows);
    steps(frame, table, app);
    let (health, rest) = split_top(rest, 2);
    generator(frame, health, app);
    if let Some(service) = app.selected_service() {
        history::render(frame, rest, app, service);
    }
}

fn selected(frame: &mut Frame<'_>, area: Rect, app: &App, title: &str) {
    let (clock, other) = clock_names(app);
    let mut text = vec![Line::styled(
        format!("{title}, {clock} (c: {other}, v: service, b: phase)"),
        app.theme.title,
    )];
    let columns = usize::from(area.width).saturating_sub(9);
    let services = &app.load().services;
    let at = app.service % services.len().max(1);
    if let Some(service) = services.get(at) {
        let (figures, histogram) = if app.service_time {
            (&service.now_service_time, &service.service_time)
        } else {
            (&service.now, &service.response)
        };
        text.push(Line::from(vec![
            Span::styled(format!(" {:<7}", service.service), app.theme.accent),
            columns_of(histogram, columns, app),
        ]));
        text.push(Line::raw(format!(
            "         n {} in 10 s, {:.1}/s   P50 {}   P95 {}   P99 {}   max {}",
            count(figures.n),
            figures.rate.unwrap_or_default(),
            latency(figures.p50),
            latency(figures.p95),
            latency(figures.p99),
            latency(figures.max)
        )));
        text.push(Line::raw(format!(
            "         failed {} {}",
            count(figures.failed),
            errors(figures)
        )));
    }
    lines(frame, area, app, text);
}

const fn clock_names(app: &App) -> (&'static str, &'static str) {
    if app.service_time {
        ("service time", "response time")
    } else {
        ("response time", "service time")
    }
}

fn steps(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let wide = area.width >= WIDE;
    let title = format!(" {:<8} {:<18} {:>6}{:>7}", "scenario", "step", "n", "failed");
    let rest = format!("{:>9}{:>9}{:>9}", "P50", "P95", "P99");
    let more = if wide { format!("{:>9}{:>8}  errors", "max", "req/s") } else { String::new() };
    let mut text = vec![Line::styled(format!("{title}{rest}{more}"), app.theme.title)];
    text.extend(app.load().series.iter().map(|series| step(series, wide, app)));
    lines(frame, area, app, text);
}

fn step<'a>(series: &SeriesView, wide: bool, app: &App) -> Line<'a> {
    let figures = if app.service_time { &series.service_time } else { &series.response };
    let style = if figures.failed > 0 { app.theme.warning } else { app.theme.text };
    let mut row = format!(
        " {} {} {:>6}{:>7}{:>9}{:>9}{:>9}",
        fixed(&series.key.scenario, 8),
        fixed(&series.key.step, 18),
        count(figures.n),
        count(figures.failed),
        latency(figures.p50),
        latency(figures.p95),
        latency(figures.p99),
    );
    if wide {
        let rate = figures.rate.unwrap_or_default();
        row += &format!("{:>9}{rate:>8.1}  {}", latency(figures.max), errors(figures));
    }
    Line::styled(row, style)
}

fn errors(figures: &Figures) -> String {
    let kinds = figures.errors.iter().map(|(kind, n)| format!("{kind} {n}"));
    kinds.collect::<Vec<_>>().join(", ")
}

fn generator(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let Some(load) = app.load_phase().and_then(|phase| phase.load.as_ref()) else {
        return;
    };
    let late = load.lateness.quantile(0.99);
    let busiest = load.generator.busiest_thread_percent;
    let users: u32 = load.users.values().sum();
    // The same rule as the phase's verdict follows, on what is known now.
    let trusted = late.is_none_or(|late| late.as_millis() <= 20) && busiest <= 90.0;
    let (word, style) = if trusted {
        ("trustworthy", app.theme.ok)
    } else {
        ("INVALID: the generator is late or out of CPU", app.theme.bad)
    };
    let figures = format!(
        "   users {users}   late P99 {}   busiest thread {busiest:.0} %   lost {}",
        latency(late),
        load.dropped
    );
    let line = Line::from(vec![
        Span::styled(" generator  ", app.theme.title),
        Span::styled(word, style),
        Span::styled(figures, app.theme.text),
    ]);
    lines(frame, area, app, vec![line]);
}
