//! Security headers of answers and error pages: the profile of a browser page for HTML, that of an API
//! for everything else, and the score that Mozilla's Observatory would give.

mod api;
mod cookies;
mod csp;
mod observatory;
mod page;

pub use csp::Policy;

use super::cover;
use crate::platform::text::excerpt;
use crate::run::event::{Exchange, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::calibration::ABSENT;
use crate::security::context::AuditContext;
use crate::security::evidence::{exchange, fit};
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::request::Request;
use crate::security::rules::{HSTS, NOSNIFF, Rule, VERBOSE_ERROR, VERSION};

/// Half a year, the least that counts for strict transport security.
pub const LEAST_HSTS_SECONDS: u64 = 15_768_000;
/// Answers of each service that are looked at.
const MAX_ANSWERS: usize = 100;

/// One answer to judge.
struct Page<'a> {
    answer: &'a Answer,
    place: String,
    tls: bool,
    /// Whether it was given to credentials and not without them.
    private: bool,
    /// The request and this answer, for who wants to see it.
    evidence: Exchange,
}

impl Page<'_> {
    fn finding(&self, rule: &Rule, severity: Severity, title: &str, evidence: String) -> Finding {
        let mut finding = rule.finding(severity, &self.place, None);
        finding.title = title.to_owned();
        finding.evidence = excerpt(&evidence);
        finding.exchanges = vec![self.evidence.clone()];
        finding
    }

    fn is_html(&self) -> bool {
        self.answer.media_type().contains("html")
    }
}

/// Looks at the answers of every service.
pub async fn probe(context: &AuditContext<'_>, outcome: &mut Outcome) -> Result<(), ProbeError> {
    let (mut looked, mut tested, mut words) = (0, 0, Vec::new());
    for service in context.prober.services() {
        let tls = context.prober.is_tls(service);
        let mut findings = Vec::new();
        let (mut html, mut worst) = (0, None);
        let own = context.surface.operations.iter().filter(|operation| {
            operation.request.service == service && operation.request.is_safe()
        });
        for operation in own.take(MAX_ANSWERS) {
            let answer = match context.prober.ask(&operation.request).await {
                Ok(answer) => answer,
                Err(ProbeError::Budget) => return Err(ProbeError::Budget),
                Err(_) => continue,
            };
            tested += 1;
            let private = operation.secured == Some(true)
                && answer.is_success()
                && context.prober.credentials(service).is_some();
            let place = operation.place();
            let evidence = shown(&operation.request, &answer);
            let page = Page { answer: &answer, place, tls, private, evidence };
            looked += 1;
            judge(&page, &mut findings);
            if page.is_html() {
                html += 1;
                let scored = observatory::score(&answer, tls);
                worst = Some(worst.map_or(scored, |other: u32| other.min(scored)));
            }
        }
        // Error pages come from other code than answers.
        for answer in context.calibration.pages(service).take(2) {
            let absent = Request::get(service, ABSENT);
            let evidence = shown(&absent, answer);
            judge(
                &Page { answer, place: absent.place(), tls, private: false, evidence },
                &mut findings,
            );
            looked += 1;
        }
        // The same header that is missing on several pages of a service is one finding.
        let mut seen = std::collections::HashSet::new();
        findings.retain(|finding: &Finding| seen.insert(finding.rule.clone()));
        outcome.findings.extend(findings);
        words.push(match worst {
            Some(score) => {
                format!(
                    "{service} {html} pages, Observatory {score} ({})",
                    observatory::grade(score)
                )
            }
            None => format!("{service} as a JSON API"),
        });
    }
    outcome.tested = Some(tested);
    cover(outcome, format!("{looked} answers and error pages: {}", words.join(", ")));
    if looked == 0 {
        *outcome = Outcome::not_tested("no service gave an answer");
    }
    Ok(())
}

/// An answer as evidence: of headers, the headers.
fn shown(request: &Request, answer: &Answer) -> Exchange {
    let mut shown = exchange("answer", request, answer, "");
    let headers = answer.headers.iter();
    let headers = headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?")));
    let headers = headers.collect::<Vec<_>>().join(" | ");
    shown.response = fit(&format!("{} {headers}", answer.status));
    shown
}

