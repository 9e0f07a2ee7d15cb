//! Every objective with its bound, and below it the error budgets and how fast they burn.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{fixed, lines};
use crate::run::event::{Budget, BurnRate, Objective, Verdict};
use crate::tui::app::App;
use crate::tui::format::count;

/// Width of a budget's bar.
const BAR: usize = 20;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let objectives = &app.shown().objectives;
    let title = format!(
        " {:<22}{:>11}{:>11}{:>8}{:>6}  {:<13}{}",
        "objective", "asked", "measured", "n", "bad", "verdict", "why (* gate)"
    );
    let mut text = vec![Line::styled(title, app.theme.title)];
    if objectives.is_empty() {
        text.push(Line::styled("   nothing measured yet: load fills this", app.theme.dim));
    }
    text.extend(objectives.iter().map(|objective| row(objective, app)));
    for objective in objectives {
        if let Some(budget) = &objective.budget {
            text.extend(of_budget(objective, budget, app));
        }
    }
    lines(frame, area, app, text);
}

fn row<'a>(objective: &Objective, app: &App) -> Line<'a> {
    let mark = if objective.gate { "*" } else { " " };
    let figures = format!(
        "{mark}{} {:>10}{:>11}{:>8}{:>6}  ",
        fixed(&objective.id, 22),
        objective.objective,
        objective.measured,
        count(objective.n),
        count(objective.bad)
    );
    // What decides shows its bound, what does not decide says what is missing.
    let why = if objective.reason.is_empty() { &objective.bound } else { &objective.reason };
    Line::from(vec![
        Span::styled(app.glyphs.text(&figures), app.theme.text),
        Span::styled(format!("{:<13}", objective.verdict), app.theme.verdict(objective.verdict)),
        Span::styled(app.glyphs.text(why), app.theme.dim),
    ])
}

fn of_budget<'a>(objective: &Objective, budget: &Budget, app: &App) -> Vec<Line<'a>> {
    let left = (100.0 - budget.run_cost_percent).clamp(0.0, 100.0);
    let filled = ((left / 100.0 * BAR as f64).round() as usize).min(BAR);
    let exhausted = budget.exhausted_after_seconds.map_or_else(
        || "nothing burns".to_owned(),
        |seconds| format!("a full budget lasts {}", days(seconds)),
    );
    let style = if budget.burn_rate > 1.0 { app.theme.bad } else { app.theme.ok };
    let mut rows = vec![
        Line::styled(
            format!(
                " budget of {}: {} may be down in its window",
                objective.id,
                days(budget.allowed_seconds)
            ),
            app.theme.title,
        ),
        Line::from(vec![
            Span::styled(format!("   {}", app.glyphs.done().repeat(filled)), style),
            Span::styled(app.glyphs.to_do().repeat(BAR - filled), app.theme.dim),
            Span::styled(
                format!(
                    " this run cost {:.3} %   burn {:.2}x   {exhausted}",
                    budget.run_cost_percent, budget.burn_rate
                ),
                app.theme.text,
            ),
        ]),
    ];
    rows.extend(budget.alerts.iter().map(|alert| burn(alert, app)));
    rows
}

fn burn<'a>(alert: &BurnRate, app: &App) -> Line<'a> {
    let rate = |burn: Option<f64>| {
        burn.map_or_else(|| "not measured".into(), |burn| format!("{burn:.2}x"))
    };
    let severity = if alert.page { "page" } else { "ticket" };
    let (word, style) = if alert.fires {
        ("FIRES", app.theme.verdict(Verdict::Fail))
    } else {
        ("quiet", app.theme.dim)
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
