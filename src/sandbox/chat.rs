//! The practice chat service: OpenAI-compatible completions, plain and streamed. The answer depends
//! on the conversation, so that a lost history shows.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::service::Common;

/// The one model.
pub const MODEL: &str = "sandbox-1";

const PLAIN: Duration = Duration::from_millis(180);
const FIRST_TOKEN: Duration = Duration::from_millis(60);
const BETWEEN_TOKENS: Duration = Duration::from_millis(12);

#[derive(Deserialize)]
struct Completion {
    model: String,
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
    max_tokens: Option<usize>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

pub fn routes(common: Common) -> Router {
    let models = async || {
        Json(
            json!({ "object": "list", "data": [{ "id": MODEL, "object": "model" }], "sandbox": true }),
        )
    };
    Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(models))
        .with_state(common)
}

async fn complete(
    State(common): State<Common>,
    request: Result<Json<Completion>, JsonRejection>,
) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(rejection) => return error(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    if request.model != MODEL {
        return error(StatusCode::NOT_FOUND, &format!("there is no model but `{MODEL}`"));
    }
    if request.messages.is_empty() {
        return error(StatusCode::BAD_REQUEST, "messages: expected at least one");
    }
    let answer = Answer::to(&request);
    if request.stream {
        return stream_answer(common, answer, request.stream_options.include_usage);
    }
    common.work(PLAIN, 0.45).await;
    let mut body = json!({
        "id": "chatcmpl-sandbox",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": answer.tokens.concat() },
            "finish_reason": answer.finish_reason,
        }],
        "sandbox": true,
    });
    body["usage"] = answer.usage();
    Json(body).into_response()
}

fn error(status: StatusCode, message: &str) -> Response {
    let body = json!({
        "error": { "message": message, "type": "invalid_request_error" },
        "sandbox": true,
    });
    (status, Json(body)).into_response()
}

struct Answer {
    tokens: Vec<String>,
    prompt_tokens: usize,
    finish_reason: &'static str,
}

impl Answer {
    fn to(request: &Completion) -> Self {
        let asked = request.messages.iter().filter(|message| message.role == "user");
        let (turn, last) =
            asked.fold((0, ""), |(turn, _), message| (turn + 1, message.content.as_str()));
        let echo: String = last.chars().take(120).collect();
        let text = format!(
            "This is the practice platform, turn {turn}. You said: {echo} A real model would answer \
             at this point, with about as many words as this sentence has."
        );
        let mut tokens: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
        let wanted = request.max_tokens.unwrap_or(usize::MAX).max(1);
        let finish_reason = if tokens.len() > wanted { "length" } else { "stop" };
        tokens.truncate(wanted);
        let words = |message: &Message| message.content.split_whitespace().count();
        Self { tokens, prompt_tokens: request.messages.iter().map(words).sum(), finish_reason }
    }

    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.tokens.len(),
            "total_tokens": self.prompt_tokens + self.tokens.len(),
        })
    }
}

fn stream_answer(common: Common, answer: Answer, include_usage: bool) -> Response {
    let chunk = |delta: Value, finish_reason: Option<&str>| {
        json!({
            "id": "chatcmpl-sandbox",
            "object": "chat.completion.chunk",
            "model": MODEL,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }],
            "sandbox": true,
        })
    };
    let mut events = vec![(None, chunk(json!({ "role": "assistant" }), None).to_string())];
    for (at, token) in answer.tokens.iter().enumerate() {
        let median = if at == 0 { FIRST_TOKEN } else { BETWEEN_TOKENS };
        events.push((Some(median), chunk(json!({ "content": token }), None).to_string()));
    }
    events.push((None, chunk(json!({}), Some(answer.finish_reason)).to_string()));
    if include_usage {
        let mut usage = chunk(Value::Null, None);
        usage["choices"] = json!([]);
        usage["usage"] = answer.usage();
        events.push((None, usage.to_string()));
    }
    events.push((None, "[DONE]".into()));
    let body = stream::unfold((common, events.into_iter()), async |(common, mut events)| {
        let (median, data) = events.next()?;
        if let Some(median) = median {
            common.work(median, 0.3).await;
        }
        let event = Bytes::from(format!("data: {data}\n\n"));
        Some((Ok::<_, Infallible>(event), (common, events)))
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response()
}
