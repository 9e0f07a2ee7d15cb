//! What proves a finding, for people to read: bounded, cleaned, credentials and keys cut out.

use super::answer::Answer;
use super::keys;
use super::request::{Body, Identity, Request};
use crate::config::without_secrets;
use crate::platform::text::clean;
use crate::run::event::Exchange;

/// Longest request or answer that is kept, in characters.
const MAX_CHARS: usize = 600;
/// What is shown before the place that matters, in characters.
const BEFORE: usize = 120;

/// A request and its answer as evidence; of the answer, what stands around a text.
pub fn exchange(role: &str, request: &Request, answer: &Answer, around: &str) -> Exchange {
    let body = excerpt_around(&answer.body, around);
    let kind = answer.header("content-type");
    Exchange {
        role: role.to_owned(),
        request: fit(&asked(request)),
        response: fit(&format!(
            "{} {kind} ({} bytes, {} ms) {body}",
            answer.words(),
            answer.body.len(),
            answer.latency.as_millis()
        )),
    }
}

/// Bounded, cleaned, credentials and keys cut out.
pub fn fit(text: &str) -> String {
    clean(&keys::redacted(&without_secrets(text)), MAX_CHARS)
}

fn asked(request: &Request) -> String {
    let mut text = format!("{} {}", request.method, request.target());
    for (name, value) in &request.headers {
        text += &format!(" | {name}: {value}");
    }
    if let Some(cookies) = request.cookie() {
        text += &format!(" | cookie: {cookies}");
    }
    text += match request.identity {
        Identity::First => "",
        Identity::Second => " | as the second user",
        Identity::Nobody => " | without the configured credentials",
    };
    match &request.body {
        Body::Empty => {}
        Body::Raw(kind, bytes) => text += &format!(" | {} bytes of {kind}", bytes.len()),
        Body::Multipart(parts) => {
            for part in parts {
                let name = part.file_name.as_deref().unwrap_or_default();
                text += &format!(" | part {} {name} ({} bytes)", part.name, part.content.len());
            }
        }
        Body::Json(_) | Body::Form(_) => {
            let bytes = request.encoded().bytes;
            text += &format!(" | {}", String::from_utf8_lossy(&bytes));
        }
    }
    text
}

fn excerpt_around<'a>(body: &'a str, around: &str) -> &'a str {
    let at = if around.is_empty() { None } else { body.find(around) };
    let start = at.unwrap_or(0).saturating_sub(BEFORE);
    &body[body.floor_char_boundary(start)..]
}
