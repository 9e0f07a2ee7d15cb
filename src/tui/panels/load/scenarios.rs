//! Every scenario: its model, its users, its iterations, and which of them the keys act on.

use ratatui::text::Line;

use crate::run::state::LoadState;
use crate::tui::app::App;
use crate::tui::format::{count, latency};
use crate::tui::panels::fitted;

pub fn block<'a>(app: &App) -> Vec<Line<'a>> {
    let Some(load) = app.load_phase().and_then(|phase| phase.load.as_ref()) else {
        return Vec::new();
    };
    let Some(start) = load.start.as_ref().filter(|start| !start.models.is_empty()) else {
        return Vec::new();
    };
    let acted_on = app.scenario_name().unwrap_or_else(|| "all".into());
    let title = format!(
        " {:<8} {:>5} {:>6}{:>8}{:>8}{:>9}  model   (u: + - < > on {acted_on})",
        "scenario", "users", "flows", "broken", "dropped", "P95"
    );
    let mut text = vec![Line::styled(title, app.theme.title)];
    text.extend(start.models.iter().map(|model| row(&model.scenario, &model.words, load, app)));
    text
}

fn row<'a>(name: &str, words: &str, load: &LoadState, app: &App) -> Line<'a> {
    let none = crate::run::event::Iterations::default();
    let iterations = load.iterations.get(name).unwrap_or(&none);
    let changed = load.rate_percent.get(name).filter(|percent| **percent != 100);
    let changed = changed.map_or_else(String::new, |percent| format!(", now at {percent} %"));
    let marker = if app.scenario_name().as_deref() == Some(name) { '>' } else { ' ' };
    let row = format!(
        "{marker}{} {:>5} {:>6}{:>8}{:>8}{:>9}  {words}{changed}",
        fitted(name, 8, app),
        load.users.get(name).copied().unwrap_or(0),
        count(iterations.finished),
        count(iterations.interrupted),
        count(iterations.dropped),
        latency(iterations.duration.quantile(0.95)),
    );
    let style = if iterations.dropped > 0 { app.theme.warning } else { app.theme.text };
    Line::styled(row, style)
}
