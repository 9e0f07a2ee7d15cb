//! The security audit: its checks and what they covered, and the findings, the worst first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::fixed;
use crate::run::event::{CheckStatus, Finding, Severity};
use crate::run::state::SecurityState;
use crate::tui::app::App;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let security = app.shown().phases.iter().find_map(|phase| phase.security.as_ref());
    let text = security.map_or_else(
        || {
            let words = "   nothing audited yet: the security phase fills this panel";
            vec![Line::raw(""), Line::styled(words, app.theme.dim)]
        },
        |security| rows(security, app),
    );
    let text = Paragraph::new(text).style(app.theme.text).wrap(Wrap { trim: false });
    frame.render_widget(text, area);
}

fn rows<'a>(security: &SecurityState, app: &App) -> Vec<Line<'a>> {
    let score = security.score.as_ref().map_or_else(
        || "under way".to_owned(),
        |score| format!("{:.0} of 100, {} of {} checks", score.score, score.covered, score.asked),
    );
    let mut text = vec![Line::styled(format!(" security audit: {score}"), app.theme.title)];
    for check in &security.checks {
        let style = match check.status {
            CheckStatus::Pass => app.theme.ok,
            CheckStatus::Vulnerable => app.theme.bad,
            CheckStatus::NotApplicable => app.theme.dim,
            _ => app.theme.warning,
        };
        text.push(Line::from(vec![
            Span::styled(format!("   {} ", fixed(&check.check, 22)), app.theme.text),
            Span::styled(fixed(check.status.words(), 15), style),
            Span::styled(app.glyphs.text(&check.coverage), app.theme.dim),
        ]));
    }
    if let Some(current) = &security.current {
        text.push(Line::styled(format!("   {} under way", fixed(current, 22)), app.theme.accent));
    }
    if !security.findings.is_empty() {
        text.push(Line::styled(" findings", app.theme.title));
    }
    text.extend(security.findings.iter().map(|finding| row(finding, app)));
    text
}

fn row<'a>(finding: &Finding, app: &App) -> Line<'a> {
    let style = match finding.severity {
        Severity::Critical | Severity::High => app.theme.bad,
        Severity::Medium => app.theme.warning,
        Severity::Low | Severity::Info => app.theme.dim,
    };
    let words = format!("{} at {}: {}", finding.title, finding.place, finding.evidence);
    Line::from(vec![
        Span::styled(format!("   {:<9}", finding.severity.word()), style),
        Span::styled(app.glyphs.text(&words), app.theme.text),
    ])
}
