//! The security audit: score and coverage, how far the checks and images are, and the findings, the
//! worst first; one of them in detail on a key.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{fitted, fixed, lines, security_detail};
use crate::config::PhaseKind;
use crate::run::event::{
    CheckReport, CheckStatus, Confidence, Finding, ImageReport, ImageStatus, PhaseOutcome,
    Severity, VulnerabilityDatabase,
};
use crate::run::state::SecurityState;
use crate::tui::app::App;

/// Rows of findings that are shown however small the panel is.
const LEAST_ROWS: usize = 5;

/// Columns for the name of a check or image.
const NAME: usize = 22;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let phase = app.shown().phases.iter().find(|phase| phase.kind == PhaseKind::Security);
    let over = phase.and_then(|phase| phase.outcome.as_ref());
    let Some(security) = phase.and_then(|phase| phase.security.as_ref()) else {
        let words = over.map_or_else(
            || "   nothing audited yet: the security phase fills this panel".to_owned(),
            |over| format!("   nothing audited, {}: {}", over.verdict, over.reason),
        );
        let words = app.glyphs.text(&words);
        let text = vec![Line::raw(""), Line::styled(words, app.theme.dim)];
        return lines(frame, area, app, text);
    };
    let findings = app.findings();
    let selected = app.finding.min(findings.len().saturating_sub(1));
    if let (Some(page), Some(finding)) = (app.finding_detail, findings.get(selected)) {
        return security_detail::render(frame, area, page, finding, app);
    }
    let height = usize::from(area.height);
    let mut text = above(security, over, app);
    // The findings need room, however much there is to be told of the checks.
    let wanted = (findings.len() + 1).min(LEAST_ROWS + 1);
    text.truncate(height.saturating_sub(wanted).max(1));
    text.push(list_title(security, findings.len(), app));
    let room = height.saturating_sub(text.len()).max(1);
    let from = selected.saturating_sub(room / 2).min(findings.len().saturating_sub(room));
    let shown = findings.iter().enumerate().skip(from).take(room);
    text.extend(shown.map(|(at, finding)| row(finding, at == selected, app)));
    lines(frame, area, app, text);
}

/// Score, checks and images.
fn above<'a>(security: &SecurityState, over: Option<&PhaseOutcome>, app: &App) -> Vec<Line<'a>> {
    let mut text = vec![Line::styled(summary(security, over), app.theme.title)];
    text.extend(security.checks.iter().map(|check| check_row(check, app)));
    // An audit that was ended leaves what it was at.
    let (word, style) = match over {
        None => ("under way", app.theme.accent),
        Some(_) => ("not finished", app.theme.warning),
    };
    if let Some(current) = &security.current {
        let told = security.progress.as_ref().map_or_else(String::new, |progress| {
            let so_far = format!("{}/{}", progress.done, progress.of);
            format!("{so_far:>7}  {}", progress.at)
        });
        text.push(state_row(current, word, style, &told, app));
    }
    text.extend(security.database.as_ref().map(|database| database_row(database, app)));
    text.extend(security.images.iter().map(|image| image_row(image, app)));
    if let Some(image) = &security.current_image {
        let step = security.current_step.as_deref().unwrap_or_default();
        text.push(state_row(&end_of(image, NAME), word, style, step, app));
    }
    let waits = if over.is_none() { "waiting" } else { "not scanned" };
    text.extend(
        security
            .waiting_images
            .iter()
            .map(|image| state_row(&end_of(image, NAME), waits, app.theme.dim, "", app)),
    );
    text
}

fn summary(security: &SecurityState, over: Option<&PhaseOutcome>) -> String {
    let mut words = match (&security.score, over) {
        (None, None) => " security audit under way".to_owned(),
        (None, Some(over)) => format!(" security audit {}: no score", over.verdict),
        (Some(score), _) if score.covered == 0 => " security audit: nothing was tested".to_owned(),
        (Some(score), _) => format!(
            " security {:.0} of 100, {} of {} checks",
            score.score, score.covered, score.asked
        ),
    };
    if let Some(found) = &security.discovered {
        words += &format!(", {} of {} operations attackable", found.attackable, found.found);
    }
    if let Some(compared) = &security.comparison {
        words += &format!(", {} new, {} fixed", compared.new, compared.fixed.len());
    }
    if !security.residue.is_empty() {
        words += &format!(", {} written or replaced and not yet undone", security.residue.len());
    }
    words
}

