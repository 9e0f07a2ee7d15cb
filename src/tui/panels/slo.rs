//! Every objective with its bound, below it the error budgets and how fast they burn, the controls
//! and who was told of what.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{fitted, lines, wrapped};
use crate::run::event::{Budget, BurnRate, ControlStatus, Objective, Verdict};
use crate::tui::app::App;
use crate::tui::format::count;

/// Width of a budget's bar.
const BAR: usize = 12;
/// Rows of objectives that are shown however small the panel is.
const LEAST_ROWS: usize = 4;
/// Below this height only alerts that fire have rows of their own.
const ROOMY: u16 = 28;
/// Columns of the longest name that is usual.
const NAME: usize = 21;
/// Columns of a row before its reason.
const FIGURES: usize = 74;
/// Beside the figures a reason needs at least so many columns to say anything.
const LEAST_REASON: usize = 24;
/// Rows of the selected objective's reason, where it does not fit beside the figures.
const REASON_ROWS: usize = 3;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let objectives = &app.shown().objectives;
    let width = usize::from(area.width);
    let mut below = reason(app, width);
    below.extend(budgets(app, area));
    below.extend(controls(app));
    below.extend(alerts(app));
    let height = usize::from(area.height);
    // What is below gives way to the objectives, down to the budget of the first of them.
    let room = height.saturating_sub(1 + below.len()).max(height / 2).max(LEAST_ROWS);
    let mut text = vec![title(objectives.len(), room, width, app)];
    if objectives.is_empty() {
        text.push(Line::styled("   nothing measured yet: load fills this", app.theme.dim));
    }
    let from = app.objective.saturating_sub(room / 2).min(objectives.len().saturating_sub(room));
    let shown = objectives.iter().enumerate().skip(from).take(room);
    text.extend(shown.map(|(at, objective)| row(objective, at == app.objective, width, app)));
    text.extend(below);
    lines(frame, area, app, text);
}

fn title<'a>(all: usize, room: usize, width: usize, app: &App) -> Line<'a> {
    let why = if has_reasons(width) { "why" } else { "" };
    let at = || format!("{}/{all}", app.objective + 1);
    let more = if all > room { format!("{:>6}", at()) } else { String::new() };
    let title = format!(
        " {:<22}{:>11}{:>11}{:>8}{:>6}  {:<13}{why}{more}",
        "objective (* gate)", "asked", "measured", "n", "bad", "verdict"
    );
    Line::styled(title, app.theme.title)
}

/// Whether a row has room for its reason.
const fn has_reasons(width: usize) -> bool {
    width >= FIGURES + LEAST_REASON
}

/// What decides shows its bound, what does not decide says what is missing.
fn why(objective: &Objective) -> &str {
    if objective.reason.is_empty() { &objective.bound } else { &objective.reason }
}

/// The selected objective's reason in rows of its own, where there is no room for it in its row.
fn reason<'a>(app: &App, width: usize) -> Vec<Line<'a>> {
    let Some(objective) = app.shown().objectives.get(app.objective) else { return Vec::new() };
    let why = app.glyphs.text(why(objective));
    if FIGURES + why.width() <= width {
        return Vec::new();
    }
    let rows = wrapped(&format!("{} (e explains): {why}", objective.id), width.saturating_sub(3));
    let rows = rows.into_iter().take(REASON_ROWS);
    rows.map(|row| Line::styled(format!("   {row}"), app.theme.dim)).collect()
}

fn row<'a>(objective: &Objective, selected: bool, width: usize, app: &App) -> Line<'a> {
    let mark = if objective.gate { "*" } else { " " };
    let figures = format!(
        "{mark}{} {:>10}{:>11}{:>8}{:>6}  ",
        fitted(&objective.id, 22, app),
        objective.objective,
        objective.measured,
        count(objective.n),
        count(objective.bad)
    );
    let why = if has_reasons(width) { why(objective) } else { "" };
    let style = if selected { app.theme.accent } else { app.theme.text };
    Line::from(vec![
        Span::styled(app.glyphs.text(&figures), style),
        Span::styled(format!("{:<13}", objective.verdict), app.theme.verdict(objective.verdict)),
        Span::styled(app.glyphs.text(why), app.theme.dim),
    ])
}

