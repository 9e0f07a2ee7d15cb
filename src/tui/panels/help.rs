//! Help, from the table of keys: first what does something now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{lines, page};
use crate::tui::app::App;
use crate::tui::keymap::{BINDINGS, Binding};

/// Draws it, a page at a time; the key for help turns the page.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let (now, later): (Vec<&Binding>, Vec<&Binding>) =
        BINDINGS.iter().partition(|binding| binding.when.holds(&app.state));
    let mut rows = vec![Line::styled(" keys that do something now", app.theme.title)];
    rows.extend(now.iter().filter(|b| !is_panel_digit(b)).map(|b| row(b, true, app)));
    if !later.is_empty() {
        rows.push(Line::styled(" keys for another time", app.theme.title));
        rows.extend(later.iter().map(|binding| row(binding, false, app)));
    }
    let text = page(rows, app.help_page, area, "? turns the page, Esc closes", app);
    lines(frame, area, app, text);
}

/// The digits after the first are explained with it.
fn is_panel_digit(binding: &Binding) -> bool {
    matches!(binding.shown, "2" | "3" | "4" | "5" | "6")
}

fn row<'a>(binding: &Binding, now: bool, app: &App) -> Line<'a> {
    let style = if now { app.theme.accent } else { app.theme.dim };
    Line::from(vec![
        Span::styled(format!("   {:<7}", binding.shown), style),
        Span::styled(binding.help, if now { app.theme.text } else { app.theme.dim }),
    ])
}
