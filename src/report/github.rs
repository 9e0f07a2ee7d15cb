//! What a job on GitHub Actions shows of a run: its step summary, annotations and outputs.

use super::json::Report;
use super::markdown;

/// GitHub shows ten annotations of a kind a step.
const ANNOTATIONS: usize = 10;

/// What goes to the job's page, as Markdown.
pub fn summary(report: &Report) -> String {
    markdown::document(report)
}

/// Workflow commands that mark what decided the verdict; none for a pass.
pub fn annotations(report: &Report) -> Vec<String> {
    let kind = match report.overall_status.as_str() {
        "pass" => return Vec::new(),
        "fail" | "aborted" => "error",
        _ => "warning",
    };
    let title = format!("shakedown {}", report.overall_status);
    let line =
        |reason: &String| format!("::{kind} title={}::{}", property(&title), message(reason));
    report.reasons.iter().take(ANNOTATIONS).map(line).collect()
}

/// Outputs of the step, `name=value` lines.
pub fn outputs(report: &Report, path: &std::path::Path) -> String {
    let run = report.run.as_ref().map_or("", |run| run.id.as_str());
    let line = |text: &str| text.replace(['\n', '\r'], " ");
    format!(
        "verdict={}\nrun={}\nreport={}\n",
        line(&report.overall_status),
        line(run),
        line(&path.display().to_string())
    )
}

/// A text after `::`, which must not begin a command of its own.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json;

    #[test]
    fn a_reason_cannot_start_a_command_of_its_own() {
        let mut report = json::report(&Default::default());
        report.overall_status = "fail".into();
        report.reasons = vec!["100 %\n::set-output name=x::y".into(); 30];
        let lines = annotations(&report);
        assert_eq!(lines.len(), 10);
        let expected = "::error title=shakedown fail::100 %25%0A::set-output name=x::y";
        assert!(lines.iter().all(|line| line == expected), "{lines:?}");
        report.overall_status = "pass".into();
        assert!(annotations(&report).is_empty());
    }

    #[test]
    fn outputs_are_one_line_each() {
        let report = json::report(&Default::default());
        let text = outputs(&report, std::path::Path::new("/runs/a\nb/r.json"));
        assert_eq!(text, "verdict=running\nrun=\nreport=/runs/a b/r.json\n");
    }
}
