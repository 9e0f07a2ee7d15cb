//! One line: what is validated, for how long, in which state.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{fitted, fixed};
use crate::config::Environment;
use crate::run::state::RunStatus;
use crate::tui::app::{App, Link};
use crate::tui::format::clock;

/// Fewer columns of a plan's name say nothing.
const SHORTEST_PLAN: usize = 5;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let state = app.shown();
    let since = state.started_us.map_or(0, |started| app.now_us().saturating_sub(started));
    let mut time = clock(Duration::from_micros(since));
    if state.status != RunStatus::Finished {
        let whole = Duration::from_micros(since) + state.longest_left(app.now_us());
        time += &format!(" of ~{}", clock(whole));
    }
    let (word, style) = standing(app);
    let glyph = match (&app.link, &app.state.status) {
        (Link::Live, RunStatus::Running) => app.glyphs.running(),
        _ => app.glyphs.dot(),
    };
    let mut word = word.to_owned();
    if app.client.read_only && app.link == Link::Live {
        word += ", only watching";
    }
    if app.is_frozen() {
        word += ", view frozen";
    }
    let right = format!("{time}   {glyph} {word}");
    let width = usize::from(area.width);
    let unchecked = unchecked(app);
    let taken = [&right, &unchecked].map(|text| UnicodeWidthStr::width(text.as_str()));
    let left_width = width.saturating_sub(taken.iter().sum::<usize>() + 1);
    // What is cut keeps its distance from the clock.
    let left = fixed(&subject(app, left_width.saturating_sub(1)), left_width);
    let line = Line::from(vec![
        Span::styled(unchecked, app.theme.bad),
        Span::styled(left, app.theme.title),
        Span::styled(format!("{time}   "), app.theme.text),
        Span::styled(format!("{glyph} {word} "), style),
    ]);
    frame.render_widget(line, area);
}

/// What is validated, by which plan, in which run. The run's id is what `attach` is given: in little
/// room the plan's name is cut, then left out, then the program's own, and then the target's is cut.
fn subject(app: &App, width: usize) -> String {
    let (state, dot) = (app.shown(), app.glyphs.dot());
    let (Some(identity), Some(plan)) = (&state.identity, &state.plan) else {
        return fitted(" shakedown", width, app);
    };
    let environment = match identity.environment {
        Environment::Production => " (PRODUCTION)",
        _ => "",
    };
    let target = app.glyphs.text(&identity.target);
    let begin = format!(" shakedown  {target}{environment} {dot} ");
    let id = identity.id.rsplit('-').next().unwrap_or_default();
    let end = format!("{dot} {id}");
    let plan = app.glyphs.text(&plan.name);
    let room = width.saturating_sub(begin.width() + end.width() + 1).min(plan.width());
    if room < SHORTEST_PLAN.min(plan.width()) {
        let whole = format!("{begin}{id}");
        if whole.width() <= width {
            return fitted(&whole, width, app);
        }
        let after = format!("{environment} {dot} {id}");
        let room = width.saturating_sub(1 + after.width()).min(target.width());
        return fitted(&format!(" {}{after}", fitted(&target, room, app)), width, app);
    }
    format!("{begin}{} {end}", fitted(&plan, room, app))
}

/// Whose certificates nobody checks, loudly; nothing when all are checked.
fn unchecked(app: &App) -> String {
    let insecure = app.shown().identity.iter().flat_map(|identity| &identity.insecure);
    let services: Vec<_> = insecure.map(|service| service.name()).collect();
    if services.is_empty() {
        return String::new();
    }
    format!(" TLS NOT CHECKED: {}", services.join(", "))
}

/// The run's state in a word, and how it looks.
pub fn standing(app: &App) -> (&'static str, Style) {
    let theme = &app.theme;
    match &app.link {
        Link::Connecting(_) => return ("connecting", theme.warning),
        Link::Lost(_) => return ("engine gone", theme.bad),
        Link::Live | Link::Over => {}
    }
    let style = match &app.state.status {
        RunStatus::Ready | RunStatus::Finished => theme.accent,
        RunStatus::Running => theme.ok,
        RunStatus::Aborting(_) => theme.bad,
        _ => theme.warning,
    };
    (app.state.status.name(), style)
}
