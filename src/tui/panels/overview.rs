//! Everything at a glance: verdict or plan, objectives, latencies now, history, the last log lines.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::{history, latency, lines, log, objectives, plan, split_top, verdict};
use crate::run::state::RunStatus;
use crate::tui::app::App;

/// Terminals of this width show two columns below the common part.
const TWO_COLUMNS: u16 = 110;
/// A history in fewer rows says nothing.
const HISTORY_ROWS: u16 = 9;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let mut rest = area;
    let mut part = |rows: u16, draw: &dyn Fn(&mut Frame<'_>, Rect, &App)| {
        if rows > 0 && rest.height > 0 {
            let (top, below) = split_top(rest, rows);
            draw(frame, top, app);
            rest = split_top(below, 1).1;
        }
        rest
    };
    let mut left = part(verdict::height(app, area), &verdict::render);
    let planning = app.shown().status == RunStatus::Ready;
    if planning {
        left = part(plan::height(app), &plan::render);
    }
    if !planning || area.height > 20 {
        let latencies = latency::height(app);
        let room = Rect { height: left.height.saturating_sub(latencies + 1), ..left };
        let below = part(objectives::height(app, room), &objectives::render);
        // Beside a verdict with many reasons there may be no room for all of them.
        if below.height >= latencies {
            part(latencies, &latency::render);
        }
    }
    if planning {
        return;
    }
    if rest.width >= TWO_COLUMNS && rest.height >= HISTORY_ROWS {
        let [left, right] =
            Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)])
                .areas(rest);
        if let Some(service) = app.selected_service() {
            history::render(frame, left, app, service);
        }
        let (top, below) = split_top(right, plan::height(app) + 1);
        plan::render(frame, top, app);
        tail(frame, below, app);
    } else {
        tail(frame, rest, app);
    }
}

fn tail(frame: &mut Frame<'_>, area: Rect, app: &App) {
    if area.height < 2 {
        return;
    }
    let mut text = vec![Line::styled(" log", app.theme.title)];
    let recent = log::recent(app, usize::from(area.height - 1));
    if recent.is_empty() {
        text.push(Line::styled("   nothing to report so far", app.theme.dim));
    }
    text.extend(recent);
    lines(frame, area, app, text);
}
