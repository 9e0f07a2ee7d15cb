//! What the numbers mean: formula, n, method.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{explain_load, explain_objective};
use super::{lines, page, wrapped};
use crate::run::event::Objective;
use crate::tui::app::{App, Panel};

/// Draws it, a page at a time; the key for it turns the page. What the panel shows comes first.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let mut told = Told { rows: Vec::new(), width: usize::from(area.width), app };
    told.rows.push(Line::styled(" what the numbers mean (Esc closes)", app.theme.title));
    if app.panel == Panel::Load {
        told.load();
        told.objectives();
    } else {
        told.objectives();
        told.load();
    }
    let text = page(told.rows, app.explain_page, area, "e turns the page, Esc closes", app);
    lines(frame, area, app, text);
}

/// What has been told so far.
struct Told<'a> {
    rows: Vec<Line<'a>>,
    width: usize,
    app: &'a App,
}

impl Told<'_> {
    fn say(&mut self, text: &str, indent: &str, style: Style) {
        let text = wrapped(&self.app.glyphs.text(text), self.width.saturating_sub(indent.len()));
        let rows = text.into_iter().map(|row| Line::styled(format!("{indent}{row}"), style));
        self.rows.extend(rows);
    }

    /// A figure by its name on the screen, and what it is.
    fn figure(&mut self, name: &str, meaning: &str) {
        let text = self.app.glyphs.text(&format!("{name}: {meaning}"));
        let (accent, plain) = (self.app.theme.accent, self.app.theme.text);
        for (at, row) in wrapped(&text, self.width.saturating_sub(3)).into_iter().enumerate() {
            let named = row.strip_prefix(name).filter(|_| at == 0);
            self.rows.push(match named {
                Some(rest) => Line::from(vec![
                    Span::styled(format!(" {name}"), accent),
                    Span::styled(rest.to_owned(), plain),
                ]),
                None => Line::styled(format!("   {row}"), plain),
            });
        }
    }

    fn load(&mut self) {
        for (name, meaning) in explain_load::rows(self.app) {
            self.figure(name, &meaning);
        }
    }

    fn objectives(&mut self) {
        let app = self.app;
        let theme = &app.theme;
        let objectives = &app.shown().objectives;
        let selected = objectives.get(app.objective).filter(|_| app.panel == Panel::Slo);
        if let Some(objective) = selected {
            let Objective { id, objective: asked, measured, verdict, .. } = objective;
            self.say(&format!("{id}: {measured} of {asked}, {verdict}"), " ", theme.accent);
            for row in explain_objective::rows(objective, app.shown()) {
                self.say(&row, "   ", theme.text);
            }
            self.say("up and down choose another objective", " ", theme.dim);
            let controls = explain_objective::controls(app.shown());
            if !controls.is_empty() {
                self.say("controls: by evidence, no part of the verdict", " ", theme.accent);
            }
            controls.iter().for_each(|row| self.say(row, "   ", theme.text));
        }
        for objective in objectives.iter().filter(|_| selected.is_none()) {
            let Objective { id, objective: asked, measured, verdict, method, n, .. } = objective;
            self.say(&format!("{id}: {measured} of {asked}, {verdict}"), " ", theme.accent);
            self.say(&format!("{method} (n {n})"), "   ", theme.text);
            for more in [&objective.bound, &objective.reason] {
                if !more.is_empty() {
                    self.say(more, "   ", theme.text);
                }
            }
        }
    }
}
