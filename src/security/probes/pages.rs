//! Pages on which something may be shown that was written elsewhere.

use reqwest::Method;
use tokio::sync::OnceCell;

use super::xss::{Payload, breaks_out};
use crate::run::event::Exchange;
use crate::security::answer::Answer;
use crate::security::context::AuditContext;
use crate::security::evidence::exchange;
use crate::security::prober::ProbeError;
use crate::security::request::Request;

/// Most pages, and most requests to find them.
const MAX_PAGES: usize = 40;
const MAX_ASKED: usize = 120;

/// A page on which something may be shown.
#[derive(Clone)]
pub struct Page {
    /// How it is asked for.
    pub request: Request,
    /// What stays the same from run to run.
    pub place: String,
    /// What it was before a document or a file was written; none where there was no such page, or no answer.
    pub before: Option<Answer>,
}

impl Page {
    /// What it shows now, and beside that what it was before, where that is known.
    pub fn exchanges(&self, shown: &Answer, around: &str) -> Vec<Exchange> {
        let before = self.before.as_ref();
        let control = before.map(|was| exchange("control", &self.request, was, ""));
        [exchange("attack", &self.request, shown, around)].into_iter().chain(control).collect()
    }
}

/// The pages of an audit, asked for once: before a document or a file was written that they may show.
#[derive(Default)]
pub struct Pages(OnceCell<Vec<Page>>);

/// Every page of HTML that was found, by links or otherwise.
///
/// # Errors
/// When the budget is used up.
pub async fn pages<'a>(context: &'a AuditContext<'_>) -> Result<&'a [Page], ProbeError> {
    let pages = context.pages.0.get_or_try_init(|| look_for_pages(context));
    pages.await.map(Vec::as_slice)
}

async fn look_for_pages(context: &AuditContext<'_>) -> Result<Vec<Page>, ProbeError> {
    let mut pages: Vec<Page> = Vec::new();
    let gets = context.surface.operations.iter().filter(|one| one.request.method == Method::GET);
    for operation in gets.take(MAX_ASKED) {
        if pages.len() == MAX_PAGES {
            break;
        }
        let request = operation.request.clone();
        let before = match context.prober.ask(&request).await {
            Ok(before) => Some(before),
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            // It may be one that answers later.
            Err(ProbeError::Failed(_)) => None,
        };
        if before.as_ref().is_none_or(Answer::is_active) {
            pages.push(Page { request, place: operation.place(), before });
        }
    }
    Ok(pages)
}

/// A page, and whether a payload breaks out of it, twice.
///
/// # Errors
/// When there is no answer.
pub async fn look(
    context: &AuditContext<'_>,
    page: &Request,
    payload: &Payload,
) -> Result<(Answer, bool), ProbeError> {
    let first = context.prober.ask(page).await?;
    let broke_out =
        breaks_out(payload, &first) && breaks_out(payload, &context.prober.ask(page).await?);
    Ok((first, broke_out))
}
