//! One HTTP request with JSON, and what its answer means for trying again.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode};

use super::delivery::Failure;
use crate::config::without_secrets;
use crate::platform::client;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// More of an answer is not read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Longest piece of an answer in an error.
const MAX_WORDS: usize = 160;

/// A client for the channels: no redirects, so that a secret goes nowhere else.
pub fn client() -> Result<Client, String> {
    let built = client::anywhere()
        .timeout(PATIENCE)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("shakedown/", env!("CARGO_PKG_VERSION")))
        .build();
    built.map_err(|error| format!("cannot make an HTTP client: {error}"))
}

/// Sends a request and returns its answer's body when the status is 2xx. Secrets that the other side
/// repeats do not get into the error.
pub async fn send(request: RequestBuilder) -> Result<Vec<u8>, Failure> {
    // The address of a webhook is a secret: no error may tell it.
    let lost = |error: reqwest::Error| Failure::later(describe(&error.without_url()), None);
    let mut response = request.send().await.map_err(lost)?;
    let (status, after) = (response.status(), retry_after(&response, Timestamp::now()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER_BYTES - body.len())]);
        if body.len() == MAX_ANSWER_BYTES {
            break;
        }
    }
    if status.is_success() {
        return Ok(body);
    }
    let said = words(&String::from_utf8_lossy(&body));
    let reason =
        format!("status {}{}{said}", status.as_u16(), if said.is_empty() { "" } else { ": " });
    let again = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    Err(if again { Failure::later(reason, after) } else { Failure::never(reason) })
}

fn describe(error: &reqwest::Error) -> String {
    let mut all = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        all += &format!(": {inner}");
        cause = inner.source();
    }
    words(&all)
}

/// How long the other side asks to wait: seconds, or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(response: &Response, now: Timestamp) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    parse_retry_after(value, now)
}

fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    Duration::try_from(at.duration_since(now)).ok()
}

/// A text of the other side's on one line: bounded, without control characters and secrets.
pub fn words(text: &str) -> String {
    let text = without_secrets(text);
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut kept: String = text.trim().chars().take(MAX_WORDS).map(clean).collect();
    if text.trim().chars().nth(MAX_WORDS).is_some() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().expect("a time");
        assert_eq!(parse_retry_after("7", now), Some(Duration::from_secs(7)));
        let date = "Tue, 24 Nov 2026 10:00:30 GMT";
        assert_eq!(parse_retry_after(date, now), Some(Duration::from_secs(30)));
        assert_eq!(parse_retry_after("soon", now), None);
        assert_eq!(parse_retry_after("Tue, 24 Nov 2026 09:00:30 GMT", now), None, "it is past");
    }
}
