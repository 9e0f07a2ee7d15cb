//! The profile of a page in a browser.

use html5gum::{Token, Tokenizer};

use super::Page;
use super::csp::Policy;
use crate::run::event::{Finding, Severity};
use crate::security::answer::Answer;
use crate::security::rules::{CSP, FRAMING, INTEGRITY, REFERRER};

/// Judges an HTML page.
pub fn judge(page: &Page<'_>, findings: &mut Vec<Finding>) {
    let answer = page.answer;
    let policy = Policy::of(answer);
    if policy.is_empty() {
        let title = "an HTML page without a content security policy";
        let evidence = "content-security-policy is not there, nor in the page".to_owned();
        findings.push(page.finding(&CSP, Severity::Medium, title, evidence));
    } else if policy.allows_inline_scripts() || policy.allows_eval() || policy.allows_any_script() {
        let title = "a content security policy that stops no injected script";
        let evidence = format!("content-security-policy: {policy}");
        findings.push(page.finding(&CSP, Severity::Low, title, evidence));
    }
    if !bounds_framing(answer, &policy) {
        let title = "any site may put the page into a frame";
        let evidence = "neither frame-ancestors nor x-frame-options".to_owned();
        findings.push(page.finding(&FRAMING, Severity::Low, title, evidence));
    }
    let referrer = answer.header("referrer-policy").to_lowercase();
    let last = referrer.split(',').next_back().unwrap_or_default().trim();
    if matches!(last, "unsafe-url" | "no-referrer-when-downgrade" | "origin-when-cross-origin") {
        let title = "links tell other sites where users come from";
        let evidence = format!("referrer-policy: {referrer}");
        findings.push(page.finding(&REFERRER, Severity::Low, title, evidence));
    }
    if let Some(script) = unbound_script(&answer.body) {
        let title = "a script of another site without a checksum";
        findings.push(page.finding(&INTEGRITY, Severity::Low, title, script));
    }
}

/// Whether others are kept from framing a page.
pub fn bounds_framing(answer: &Answer, policy: &Policy) -> bool {
    let old = answer.header("x-frame-options").to_lowercase();
    policy.bounds_framing() || matches!(old.trim(), "deny" | "sameorigin")
}

/// The first script from another site that has no checksum.
pub fn unbound_script(body: &str) -> Option<String> {
    for token in Tokenizer::new(body).flatten() {
        let Token::StartTag(tag) = token else { continue };
        if tag.name.as_slice() != b"script" {
            continue;
        }
        let Some(source) = tag.attributes.get(b"src".as_slice()) else { continue };
        let source = String::from_utf8_lossy(source).into_owned();
        let foreign = source.starts_with("http") || source.starts_with("//");
        if foreign && !tag.attributes.contains_key(b"integrity".as_slice()) {
            return Some(source);
        }
    }
    None
}
