//! Steps that are any request: built from data, checked, and mined for values.

use std::sync::OnceLock;
use std::time::Duration;

use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::Instant;

use super::exchange::{Ask, Failure, Line, Whole, expect_success};
use super::recorder::Brought;
use super::values::Values;
use crate::config::{AnswerCheck, Extraction, Part, RequestStep};
use crate::platform::endpoint::ResolvedEndpoint;
use crate::run::event::{CheckCounts, ErrorKind};

/// Sends a request, keeps what it extracts, and checks the answer.
pub async fn send(
    line: &mut Line,
    endpoint: &ResolvedEndpoint,
    step: &RequestStep,
    constant: &Constant,
    values: &mut Values,
    checks: &mut CheckCounts,
) -> Result<Brought, Failure> {
    let constant = if line.has_cookies() { None } else { constant.of(line, endpoint, step) };
    let began = is_timed(step).then(Instant::now);
    let whole = match constant {
        Some((ask, bytes)) => line.fetch_as(ask, bytes.as_deref()).await?,
        None => line.fetch(&ask(endpoint, step, values)?).await?,
    };
    let took = began.map_or(Duration::ZERO, |began| began.elapsed());
    let answer = Answer { whole, took };
    let extracted = answer.extract(step, values, checks);
    let checked = answer.check(step, values, checks);
    checked.and(extracted)?;
    Ok(Brought::bytes(answer.whole.body.len()))
}

/// A request that is the same every time, made once for all users: what it asks, and its bytes where it
/// can be sent as such.
#[derive(Clone, Debug, Default)]
pub struct Constant(OnceLock<Option<(Ask, Option<Vec<u8>>)>>);

impl Constant {
    /// The request; none where it varies. A line's own headers are the same for all of a scenario.
    fn of(
        &self,
        line: &Line,
        endpoint: &ResolvedEndpoint,
        step: &RequestStep,
    ) -> Option<&(Ask, Option<Vec<u8>>)> {
        let make = || {
            let ask = step.is_constant().then(|| ask(endpoint, step, &Values::default()));
            let ask = ask?.ok()?;
            let bytes = line.bytes_of(&ask);
            Some((ask, bytes))
        };
        self.0.get_or_init(make).as_ref()
    }
}

/// Whether the time that an answer took is looked at.
fn is_timed(step: &RequestStep) -> bool {
    step.checks.iter().any(|check| matches!(check, AnswerCheck::MaxTime(_)))
}

fn ask(endpoint: &ResolvedEndpoint, step: &RequestStep, values: &Values) -> Result<Ask, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in &step.headers {
        let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(values.text(value)));
        let refused = || Failure::new(ErrorKind::Unsendable, "a header that cannot be sent");
        headers.insert(name.map_err(|_| refused())?, value.map_err(|_| refused())?);
    }
    let mut of_type = |kind: &str| {
        if let Ok(kind) = HeaderValue::try_from(kind)
            && !headers.contains_key(CONTENT_TYPE)
        {
            headers.insert(CONTENT_TYPE, kind);
        }
    };
    let body = if let Some(body) = &step.body {
        Some(values.json(body).to_string().into_bytes())
    } else if let Some(text) = &step.text {
        of_type(&text.content_type);
        Some(values.text(&text.content).into_bytes())
    } else if step.multipart.is_empty() {
        None
    } else {
        let (boundary, body) = multipart(&step.multipart, values);
        of_type(&format!("multipart/form-data; boundary={boundary}"));
        Some(body)
    };
    let path = endpoint.path(&values.path(&step.path));
    if path.parse::<hyper::Uri>().is_err() {
        let detail = format!("no path that can be sent: {path}");
        return Err(Failure::new(ErrorKind::Unsendable, detail));
    }
    Ok(Ask {
        method: Method::from_bytes(step.method.as_bytes()).unwrap_or(Method::GET),
        path,
        body,
        accept: "*/*",
        headers,
    })
}

/// A `multipart/form-data` body (RFC 7578) with a boundary that stands nowhere in its parts.
fn multipart(parts: &[Part], values: &Values) -> (String, Vec<u8>) {
    let contents: Vec<String> = parts.iter().map(|part| values.text(&part.content)).collect();
    let mut boundary = String::from("shakedown-boundary");
    while contents.iter().any(|content| content.contains(&boundary)) {
        boundary.push('x');
    }
    let quoted = |text: &str| text.replace('"', "%22").replace(['\r', '\n'], " ");
    let mut body = String::new();
    for (part, content) in parts.iter().zip(&contents) {
        body += &format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            quoted(&values.text(&part.name))
        );
        if let Some(filename) = &part.filename {
            body += &format!("; filename=\"{}\"", quoted(&values.text(filename)));
        }
        if let Some(kind) = &part.content_type {
            body += &format!("\r\nContent-Type: {}", quoted(kind));
        }
        body += &format!("\r\n\r\n{content}\r\n");
    }
    body += &format!("--{boundary}--\r\n");
    (boundary, body.into_bytes())
}

