//! Chat completions, plain and streamed.

use std::time::Duration;

use hyper::Method;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::exchange::{Ask, Failure, Line, of_success, read_all};
use super::recorder::{Brought, Streamed};
use super::sse;
use crate::config::ChatService;
use crate::run::event::ErrorKind;

/// Longest answer that a conversation carries on.
const MAX_HISTORY_CHARS: usize = 4000;

/// What was said so far in a flow.
pub type History = Vec<(&'static str, String)>;

/// Says something, and adds it and the answer to the history.
pub async fn complete(
    line: &mut Line,
    chat: &ChatService,
    path: &str,
    prompt: &str,
    stream: bool,
    history: &mut History,
) -> Result<Brought, Failure> {
    history.push(("user", prompt.to_owned()));
    let ask = ask(chat, path, stream, history);
    let response = line.send(&ask).await?;
    let status = response.status();
    let body = of_success(status, response.into_body()).await?;
    let (answer, brought) = if stream { streamed(line, body).await? } else { plain(body).await? };
    history.push(("assistant", answer.chars().take(MAX_HISTORY_CHARS).collect()));
    Ok(brought)
}

fn ask(chat: &ChatService, path: &str, stream: bool, history: &History) -> Ask {
    let messages: Vec<Value> =
        history.iter().map(|(role, content)| json!({ "role": role, "content": content })).collect();
    let mut body = json!({
        "model": chat.model,
        "messages": messages,
        "max_tokens": chat.max_tokens,
    });
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({ "include_usage": true });
    }
    Ask {
        method: Method::POST,
        path: path.to_owned(),
        body: Some(body.to_string().into_bytes()),
        accept: if stream { "text/event-stream" } else { "application/json" },
        headers: HeaderMap::new(),
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Content>,
    delta: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
    reasoning_content: Option<String>,
    /// What some servers call `reasoning_content`.
    reasoning: Option<Value>,
    tool_calls: Option<Value>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    completion_tokens: u64,
}

impl Content {
    /// Whether it holds anything for the user (a chunk that only names the role does not).
    fn says_something(&self) -> bool {
        let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let thought = self.reasoning.as_ref().and_then(Value::as_str);
        let calls = self.tool_calls.as_ref().and_then(Value::as_array);
        said(&self.content)
            || said(&self.reasoning_content)
            || thought.is_some_and(|text| !text.is_empty())
            || calls.is_some_and(|calls| !calls.is_empty())
    }
}

async fn plain(body: Incoming) -> Result<(String, Brought), Failure> {
    let bytes = read_all(body).await?;
    read_completion(&bytes)
}

fn read_completion(bytes: &[u8]) -> Result<(String, Brought), Failure> {
    let check = |detail: &str| Failure::new(ErrorKind::Check, detail);
    let answer: Answer =
        serde_json::from_slice(bytes).map_err(|error| check(&format!("no completion: {error}")))?;
    let message = answer.choices.into_iter().next().and_then(|choice| choice.message);
    let message = message.filter(Content::says_something);
    let message = message.ok_or_else(|| check("a completion without content"))?;
    let text = message.content.unwrap_or_default();
    let tokens = answer
        .usage
        .map_or_else(|| text.split_whitespace().count() as u64, |usage| usage.completion_tokens);
    Ok((text, Brought { tokens, ..Brought::bytes(bytes.len()) }))
}

/// When content arrived.
struct Arrivals {
    first: Instant,
    last: Instant,
    coalesced: u64,
    gaps: Vec<Duration>,
}

impl Arrivals {
    const fn new(at: Instant) -> Self {
        Self { first: at, last: at, coalesced: 0, gaps: Vec::new() }
    }

    /// Events of one read arrive together: there is no gap between them.
    fn add(&mut self, at: Instant) {
        if at == self.last {
            self.coalesced += 1;
        } else {
            self.gaps.push(at - self.last);
            self.last = at;
        }
    }
}

/// What has been read of a streamed answer.
#[derive(Default)]
struct Stream {
    text: String,
    arrivals: Option<Arrivals>,
    chunks: u64,
    usage: Option<u64>,
    finished: bool,
    /// Whether the server said that nothing more comes.
    is_done: bool,
    failure: Option<Failure>,
}

impl Stream {
    fn take_event(&mut self, data: &[u8], at: Instant) {
        if data == b"[DONE]" {
            (self.finished, self.is_done) = (true, true);
            return;
        }
        let answer: Answer = match serde_json::from_slice(data) {
            Ok(answer) => answer,
            Err(error) => {
                self.fail(ErrorKind::Protocol, &format!("an event that is no chunk: {error}"));
                return;
            }
        };
        if let Some(error) = answer.error {
            self.fail(ErrorKind::Check, &format!("an error in mid-stream: {error}"));
        }
        self.usage = answer.usage.map(|usage| usage.completion_tokens).or(self.usage);
        for choice in answer.choices {
            self.finished |= choice.finish_reason.is_some();
            let Some(delta) = choice.delta.filter(Content::says_something) else { continue };
            self.chunks += 1;
            match &mut self.arrivals {
                Some(arrivals) => arrivals.add(at),
                none => *none = Some(Arrivals::new(at)),
            }
            if self.text.len() < MAX_HISTORY_CHARS {
                self.text.push_str(delta.content.as_deref().unwrap_or_default());
            }
        }
    }

    fn fail(&mut self, kind: ErrorKind, detail: &str) {
        self.failure.get_or_insert_with(|| Failure::new(kind, detail));
    }
}

async fn streamed(line: &mut Line, mut body: Incoming) -> Result<(String, Brought), Failure> {
    let mut stream = Stream::default();
    let take = |data: &[u8], at: Instant| {
        stream.take_event(data, at);
        stream.is_done
    };
    let bytes = sse::read(&mut body, take).await?;
    if stream.is_done {
        line.leave_open(body);
    }
    if let Some(failure) = stream.failure {
        return Err(failure);
    }
    if !stream.finished {
        return Err(Failure::new(ErrorKind::Protocol, "the stream ended before its answer did"));
    }
    let Some(arrivals) = stream.arrivals else {
        return Err(Failure::new(ErrorKind::Check, "a stream without content"));
    };
    let streamed = Streamed {
        first: arrivals.first,
        last: arrivals.last,
        chunks: stream.chunks,
        coalesced: arrivals.coalesced,
        gaps: arrivals.gaps,
        has_usage: stream.usage.is_some(),
    };
    let tokens = stream.usage.unwrap_or(stream.chunks);
    Ok((stream.text, Brought { tokens, stream: Some(streamed), ..Brought::bytes(bytes) }))
}

/// Takes a body for events of a streamed answer, whoever wrote it.
#[cfg(any(test, fuzzing))]
pub fn take_anything(body: &[u8]) {
    let (mut parser, mut stream) = (sse::SseParser::default(), Stream::default());
    let _ = parser.feed(body, |data| stream.take_event(data, Instant::now()));
    let _ = read_completion(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(events: &[&str]) -> Stream {
        let mut stream = Stream::default();
        events.iter().for_each(|event| stream.take_event(event.as_bytes(), Instant::now()));
        stream
    }

    #[tokio::test]
    async fn a_chunk_that_only_names_the_role_is_no_first_token() {
        let role = r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#;
        assert!(take(&[role]).arrivals.is_none());
        let no_tools =
            r#"{"choices":[{"delta":{"role":"assistant","content":"","tool_calls":[]}}]}"#;
        assert!(take(&[no_tools]).arrivals.is_none());
        for delta in [
            r#"{"reasoning":"hm"}"#,
            r#"{"reasoning":"hm","reasoning_content":"hm"}"#,
            r#"{"tool_calls":[{"index":0}]}"#,
        ] {
            let event = format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#);
            let stream = take(&[&event]);
            assert!(stream.arrivals.is_some() && stream.failure.is_none(), "{delta}");
        }
        let word = r#"{"choices":[{"delta":{"content":"hi"}}]}"#;
        let stream = take(&[
            role,
            word,
            word,
            r#"{"choices":[],"usage":{"completion_tokens":9}}"#,
            "[DONE]",
        ]);
        assert!(stream.arrivals.is_some() && stream.finished);
        assert_eq!((stream.chunks, stream.usage, stream.text.as_str()), (2, Some(9), "hihi"));
    }

    #[tokio::test]
    async fn errors_in_mid_stream_and_garbage_are_failures_of_their_own_kind() {
        let kind = |event: &str| take(&[event]).failure.map(|failure| failure.kind);
        assert_eq!(kind(r#"{"error":{"message":"out of memory"}}"#), Some(ErrorKind::Check));
        assert_eq!(kind("{not json"), Some(ErrorKind::Protocol));
    }
}