fn budgets<'a>(app: &App, area: Rect) -> Vec<Line<'a>> {
    let with = app.shown().objectives.iter().filter_map(|o| Some((o, o.budget.as_ref()?)));
    // The whole platform's in detail, the others in a line each.
    let mut rows: Vec<Line<'a>> = with
        .enumerate()
        .flat_map(|(at, (objective, budget))| of_budget(objective, budget, at == 0, area, app))
        .collect();
    if !rows.is_empty() {
        let title = " error budgets: of a full one, where nothing else is said";
        rows.insert(0, Line::styled(title, app.theme.title));
    }
    rows
}

/// Share of the budget that is left, in percent, and of which budget.
fn left(objective: &Objective, budget: &Budget) -> (f64, String) {
    let whole = objective.whole_window.as_ref();
    if let Some((left, window)) = whole.and_then(|w| Some((w.budget_left_percent?, &w.window))) {
        return (left, format!("of {window} left"));
    }
    (100.0 - budget.whole_cost_percent(), "left".into())
}

fn of_budget<'a>(
    objective: &Objective,
    budget: &Budget,
    in_detail: bool,
    area: Rect,
    app: &App,
) -> Vec<Line<'a>> {
    let (percent, of) = left(objective, budget);
    let filled = ((percent.clamp(0.0, 100.0) / 100.0 * BAR as f64).round() as usize).min(BAR);
    let whole = objective.whole_window.as_ref();
    let burn = whole.and_then(|whole| whole.burn_rate).unwrap_or(budget.burn_rate);
    let ends = match whole.and_then(|whole| whole.exhausted_after_seconds) {
        Some(seconds) => format!("gone in {}", days(seconds)),
        None => budget.exhausted_after_seconds.map_or_else(
            || "nothing burns".to_owned(),
            |seconds| format!("lasts {}", days(seconds)),
        ),
    };
    let style = if percent < 0.0 || burn > 1.0 { app.theme.bad } else { app.theme.ok };
    // In 80 columns the end of the line matters more than that of the name.
    let name = if has_reasons(usize::from(area.width)) { NAME } else { NAME - 4 };
    let mut rows = vec![Line::from(vec![
        Span::styled(format!(" {} ", fitted(&objective.id, name, app)), app.theme.title),
        Span::styled(app.glyphs.done().repeat(filled), style),
        Span::styled(app.glyphs.to_do().repeat(BAR - filled), app.theme.dim),
        Span::styled(format!(" {percent:.2} % {of}  burn {burn:.2}x  {ends}"), app.theme.text),
    ])];
    if in_detail {
        let part = |name: &str, cost: Option<f64>| {
            cost.map_or_else(String::new, |cost| format!(", {name} {cost:.3}"))
        };
        rows.push(Line::styled(
            format!(
                "   allows {} down; this run cost {:.3} %: load {:.3}{}{}",
                days(budget.allowed_seconds),
                budget.whole_cost_percent(),
                budget.run_cost_percent,
                part("chaos", budget.chaos_cost_percent),
                part("rest", budget.rest_cost_percent)
            ),
            app.theme.dim,
        ));
        rows.extend(burn_alerts(budget, area, app));
    }
    rows
}

