//! Stored cross-site scripting, where documents may be written: one goes into the scratch collection of
//! RAG, is looked for on every page that is known, and is removed again.

use super::pages::{Page, look, pages};
use super::xss::{Payload, lowered, token};
use crate::config::{Config, Operation, RagService, Scratch, ServiceKind};
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding, Severity, Written};
use crate::security::answer::Answer;
use crate::security::context::AuditContext;
use crate::security::discovery::linked;
use crate::security::evidence::exchange;
use crate::security::ledger::{Undo, Way};
use crate::security::prober::ProbeError;
use crate::security::request::Request;
use crate::security::rules::STORED;

/// What documents of the audit are called after the mark of the run.
const DOCUMENT: &str = "-document";
/// Pages of its own that a page may link to.
const MAX_LINKED: usize = 10;

/// Writes, looks and removes; returns what that covered, in words, and whether that was all there is.
///
/// # Errors
/// When the budget is used up; what was written is still on record then.
pub async fn probe(
    context: &AuditContext<'_>,
    findings: &mut Vec<Finding>,
) -> Result<(String, bool), ProbeError> {
    if !context.config.security.writes {
        return Ok(("not tested, writing is not allowed (security.writes)".into(), true));
    }
    let Some(rag) = &context.config.services.rag else {
        return Ok(("there is no RAG".into(), true));
    };
    let Some(scratch) = &rag.scratch else {
        return Ok(("not tested, services.rag.scratch is not configured".into(), true));
    };
    let name = format!("{}{DOCUMENT}", context.mark);
    let payload = Payload::element(&token());
    // At the beginning: a list may show no more of it.
    let text = format!("{} {}", payload.text, name);
    let undo = undo(scratch, &name);
    let mut pages = places(context, rag, scratch, &undo, &name).await?;
    context.ledger.announce(written(scratch, &name), Way::Removal(undo));
    let ingest = filled(&scratch.ingest, scratch, &name, &text);
    let asked = context.prober.ask(&ingest).await?;
    if !asked.is_success() {
        context.ledger.remove(context.prober, &name).await;
        let why = format!("not tested, writing a document is answered with {}", asked.status);
        return Ok((why, false));
    }
    let known = pages.len();
    let (mut at, mut silent) = (0, 0);
    while at < pages.len() {
        match look(context, &pages[at].request, &payload).await {
            Ok((first, broke_out)) => {
                if broke_out {
                    let mut finding = finding(&pages[at], &payload, &first);
                    finding.exchanges.insert(0, exchange("written", &ingest, &asked, ""));
                    findings.push(finding);
                }
                if at < known {
                    for page in own_pages(context, &pages[at].request, &first, &name) {
                        if !pages.iter().any(|known| known.request == page.request) {
                            pages.push(page);
                        }
                    }
                }
            }
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(ProbeError::Failed(_)) => silent += 1,
        }
        at += 1;
    }
    context.ledger.remove(context.prober, &name).await;
    let mut words = format!("one document of RAG, looked for on {} pages", at - silent);
    if silent > 0 {
        words += &format!(" ({silent} without an answer)");
    }
    Ok((words, silent == 0))
}

/// The document itself, the answer to a question for it, and every page that was found.
async fn places(
    context: &AuditContext<'_>,
    rag: &RagService,
    scratch: &Scratch,
    undo: &Undo,
    name: &str,
) -> Result<Vec<Page>, ProbeError> {
    let query = query(&rag.query, name);
    let lookup = format!("rag {} {}", scratch.lookup.method, scratch.lookup.path);
    let before = Some(context.prober.ask(&undo.lookup).await?);
    let own = Page { request: undo.lookup.clone(), place: lookup, before };
    let mut all = vec![own, Page { place: query.place(), request: query, before: None }];
    all.extend_from_slice(pages(context).await?);
    Ok(all)
}

/// Pages of the document itself, which only a list that shows it links to.
fn own_pages(context: &AuditContext<'_>, list: &Request, shown: &Answer, name: &str) -> Vec<Page> {
    let of = list.service;
    let paths = linked(context.prober, list, shown, name).into_iter().take(MAX_LINKED);
    let page = |path: String| Page {
        request: Request::get(of, &path),
        place: format!("{of} GET {}", path.replace(name, "{document}")),
        before: None,
    };
    paths.map(page).collect()
}

fn finding(page: &Page, payload: &Payload, shown: &Answer) -> Finding {
    let severity = lowered(Severity::High, shown);
    let mut finding = STORED.finding(severity, &page.place, Some("document"));
    finding.title = "a stored document comes back as part of the page".into();
    finding.confidence = Confidence::Confirmed;
    finding.evidence = excerpt(&format!("{} stands as an element in the page", payload.text));
    finding.exchanges = page.exchanges(shown, &payload.text);
    finding
}

/// How a document is removed that an audit left behind.
pub fn undo_of(config: &Config, written: &Written) -> Option<Undo> {
    let scratch = config.services.rag.as_ref()?.scratch.as_ref()?;
    written.name.ends_with(DOCUMENT).then(|| undo(scratch, &written.name))
}

fn undo(scratch: &Scratch, name: &str) -> Undo {
    let of = |operation: &Operation| filled(operation, scratch, name, "");
    Undo { removals: vec![of(&scratch.delete)], lookup: of(&scratch.lookup) }
}

fn written(scratch: &Scratch, name: &str) -> Written {
    Written {
        name: name.to_owned(),
        stored: None,
        expected: None,
        file: None,
        place: format!("rag, collection {}", scratch.collection),
        undo: format!("{} {}", scratch.delete.method, scratch.delete.path),
    }
}

fn query(query: &Operation, name: &str) -> Request {
    let request = Request::of(ServiceKind::Rag, query);
    let mut points = request.points();
    points.retain(|point| point.original.contains("{question}"));
    points.iter().fold(request, |request, point| {
        request.put(point, &point.original.replace("{question}", name))
    })
}

/// An operation of the scratch collection with its placeholders filled.
fn filled(operation: &Operation, scratch: &Scratch, name: &str, text: &str) -> Request {
    let fill = |into: &str, encode: fn(&str) -> String| {
        into.replace("{collection}", &encode(&scratch.collection))
            .replace("{id}", &encode(name))
            .replace("{marker}", &encode(name))
            .replace("{text}", &encode(text))
    };
    let path = fill(&operation.path, crate::security::request::segment);
    let request = Request::of(ServiceKind::Rag, &Operation { path, ..operation.clone() });
    let points = request.points();
    points.iter().fold(request, |request, point| {
        let value = fill(&point.original, str::to_owned);
        if value == point.original { request } else { request.put(point, &value) }
    })
}