fn check_row<'a>(check: &CheckReport, app: &App) -> Line<'a> {
    let style = match check.status {
        CheckStatus::Pass => app.theme.ok,
        CheckStatus::Vulnerable => app.theme.bad,
        CheckStatus::NotApplicable => app.theme.dim,
        _ => app.theme.warning,
    };
    let tested = check.operations.as_ref();
    let tested = tested.map_or_else(String::new, |of| format!("{}/{}", of.tested, of.found));
    state_row(
        &check.check,
        check.status.words(),
        style,
        &format!("{tested:>7}  {}", check.coverage),
        app,
    )
}

fn database_row<'a>(database: &VulnerabilityDatabase, app: &App) -> Line<'a> {
    let age = database.age_hours.map_or_else(|| "age unknown".to_owned(), |h| format!("{h} h old"));
    state_row("Trivy's database", &age, app.theme.dim, &database.detail, app)
}

fn image_row<'a>(image: &ImageReport, app: &App) -> Line<'a> {
    let (word, style) = match image.status {
        ImageStatus::Scanned
            if image.end_of_life || image.fixable.critical + image.fixable.high > 0 =>
        {
            ("scanned", app.theme.bad)
        }
        ImageStatus::Scanned => ("scanned", app.theme.ok),
        ImageStatus::NotCovered => ("not covered", app.theme.warning),
        ImageStatus::Failed => ("failed", app.theme.bad),
    };
    let (fixable, unfixed) = (&image.fixable, &image.unfixed);
    let old = if image.end_of_life { ", operating system without fixes" } else { "" };
    let told = match image.status {
        ImageStatus::Scanned => format!(
            "fixable {} critical {} high, unfixed {} and {}{old}",
            fixable.critical, fixable.high, unfixed.critical, unfixed.high
        ),
        _ => image.detail.clone(),
    };
    state_row(&end_of(&image.image, NAME), word, style, &told, app)
}

/// The end of a name that is too long: of an image, what tells it from others.
fn end_of(name: &str, width: usize) -> String {
    let over = name.chars().count().saturating_sub(width);
    if over == 0 {
        return name.to_owned();
    }
    format!("…{}", name.chars().skip(over + 1).collect::<String>())
}

fn state_row<'a>(name: &str, word: &str, style: Style, told: &str, app: &App) -> Line<'a> {
    let name = app.glyphs.text(name);
    Line::from(vec![
        Span::styled(format!("   {} ", fitted(&name, NAME, app)), app.theme.text),
        Span::styled(fixed(word, 15), style),
        Span::styled(app.glyphs.text(told), app.theme.dim),
    ])
}

fn list_title<'a>(security: &SecurityState, shown: usize, app: &App) -> Line<'a> {
    let all = security.findings.len();
    let accepted = security.findings.iter().filter(|one| one.suppressed.is_some()).count();
    let words = match (all, app.finding_filter.as_str()) {
        (0, _) => " no findings so far".to_owned(),
        (_, "") if accepted > 0 => format!(
            " findings: {all} ({accepted} accepted: filter \"accepted\"), i shows one in detail, / filters"
        ),
        (_, "") => format!(" findings: {all}, i shows one in detail, / filters"),
        (_, filter) => format!(" findings with \"{filter}\": {shown} of {all}, Esc shows all"),
    };
    Line::styled(app.glyphs.text(&words), app.theme.title)
}

fn row<'a>(finding: &Finding, selected: bool, app: &App) -> Line<'a> {
    let mark = if selected { ">" } else { " " };
    let novelty = finding.novelty.map_or("", |novelty| novelty.word());
    let told = |parameter: &str| {
        let mut words = parameter.split_whitespace();
        words.all(|word| finding.title.split_whitespace().any(|other| other == word))
    };
    let parameter =
        finding.parameter.as_deref().filter(|parameter| !told(parameter)).unwrap_or_default();
    let mut words = format!("{} at {} {parameter}", finding.title, finding.place);
    // Why, and until when, stands in the same text.
    if let Some(reason) = &finding.suppressed {
        words = format!("{}: {reason}", words.trim_end());
    }
    let style = if selected { app.theme.accent } else { app.theme.text };
    let note = match finding.suppressed {
        Some(_) => "accepted",
        None if finding.confidence == Confidence::Tentative => Confidence::Tentative.word(),
        None => novelty,
    };
    Line::from(vec![
        Span::styled(format!(" {mark} "), style),
        Span::styled(format!("{:<9}", finding.severity.word()), of_severity(finding.severity, app)),
        Span::styled(format!("{} ", fixed(note, 9)), app.theme.dim),
        Span::styled(app.glyphs.text(&words), style),
    ])
}

/// The colour of a severity.
pub fn of_severity(severity: Severity, app: &App) -> Style {
    match severity {
        Severity::Critical | Severity::High => app.theme.bad,
        Severity::Medium => app.theme.warning,
        Severity::Low | Severity::Info => app.theme.dim,
    }
}
