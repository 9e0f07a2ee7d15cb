//! One finding: what it is, what proves it (both sides), what it is called elsewhere, what to do.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::security::of_severity;
use super::{lines, page, wrapped};
use crate::run::event::Finding;
use crate::tui::app::App;

/// Columns before what is told.
const LABEL: usize = 13;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, at: usize, finding: &Finding, app: &App) {
    let severity = of_severity(finding.severity, app);
    let mut rows = Vec::new();
    let mut tell = |label: &str, told: &str, style: Style| {
        let width = usize::from(area.width).saturating_sub(LABEL + 1).max(10);
        for (n, row) in broken(told, width).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            rows.push(Line::from(vec![
                Span::styled(format!(" {label:<LABEL$}"), app.theme.dim),
                Span::styled(app.glyphs.text(&row), style),
            ]));
        }
    };
    let sure = format!("{}, {}", finding.severity.word(), finding.confidence.word());
    tell("finding", &finding.title, app.theme.title);
    tell("severity", &sure, severity);
    let parameter = finding.parameter.as_deref().unwrap_or_default();
    tell("where", &format!("{} {parameter}", finding.place), app.theme.text);
    tell("evidence", &finding.evidence, app.theme.text);
    for exchange in &finding.exchanges {
        tell(&exchange.role, &exchange.request, app.theme.accent);
        tell("  answer", &exchange.response, app.theme.text);
    }
    let names = std::iter::once(format!("CWE-{}", finding.cwe)).chain(finding.references.clone());
    tell("known as", &names.collect::<Vec<_>>().join(", "), app.theme.text);
    tell("what to do", &finding.remedy, app.theme.ok);
    let compared = finding.novelty.map_or("no audit to compare with", |novelty| novelty.word());
    tell("before", compared, app.theme.text);
    if let Some(reason) = &finding.suppressed {
        tell("accepted", reason, app.theme.warning);
    }
    let print = finding.fingerprint.get(..12).unwrap_or_default();
    tell("rule", &format!("{} fingerprint {print}", finding.rule), app.theme.dim);
    let rows = page(rows, at, area, "i turns, Esc goes back", app);
    lines(frame, area, app, rows);
}

/// Rows of at most so many columns; words that are longer, such as requests, are broken too.
fn broken(text: &str, width: usize) -> Vec<String> {
    let letters = |row: String| -> Vec<String> {
        let all: Vec<char> = row.chars().collect();
        all.chunks(width).map(|part| part.iter().collect()).collect()
    };
    wrapped(text, width).into_iter().flat_map(letters).collect()
}
