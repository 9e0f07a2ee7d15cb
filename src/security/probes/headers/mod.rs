//! Security headers of answers and error pages: the profile of a browser page for HTML, that of an API
//! for everything else, and the score that Mozilla's Observatory would give.

mod api;
mod cookies;
mod csp;
mod observatory;
mod page;

pub use csp::Policy;

use super::{cover, in_both};
use crate::config::{CheckKind, ServiceKind};
use crate::platform::text::excerpt;
use crate::run::event::{CheckStatus, Exchange, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::calibration::ABSENT;
use crate::security::context::AuditContext;
use crate::security::evidence::{exchange, fit};
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::request::Request;
use crate::security::rules::{HSTS, NOSNIFF, Rule, VERBOSE_ERROR, VERSION};
use crate::security::surface::Operation;

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
}

/// What was seen of one service.
#[derive(Default)]
struct Seen {
    findings: Vec<Finding>,
    /// Operations that answered, and those that did not.
    tested: u32,
    silent: u32,
    /// Pages, and the worst score of one.
    html: u32,
    worst: Option<u32>,
    /// Error pages.
    errors: u32,
}

impl Seen {
    /// The same header that is missing on several pages of a service is one finding.
    fn is_new(&self, finding: &Finding) -> bool {
        self.findings.iter().all(|known| known.rule != finding.rule)
    }
}

/// Looks at the answers of every service.
pub async fn probe(context: &AuditContext<'_>, outcome: &mut Outcome) -> Result<(), ProbeError> {
    let (mut looked, mut silent, mut words) = (0, 0, Vec::new());
    let mut tested = 0;
    for service in context.prober.homes().all() {
        let mut seen = answers(context, service).await?;
        error_pages(context, service, &mut seen);
        tested += seen.tested;
        silent += seen.silent;
        looked += seen.tested + seen.errors;
        let mut known = std::collections::HashSet::new();
        seen.findings.retain(|finding| known.insert(finding.rule.clone()));
        outcome.findings.append(&mut seen.findings);
        words.push(match seen.worst {
            Some(score) => {
                let grade = observatory::grade(score);
                format!("{service} {} pages, Observatory {score} ({grade})", seen.html)
            }
            None => format!("{service} as a JSON API"),
        });
    }
    outcome.tested = Some(tested);
    let mut covered = format!("{looked} answers and error pages: {}", words.join(", "));
    if silent > 0 {
        outcome.status = Some(CheckStatus::Error);
        covered += &format!("; {silent} operations without an answer");
    }
    cover(outcome, covered);
    if looked == 0 {
        *outcome = Outcome::not_tested("no service gave an answer");
    }
    Ok(())
}

async fn answers(context: &AuditContext<'_>, service: ServiceKind) -> Result<Seen, ProbeError> {
    let mut seen = Seen::default();
    let tls = context.prober.is_tls(service);
    let own = context.surface.operations.iter().filter(|operation| {
        let request = &operation.request;
        context.prober.homes().of(request.service) == service && request.is_safe()
    });
    let own: Vec<&Operation> = own.take(MAX_ANSWERS).collect();
    for (done, operation) in own.iter().enumerate() {
        context.progress(CheckKind::Headers, done, own.len(), &operation.place());
        match look_at(context, operation, tls, &mut seen).await {
            Ok(()) => seen.tested += 1,
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(ProbeError::Failed(_)) => seen.silent += 1,
        }
    }
    Ok(seen)
}

/// Looks at an answer; where something of it is new, at another one to the same, which has to lack the same.
async fn look_at(
    context: &AuditContext<'_>,
    operation: &Operation,
    tls: bool,
    seen: &mut Seen,
) -> Result<(), ProbeError> {
    let request = &operation.request;
    let judged = |answer: &Answer| {
        let private = operation.secured == Some(true)
            && answer.is_success()
            && context.prober.credentials(request.service).is_some();
        let evidence = shown(request, answer);
        judge(&Page { answer, place: operation.place(), tls, private, evidence })
    };
    let answer = context.prober.ask(request).await?;
    let mut findings = judged(&answer);
    findings.retain(|finding| seen.is_new(finding));
    if !findings.is_empty() {
        let again = judged(&context.prober.ask(request).await?);
        seen.findings.extend(in_both(findings, &again));
    }
    if is_page(&answer) {
        seen.html += 1;
        let scored = observatory::score(&answer, tls);
        seen.worst = Some(seen.worst.map_or(scored, |other| other.min(scored)));
    }
    Ok(())
}

/// Error pages come from other code than answers.
fn error_pages(context: &AuditContext<'_>, service: ServiceKind, seen: &mut Seen) {
    let tls = context.prober.is_tls(service);
    let absent = Request::get(service, ABSENT);
    let judged = |answer: &Answer| {
        let evidence = shown(&absent, answer);
        judge(&Page { answer, place: absent.place(), tls, private: false, evidence })
    };
    for (page, other) in context.calibration.pairs(service).take(2) {
        seen.findings.extend(in_both(judged(page), &judged(other)));
        seen.errors += 1;
    }
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

fn judge(page: &Page<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
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
    if is_page(answer) {
        page::judge(page, &mut findings);
    } else {
        api::judge(page, &mut findings);
    }
    findings
}

/// Whether a browser would show it as a page.
fn is_page(answer: &Answer) -> bool {
    answer.media_type().contains("html") && answer.is_shown()
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
pub fn stack_trace(body: &str) -> Option<&'static str> {
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
        let evidence =
            Exchange { role: "answer".into(), request: String::new(), response: String::new() };
        let place = "rag GET /".into();
        let findings = judge(&Page { answer, place, tls, private, evidence });
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
    fn a_script_of_another_site_is_seen_behind_one_of_the_page() {
        let body = "<script>var a = 1;</script><script src=https://cdn.example.com/a.js></script>";
        let page = answer(200, &[("content-type", "text/html")], body);
        assert!(rules(&page, false, false).contains(&"SDK-HEAD-009".to_owned()), "{page:?}");
    }

    #[test]
    fn versions_are_numbers_with_dots() {
        assert!(has_version("nginx/1.2.3") && has_version("PHP/8"));
        assert!(!has_version("nginx") && !has_version("cloud9") && !has_version(""));
    }
}
