//! What reads what targets and tools say, for fuzzing: each takes anything and comes to its end.

use serde_json::json;

use super::cookies::{Cookies, Origin};
use super::external::parse::Said;
use super::plain::{Piece, headers, understand};
use super::sse::SseParser;
use super::{chat, mcp};
use crate::config::ServiceKind;
use crate::run::event::SeriesKey;

/// An answer of HTTP/1.1: whole, or part of one, or for hyper; and no part of a whole one is whole.
pub fn answer(bytes: &[u8]) {
    let Piece::Whole(answer) = understand(bytes) else { return };
    assert!(answer.head.len() + answer.body.len() <= bytes.len());
    assert!(bytes.starts_with(&answer.head));
    let headers = headers(&answer.head);
    assert_eq!(answer.sets_cookies, headers.contains_key("set-cookie"));
    let mut cookies = Cookies::default();
    let from = Origin { authority: "example.com:80", is_secure: bytes.len().is_multiple_of(2) };
    cookies.take_in(&headers, "/a/c", from);
    cookies.add_to(&mut Default::default(), "/a/b");
    for cut in [bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(understand(&bytes[..cut]), Piece::Part, "the first {cut}");
    }
}

/// Server-sent events are the same whatever pieces they arrive in.
pub fn events(stream: &[u8], cut: usize) {
    let parse = |pieces: &[&[u8]]| {
        let (mut parser, mut events) = (SseParser::default(), Vec::new());
        for piece in pieces {
            if parser.feed(piece, |data| events.push(data.to_vec())).is_err() {
                break;
            }
        }
        events
    };
    let (left, right) = stream.split_at(cut.min(stream.len()));
    assert_eq!(parse(&[left, right]), parse(&[stream]));
}

/// The body of an answer of MCP or of a chat service.
pub fn message(body: &[u8]) {
    let _ = mcp::from_json(body);
    if let Ok(answer) = mcp::from_stream(body, &json!(7)) {
        assert_eq!(answer["id"], 7);
    }
    chat::take_anything(body);
}

/// Lines of k6 and of Locust.
pub fn lines(text: &str) {
    let key = SeriesKey { service: ServiceKind::Chat, scenario: "s".into(), step: "q".into() };
    let mut said = Said::new(&[key]);
    for line in text.lines() {
        said.k6(line);
        said.locust(line);
    }
    let _ = said.take(std::time::Duration::from_secs(1));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(
            text in any::<String>(),
            rest in "[ -~\\r\\n]{0,80}",
            cut in 0_usize..90,
        ) {
            for text in [text.as_str(), rest.as_str()] {
                super::answer(text.as_bytes());
                super::answer(format!("HTTP/1.1 200 OK\r\n{text}").as_bytes());
                super::events(text.as_bytes(), cut);
                super::message(text.as_bytes());
                super::lines(text);
            }
        }
    }
}
