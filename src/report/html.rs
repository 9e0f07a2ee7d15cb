//! One self-contained HTML file: verdict and figures first, evidence below. No script, nothing from
//! elsewhere, every value escaped: names and answers come from the target.

use std::fmt::Write as _;

use super::chart;
use super::json::{PhaseSection, Report, RunSection};
use super::text::length;
use crate::run::state::RunState;

/// Name of the report in the run's folder.
pub const HTML_FILE: &str = "report.html";

const STYLE: &str = include_str!("report.css");
/// Nothing is loaded, nothing is run.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The report as one HTML document.
pub fn document(state: &RunState) -> String {
    let report = super::json::report(state);
    let mut html = String::new();
    // Writing into a String cannot fail.
    let _ = write_document(&mut html, &report, state);
    html
}

fn write_document(html: &mut String, report: &Report, state: &RunState) -> std::fmt::Result {
    let target = report.run.as_ref().map_or("", |run| run.target.as_str());
    write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"referrer\" content=\"no-referrer\">\
         <title>{} · shakedown · {}</title><style>{STYLE}</style></head><body><main>",
        escape(&report.verdict),
        escape(target)
    )?;
    head(html, report)?;
    super::slo::write_html(html, &report.slo_compliance)?;
    html.write_str("<h2 id=phases>Phases</h2>")?;
    for phase in &report.phases {
        write_phase(html, phase, state)?;
    }
    super::stores::write_html(html, &report.stores)?;
    super::slo::write_controls(html, &report.controls)?;
    super::notify::write_html(html, &report.notifications)?;
    timeline(html, report)?;
    foot(html, report)?;
    html.write_str("</main></body></html>\n")
}

fn head(html: &mut String, report: &Report) -> std::fmt::Result {
    let run = report.run.as_ref();
    let partial = if report.complete { "" } else { " <small>partial: the run did not end</small>" };
    write!(
        html,
        "<header class=\"{class}\"><p>shakedown</p><h1>{verdict}{partial}</h1><p>{run}</p></header>",
        class = escape(&report.overall_status),
        verdict = escape(&report.verdict),
        run = escape(&run.map_or_else(String::new, |run| format!(
            "{} ({}) · {} · {} · {}",
            run.target,
            run.environment,
            run.plan,
            run.id,
            length(run.seconds)
        )))
    )?;
    if let Some(unchecked) = run.and_then(RunSection::unchecked) {
        write!(html, "<p class=\"v fail\">Warning: {}</p>", escape(&unchecked))?;
    }
    if !report.reasons.is_empty() {
        html.write_str("<h2>What decided it</h2><ul>")?;
        for reason in &report.reasons {
            write!(html, "<li>{}</li>", escape(reason))?;
        }
        html.write_str("</ul>")?;
    }
    Ok(())
}

fn write_phase(html: &mut String, phase: &PhaseSection, state: &RunState) -> std::fmt::Result {
    write!(
        html,
        "<section><h3>{} <span class=\"v {v}\">{v}</span></h3><p>{}</p>",
        phase.phase,
        escape(&phase.reason),
        v = escape(&phase.status)
    )?;
    if let Some(load) = &phase.load {
        super::load::html::write(html, load)?;
        html.write_str(&chart::latencies(state, phase.phase))?;
    }
    if let Some(chaos) = &phase.chaos {
        super::chaos::write_html(html, chaos)?;
    }
    if let Some(security) = &phase.security {
        super::security::write_html(html, security)?;
    }
    phase.backup.iter().try_for_each(|drill| super::backup::write_html(html, drill))?;
    html.write_str("</section>")
}

fn timeline(html: &mut String, report: &Report) -> std::fmt::Result {
    if report.timeline.is_empty() {
        return Ok(());
    }
    html.write_str("<details><summary>Timeline</summary><table><tbody>")?;
    for mark in &report.timeline {
        write!(
            html,
            "<tr><td class=n>{:.1} s<td>{}<td>{}</tr>",
            mark.at_seconds,
            mark.phase.map_or("", |phase| phase.name()),
            escape(&mark.text)
        )?;
    }
    html.write_str("</tbody></table></details>")
}

fn foot(html: &mut String, report: &Report) -> std::fmt::Result {
    let Some(run) = &report.run else { return Ok(()) };
    write!(
        html,
        "<footer><p>shakedown {} on {}, configuration {}, seed {}. {}</p></footer>",
        escape(&run.shakedown_version),
        escape(&run.host),
        escape(&run.config_source),
        run.seed,
        escape(run.created.as_deref().unwrap_or_default())
    )
}

/// A text as HTML shows it, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML, for which this serves too, has no place for the last two.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() && c != '\n' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PhaseKind;
    use crate::run::event::{RunVerdict, Verdict};
    use crate::run::state::{Mark, PhaseState};

    #[test]
    fn what_comes_from_the_target_cannot_leave_its_place() {
        let hostile = "<script>alert(1)</script>\"' onload=x &\u{1b}[2J";
        let mut phase = PhaseState::new(PhaseKind::Mixed);
        phase.outcome = Some(crate::run::event::PhaseOutcome::new(Verdict::Fail, hostile));
        let mut state = RunState { phases: vec![phase], ..RunState::default() };
        state.marks.push_back(Mark { at_us: 1, phase: None, text: hostile.into() });
        state.verdict = Some(RunVerdict {
            verdict: Verdict::Fail,
            reasons: vec![hostile.into()],
            without: vec![],
        });
        let html = document(&state);
        assert!(!html.contains("<script") && !html.contains('\u{1b}'), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 3, "{html}");
        assert!(html.contains("default-src 'none'") && !html.contains("http://"));
    }
}
