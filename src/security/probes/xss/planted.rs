//! Stored cross-site scripting through requests of `security.operations` that keep what they are sent: a
//! harmless token in each place shows on which page it comes back, then the least that would break out of
//! there is sent, twice, with another token each time.

use reqwest::Method;

use super::attack::{breaks_out, lowered, token};
use super::context::{Standing, standing};
use super::payload::{Payload, payloads};
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::context::AuditContext;
use crate::security::evidence::exchange;
use crate::security::prober::ProbeError;
use crate::security::probes::pages::{Page, pages};
use crate::security::request::{Point, Request};
use crate::security::rules::STORED;
use crate::security::surface::{Operation, Source};

/// Tries every configured request that is no GET; returns what that covered, in words.
///
/// # Errors
/// When the budget is used up.
pub async fn probe(
    context: &AuditContext<'_>,
    findings: &mut Vec<Finding>,
) -> Result<String, ProbeError> {
    let all = context.surface.operations.iter().filter(|operation| {
        let writes = operation.request.method != Method::GET;
        operation.source == Source::Configured && writes && !operation.points.is_empty()
    });
    let all: Vec<&Operation> = all.collect();
    if all.is_empty() {
        return Ok("security.operations has none that may keep something".into());
    }
    if !context.config.security.writes {
        return Ok("requests of security.operations not tried: writing is not allowed".into());
    }
    let pages = pages(context).await?;
    let mut silent = 0;
    for operation in &all {
        match plant(context, operation, pages).await {
            Ok(found) => findings.extend(found),
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(ProbeError::Failed(_)) => silent += 1,
        }
    }
    let words = format!("what {} requests keep, looked for on {} pages", all.len(), pages.len());
    Ok(if silent == 0 { words } else { format!("{words} ({silent} without an answer)") })
}

/// Puts a token into every place of a request, and attacks those that come back on a page.
async fn plant(
    context: &AuditContext<'_>,
    operation: &Operation,
    pages: &[Page],
) -> Result<Vec<Finding>, ProbeError> {
    let tokens: Vec<(&Point, String)> =
        operation.points.iter().map(|point| (point, token())).collect();
    let words = tokens.iter().filter(|(point, _)| !point.is_numeric());
    let at_once =
        words.fold(operation.request.clone(), |request, (point, token)| request.put(point, token));
    if context.prober.ask(&at_once).await?.status >= 400 {
        // What checks one of its values may take the others.
        for (point, token) in &tokens {
            context.prober.ask(&operation.request.put(point, token)).await?;
        }
    }
    let mut found = Vec::new();
    for page in pages {
        let shown = context.prober.ask(&page.request).await?;
        for (point, token) in &tokens {
            if !shown.is_active() || !shown.body.contains(token.as_str()) {
                continue;
            }
            let attack = Attack { context, operation, point, page };
            for place in standing(&shown.body, token) {
                if let Some(finding) = attack.run(&place).await? {
                    found.push(finding);
                    break;
                }
            }
        }
    }
    Ok(found)
}

struct Attack<'a> {
    context: &'a AuditContext<'a>,
    operation: &'a Operation,
    point: &'a Point,
    page: &'a Page,
}

/// What was sent, the answer to that, and the page afterwards.
struct Shown {
    payload: Payload,
    sent: Request,
    answer: Answer,
    page: Answer,
}

impl Attack<'_> {
    async fn run(&self, place: &Standing) -> Result<Option<Finding>, ProbeError> {
        for at in 0..payloads(place, "zq").len() {
            let Some(first) = self.send(place, at).await? else { continue };
            if self.send(place, at).await?.is_some() {
                return Ok(Some(self.finding(place, &first)));
            }
        }
        Ok(None)
    }

    /// Sends one of the payloads of a place; none where it does not break out of the page.
    async fn send(&self, place: &Standing, at: usize) -> Result<Option<Shown>, ProbeError> {
        let Some(payload) = payloads(place, &token()).into_iter().nth(at) else { return Ok(None) };
        let sent = self.operation.request.put(self.point, &payload.text);
        let answer = self.context.prober.ask(&sent).await?;
        let page = self.context.prober.ask(&self.page.request).await?;
        Ok(breaks_out(&payload, &page).then_some(Shown { payload, sent, answer, page }))
    }

    fn finding(&self, place: &Standing, shown: &Shown) -> Finding {
        let from = format!("{} {}", self.operation.place(), self.point.words());
        let severity = lowered(Severity::High, &shown.page);
        let mut finding = STORED.finding(severity, &self.page.place, Some(&from));
        finding.title = format!("what {from} keeps comes back as part of the page");
        finding.confidence = Confidence::Confirmed;
        finding.evidence = excerpt(&format!(
            "it stands in {place:?}; {} breaks out of there once the page is parsed, and so does \
             another one; what was sent is still there, nothing says how it is removed",
            shown.payload.text
        ));
        let Shown { payload, sent, answer, page } = shown;
        finding.exchanges = vec![
            exchange("written", sent, answer, ""),
            exchange("attack", &self.page.request, page, &payload.text),
        ];
        let before = self.page.before.as_ref();
        let control = before.map(|was| exchange("control", &self.page.request, was, ""));
        finding.exchanges.extend(control);
        finding
    }
}
