//! The profile of an API: what a cache could keep.

use super::Page;
use crate::run::event::{Finding, Severity};
use crate::security::rules::CACHE;

/// Judges an answer that is no page.
pub fn judge(page: &Page<'_>, findings: &mut Vec<Finding>) {
    let control = page.answer.header("cache-control").to_lowercase();
    let kept = !["no-store", "private", "no-cache"].iter().any(|word| control.contains(word));
    if page.private && kept {
        let title = "an answer for one user may be kept by caches";
        let evidence = format!("cache-control: `{control}`");
        findings.push(page.finding(&CACHE, Severity::Low, title, evidence));
    }
}
