//! Help, from the table of keys: first what does something now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{lines, page, wrapped};
use crate::tui::app::App;
use crate::tui::keymap::{Action, BINDINGS, Binding};

/// Draws it, a page at a time; the key for help turns the page.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let (now, later): (Vec<&Binding>, Vec<&Binding>) =
        BINDINGS.iter().partition(|binding| app.works(binding));
    let mut rows = vec![Line::styled(" keys that do something now", app.theme.title)];
    let width = usize::from(area.width);
    rows.extend(now.iter().filter(|b| !is_panel_digit(b)).flat_map(|b| key(b, true, width, app)));
    if !later.is_empty() {
        rows.push(Line::styled(" keys for another time", app.theme.title));
        rows.extend(later.iter().flat_map(|binding| key(binding, false, width, app)));
    }
    let text = page(rows, app.help_page, area, "? turns the page, Esc closes", app);
    lines(frame, area, app, text);
}

/// The digits after the first are explained with it.
fn is_panel_digit(binding: &Binding) -> bool {
    matches!(binding.action, Action::Panel(1..))
}

/// Columns before what a key does.
const INDENT: usize = 10;

/// A key and what it does, in as many rows as that takes.
fn key<'a>(binding: &Binding, now: bool, width: usize, app: &App) -> Vec<Line<'a>> {
    let (key, text) =
        if now { (app.theme.accent, app.theme.text) } else { (app.theme.dim, app.theme.dim) };
    let rows = wrapped(binding.help, width.saturating_sub(INDENT)).into_iter().enumerate();
    rows.map(|(at, row)| {
        let shown = if at == 0 { binding.shown } else { "" };
        Line::from(vec![Span::styled(format!("   {shown:<7}"), key), Span::styled(row, text)])
    })
    .collect()
}
