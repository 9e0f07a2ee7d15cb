//! Stored cross-site scripting, where documents may be written: one goes into the scratch collection of
//! RAG, is looked at as a page would show it, and is removed again.

use super::xss::{Payload, breaks_out, lowered, token};
use crate::config::{Config, Operation, Scratch, ServiceKind};
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding, Severity, Written};
use crate::security::context::AuditContext;
use crate::security::evidence::exchange;
use crate::security::ledger::Undo;
use crate::security::prober::ProbeError;
use crate::security::request::Request;
use crate::security::rules::STORED;

/// What documents of the audit are called after the mark of the run.
const DOCUMENT: &str = "-document";

/// Writes, looks and removes; returns what that covered, in words.
///
/// # Errors
/// When the budget is used up; what was written is still on record then.
pub async fn probe(
    context: &AuditContext<'_>,
    findings: &mut Vec<Finding>,
) -> Result<String, ProbeError> {
    if !context.config.security.writes {
        return Ok("not tested, writing is not allowed (security.writes)".into());
    }
    let Some(rag) = &context.config.services.rag else { return Ok("there is no RAG".into()) };
    let Some(scratch) = &rag.scratch else {
        return Ok("not tested, services.rag.scratch is not configured".into());
    };
    let name = format!("{}{DOCUMENT}", context.mark);
    let payload = Payload::element(&token());
    let text = format!("{} {}", name, payload.text);
    let undo = undo(scratch, &name);
    let before = context.prober.ask(&undo.lookup).await?;
    context.ledger.announce(written(scratch, &name), Some(undo.clone()));
    let ingest = filled(&scratch.ingest, scratch, &name, &text);
    let asked = context.prober.ask(&ingest).await?;
    if !asked.is_success() {
        context.ledger.remove(context.prober, &name).await;
        return Ok(format!("not tested, writing a document is answered with {}", asked.status));
    }
    let mut looks = vec![undo.lookup.clone()];
    looks.push(query(&rag.query, &name));
    for look in looks {
        let first = context.prober.ask(&look).await?;
        let again = context.prober.ask(&look).await?;
        if breaks_out(&payload, &first) && breaks_out(&payload, &again) {
            let severity = lowered(Severity::High, &first);
            let mut finding = STORED.finding(severity, &place(&look, scratch), Some("document"));
            finding.title = "a stored document comes back as part of the page".into();
            finding.confidence = Confidence::Confirmed;
            finding.evidence =
                excerpt(&format!("{} stands as an element in the page", payload.text));
            finding.exchanges = vec![
                exchange(context.prober, "written", &ingest, &asked, ""),
                exchange(context.prober, "attack", &look, &first, &payload.text),
                exchange(context.prober, "control", &undo.lookup, &before, ""),
            ];
            findings.push(finding);
        }
    }
    context.ledger.remove(context.prober, &name).await;
    Ok("one document of RAG".into())
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
        file: None,
        place: format!("rag, collection {}", scratch.collection),
        undo: format!("{} {}", scratch.delete.method, scratch.delete.path),
    }
}

/// A place that stays the same from run to run: without the document's name.
fn place(look: &Request, scratch: &Scratch) -> String {
    if look.method == reqwest::Method::GET {
        format!("rag {} {}", scratch.lookup.method, scratch.lookup.path)
    } else {
        look.place()
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