fn judge(page: &Page<'_>, findings: &mut Vec<Finding>) {
    let answer = page.answer;
    let sniffed = answer.header("x-content-type-options");
    if !sniffed.eq_ignore_ascii_case("nosniff") && !answer.body.is_empty() {
        let evidence = format!("x-content-type-options: `{sniffed}`");
        findings.push(page.finding(
            &NOSNIFF,
            Severity::Low,
            "content types may be guessed",
            evidence,
        ));
    }
    for name in ["server", "x-powered-by", "x-aspnet-version", "x-generator"] {
        let value = answer.header(name);
        if has_version(value) {
            let title = "a header tells the version of the software";
            findings.push(page.finding(&VERSION, Severity::Low, title, format!("{name}: {value}")));
        }
    }
    if page.tls {
        let value = answer.header("strict-transport-security").to_lowercase();
        if hsts_seconds(&value).is_none_or(|age| age < LEAST_HSTS_SECONDS) {
            let evidence = format!("strict-transport-security: `{value}`");
            findings.push(page.finding(&HSTS, Severity::Medium, "TLS may be stripped", evidence));
        }
    }
    if answer.status >= 400
        && let Some(trace) = stack_trace(&answer.body)
    {
        let title = "an error page shows the inside";
        findings.push(page.finding(&VERBOSE_ERROR, Severity::Medium, title, trace.to_owned()));
    }
    findings.extend(cookies::judge(page));
    if page.is_html() {
        page::judge(page, findings);
    } else {
        api::judge(page, findings);
    }
}

/// `nginx/1.2.3` and the like: a number with a dot, or after a slash.
fn has_version(value: &str) -> bool {
    value.as_bytes().windows(2).any(|pair| {
        (matches!(pair[0], b'/' | b'.') && pair[1].is_ascii_digit())
            || (pair[0].is_ascii_digit() && pair[1] == b'.')
    })
}

fn hsts_seconds(value: &str) -> Option<u64> {
    let age = |part: &str| part.trim().strip_prefix("max-age=")?.trim_matches('"').parse().ok();
    value.split(';').find_map(age)
}

/// What only a stack trace looks like.
fn stack_trace(body: &str) -> Option<&'static str> {
    const SIGNS: [&str; 7] = [
        "Traceback (most recent call last)",
        "\tat java.",
        "at org.springframework.",
        "at Object.<anonymous> (/",
        "goroutine 1 [running]",
        "System.NullReferenceException",
        "thread 'main' panicked at",
    ];
    SIGNS.into_iter().find(|sign| body.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    fn rules(answer: &Answer, tls: bool, private: bool) -> Vec<String> {
        let mut findings = Vec::new();
        let evidence =
            Exchange { role: "answer".into(), request: String::new(), response: String::new() };
        let place = "rag GET /".into();
        judge(&Page { answer, place, tls, private, evidence }, &mut findings);
        let mut rules: Vec<String> = findings.into_iter().map(|finding| finding.rule).collect();
        rules.dedup();
        rules
    }

    #[test]
    fn a_json_answer_needs_little_and_a_page_much() {
        let json = [("content-type", "application/json"), ("x-content-type-options", "nosniff")];
        assert_eq!(rules(&answer(200, &json, "{}"), false, false), [""; 0]);
        assert_eq!(rules(&answer(200, &json, "{}"), true, false), ["SDK-HEAD-003"]);
        assert_eq!(rules(&answer(200, &json, "{}"), false, true), ["SDK-HEAD-008"]);
        let bare = answer(200, &[("content-type", "text/html")], "<p>x");
        assert_eq!(rules(&bare, false, false), ["SDK-HEAD-001", "SDK-HEAD-004", "SDK-HEAD-005"]);
        let good = [
            ("content-type", "text/html"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("strict-transport-security", "max-age=31536000"),
            ("set-cookie", "id=1; Secure; HttpOnly; SameSite=Lax"),
            ("server", "nginx"),
        ];
        assert_eq!(rules(&answer(200, &good, "<p>x"), true, false), [""; 0]);
    }

    #[test]
    fn versions_are_numbers_with_dots() {
        assert!(has_version("nginx/1.2.3") && has_version("PHP/8"));
        assert!(!has_version("nginx") && !has_version("cloud9") && !has_version(""));
    }
}