/// An answer that has been read.
struct Answer {
    whole: Whole,
    /// How long it took, where that is looked at.
    took: Duration,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.whole.body).unwrap_or(Value::Null)
    }

    /// Keeps the values that a step extracts; one that is not there is a failed check.
    fn extract(
        &self,
        step: &RequestStep,
        values: &mut Values,
        checks: &mut CheckCounts,
    ) -> Result<(), Failure> {
        let mut missing = None;
        for (name, from) in &step.extract {
            let found = match from {
                Extraction::Json(pointer) => {
                    self.json().pointer(pointer).filter(|value| !value.is_null()).cloned()
                }
                Extraction::Header(header) => self
                    .whole
                    .headers()
                    .get(header)
                    .map(|value| String::from_utf8_lossy(value.as_bytes()).into()),
            };
            checks.count(found.is_some());
            match found {
                Some(value) => values.set_json(name, value),
                None => {
                    values.remove(name);
                    missing.get_or_insert_with(|| name.clone());
                }
            }
        }
        missing.map_or(Ok(()), |name| {
            let detail = format!("nothing to extract as `{name}` (status {})", self.whole.status);
            Err(Failure::new(ErrorKind::Check, detail))
        })
    }

    fn check(
        &self,
        step: &RequestStep,
        values: &Values,
        checks: &mut CheckCounts,
    ) -> Result<(), Failure> {
        let mut failed = None;
        let mut count = |failure: Option<Failure>, counts: bool| {
            if counts {
                checks.count(failure.is_none());
            }
            if let Some(failure) = failure {
                failed.get_or_insert(failure);
            }
        };
        let asks_status = |check: &AnswerCheck| matches!(check, AnswerCheck::Status(_));
        if !step.checks.iter().any(asks_status) {
            count(expect_success(self.whole.status).err(), false);
        }
        for check in &step.checks {
            count(self.failure_of(check, values), true);
        }
        failed.map_or(Ok(()), Err)
    }

    fn failure_of(&self, check: &AnswerCheck, values: &Values) -> Option<Failure> {
        let unless =
            |holds: bool, detail: String| (!holds).then(|| Failure::new(ErrorKind::Check, detail));
        match check {
            AnswerCheck::Status(status) if status.holds(self.whole.status.as_u16()) => None,
            AnswerCheck::Status(_) => expect_success(self.whole.status)
                .err()
                .or_else(|| unless(false, format!("status {}", self.whole.status.as_u16()))),
            AnswerCheck::Json { pointer, equals } => {
                let whole = self.json();
                let found = whole.pointer(pointer);
                let wanted = equals.as_ref().map(|value| values.json(value));
                let holds = found.is_some_and(|found| wanted.as_ref().is_none_or(|w| w == found));
                let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
                unless(holds, format!("{pointer}: found {found}"))
            }
            AnswerCheck::Contains(text) => {
                let text = values.text(text);
                let holds = memmem(&self.whole.body, text.as_bytes());
                unless(holds, format!("the answer does not contain `{text}`"))
            }
            AnswerCheck::MaxTime(limit) => {
                let detail = format!("took {} ms", self.took.as_millis());
                unless(self.took <= limit.get(), detail)
            }
        }
    }
}

fn memmem(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::StatusCode;
    use serde_json::json;

    use super::*;

    fn answer(body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("location", HeaderValue::from_static("/items/7"));
        let body = Bytes::copy_from_slice(body.as_bytes());
        let whole = Whole::new(StatusCode::CREATED, headers, body);
        Answer { whole, took: Duration::from_millis(40) }
    }

    fn step(more: Value) -> RequestStep {
        let mut step = json!({ "path": "/x" });
        step.as_object_mut().expect("map").extend(more.as_object().expect("map").clone());
        serde_json::from_value(step).expect("a step")
    }

    #[test]
    fn values_come_from_bodies_and_headers_and_what_is_missing_fails() {
        let step = step(json!({ "extract": {
            "id": { "json": "/data/0/id" }, "at": { "header": "Location" }, "no": { "json": "/no" },
        } }));
        let (mut values, mut checks) = (Values::default(), CheckCounts::default());
        values.set("no", "from an earlier answer");
        let missing = answer(r#"{"data":[{"id":42}]}"#).extract(&step, &mut values, &mut checks);
        assert!(missing.is_err_and(|failure| failure.kind == ErrorKind::Check));
        assert_eq!((checks.passed, checks.failed), (2, 1));
        assert_eq!(values.path("{at}/{id}/{no}"), "%2Fitems%2F7/42/{no}");
    }

    #[test]
    fn every_kind_of_check_can_hold_and_fail() {
        let answer = answer(r#"{"ok":true,"n":"7"}"#);
        for (check, holds) in [
            (json!({ "status": 201 }), true),
            (json!({ "status": [200, 202] }), false),
            (json!({ "json": { "pointer": "/ok", "equals": true } }), true),
            (json!({ "json": { "pointer": "/n", "equals": 7 } }), false),
            (json!({ "json": { "pointer": "/missing" } }), false),
            (json!({ "contains": "\"ok\":true" }), true),
            (json!({ "contains": "nope" }), false),
            (json!({ "max_time": "50ms" }), true),
            (json!({ "max_time": "30ms" }), false),
        ] {
            let step = step(json!({ "checks": [check.clone()] }));
            let mut counts = CheckCounts::default();
            let checked = answer.check(&step, &Values::default(), &mut counts);
            assert_eq!(checked.is_ok(), holds, "{check}");
            assert_eq!((counts.passed, counts.failed), (u64::from(holds), u64::from(!holds)));
        }
    }

    #[test]
    fn parts_are_kept_apart_by_a_boundary_that_stands_in_none_of_them() {
        let part = |content: &str| Part {
            name: "f\"x".into(),
            content: content.into(),
            filename: Some("a.txt".into()),
            content_type: Some("text/plain".into()),
        };
        let mut values = Values::default();
        values.set("who", "me");
        let (boundary, body) = multipart(&[part("{who} shakedown-boundary")], &values);
        assert_eq!(boundary, "shakedown-boundaryx");
        let expected = "--shakedown-boundaryx\r\nContent-Disposition: form-data; name=\"f%22x\"; \
                        filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n\
                        me shakedown-boundary\r\n--shakedown-boundaryx--\r\n";
        assert_eq!(String::from_utf8(body).as_deref(), Ok(expected));
    }
}