/// The burn alerts, a row each; where there is little room those that are quiet share one.
fn burn_alerts<'a>(budget: &Budget, area: Rect, app: &App) -> Vec<Line<'a>> {
    let roomy = area.height >= ROOMY;
    let own = budget.alerts.iter().filter(|alert| roomy || alert.fires);
    let mut rows: Vec<Line<'a>> = own.map(|alert| of_alert(alert, app)).collect();
    if rows.len() < budget.alerts.len() {
        let quiet = budget.alerts.iter().filter(|alert| alert.is_quiet()).count();
        let open = budget.alerts.len() - rows.len() - quiet;
        let open = if open > 0 { format!(", {open} not decided yet") } else { String::new() };
        let words = format!("   burn alerts: {quiet} of {} quiet{open}", budget.alerts.len());
        rows.push(Line::styled(words, app.theme.dim));
    }
    rows
}

fn of_alert<'a>(alert: &BurnRate, app: &App) -> Line<'a> {
    let rate = |burn: Option<f64>| {
        burn.map_or_else(|| "not measured".into(), |burn| format!("{burn:.2}x"))
    };
    let severity = if alert.page { "page" } else { "ticket" };
    let (word, style) = if alert.fires {
        ("FIRES", app.theme.verdict(Verdict::Fail))
    } else if alert.is_quiet() {
        ("quiet", app.theme.dim)
    } else {
        ("not decided", app.theme.dim)
    };
    Line::from(vec![
        Span::styled(
            format!(
                "   {severity:<7} above {:>5.1}x   {:>4}: {:<13} {:>4}: {:<13} ",
                alert.factor,
                alert.long,
                rate(alert.long_burn),
                alert.short,
                rate(alert.short_burn)
            ),
            app.theme.text,
        ),
        Span::styled(word, style),
    ])
}

/// How many controls are met, and those that are not.
fn controls<'a>(app: &App) -> Vec<Line<'a>> {
    let all = &app.shown().controls;
    if all.is_empty() {
        return Vec::new();
    }
    let with = |status| all.iter().filter(move |control| control.status == status);
    let counts = [ControlStatus::Pass, ControlStatus::Fail, ControlStatus::Unknown]
        .map(|status| format!("{} {status}", with(status).count()));
    let mut rows = vec![Line::styled(format!(" controls: {}", counts.join(", ")), app.theme.title)];
    rows.extend(with(ControlStatus::Fail).map(|control| {
        let words = format!("   {} of {}: {}", control.control, control.subject, control.evidence);
        Line::styled(app.glyphs.text(&words), app.theme.bad)
    }));
    rows
}

/// Alerts that are not over, how far they have come, and what could not be said.
fn alerts<'a>(app: &App) -> Vec<Line<'a>> {
    let notify = &app.shown().notify;
    let mut rows: Vec<Line<'a>> = notify
        .alerts
        .values()
        .map(|alert| {
            let level = match alert.level {
                0 => "nobody told yet".to_owned(),
                level => format!("level {level}"),
            };
            let words = format!(" alert ({level}): {}", alert.summary);
            Line::styled(app.glyphs.text(&words), app.theme.bad)
        })
        .collect();
    let failed: u64 = notify.failed.values().sum();
    let told: u64 = notify.delivered.values().sum();
    if told + failed > 0 {
        let last = notify.last.iter().rev().find_map(|sent| sent.error.as_ref().map(|e| (sent, e)));
        let why = last.map_or_else(String::new, |(sent, e)| format!(": {}: {e}", sent.channel));
        let words = format!(" told {told} times, {failed} failed{why}");
        rows.push(Line::styled(app.glyphs.text(&words), app.theme.dim));
    }
    if !notify.alerts.is_empty() && !notify.not_configured.is_empty() {
        let names: Vec<&str> = notify.not_configured.keys().map(String::as_str).collect();
        let words = format!(" not configured, so not told: {}", names.join(", "));
        rows.push(Line::styled(app.glyphs.text(&words), app.theme.dim));
    }
    rows
}

fn days(seconds: f64) -> String {
    let span = Duration::from_secs_f64(seconds.clamp(0.0, 1e9));
    let (days, hours, minutes) =
        (span.as_secs() / 86_400, span.as_secs() / 3600 % 24, span.as_secs() / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
