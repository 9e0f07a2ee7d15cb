//! Steps as data: what the server gets, what is kept of its answers, and what fails.

use hyper::header::{COOKIE, HeaderValue, SET_COOKIE};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::run::event::ErrorKind;

/// What a request was, with its body.
type Said = (Method, String, Option<String>, String, String);

/// A server of items: POST makes one, with a cookie and an address; GET gives it.
fn items(said: &Rc<RefCell<Vec<Said>>>) -> Server {
    let said = Rc::clone(said);
    Server::new(move |request| {
        let said = Rc::clone(&said);
        async move {
            let (head, body) = request.into_parts();
            let header = |name| head.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
            let cookie = header(COOKIE.as_str()).map(str::to_owned);
            let kind = header("content-type").unwrap_or_default().to_owned();
            let body = body.collect().await.expect("whole").to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            let path = head.uri.to_string();
            said.borrow_mut().push((head.method.clone(), path.clone(), cookie, kind, body.clone()));
            match (head.method, path.as_str()) {
                (Method::POST, "/items") => {
                    let made: Value = serde_json::from_str(&body).unwrap_or_default();
                    let mut answer =
                        whole(201, &json!({ "item": { "id": made["n"] } }).to_string());
                    answer
                        .headers_mut()
                        .insert("location", HeaderValue::from_static("/items/x?y=1"));
                    answer
                        .headers_mut()
                        .insert(SET_COOKIE, HeaderValue::from_static("sid=7; Path=/"));
                    answer
                }
                (Method::POST, "/broken") => whole(200, "{}"),
                _ => {
                    let mut answer = whole(200, "an item");
                    *answer.status_mut() = StatusCode::OK;
                    answer
                }
            }
        }
    })
}

fn workload(flow: &str) -> String {
    format!(
        r#"
think_time: {{ min: 0s, max: 0s }}
feeders:
  people: {{ rows: [{{ name: "a b" }}, {{ name: c }}] }}
scenarios:
  - name: shop
    service: rag
    executor: per-vu-iterations
    vus: 1
    iterations: 2
    tags: {{ team: red }}
    flows:
      - name: buy
        steps:
{flow}
thresholds:
  "http_reqs{{team:red,kind:read}}": [count==2]
  "checks{{scenario:shop}}": [rate>0.9]
  "response_time{{scenario:shop}}": ["p(99)[n>=100]<1s"]
"#
    )
}

#[test]
fn values_and_cookies_go_from_step_to_step() {
    let said = Rc::default();
    let flow = r#"
          - request:
              name: make
              method: POST
              path: /items
              headers: { x-user: "{people.name}" }
              body: { n: "{people.name}-{iteration}" }
              extract: { id: { json: /item/id }, at: { header: location } }
              checks: [{ status: [200, 201] }, { json: { pointer: /item/id, equals: "{people.name}-{iteration}" } }]
          - request: { path: "/items/{id}?who={people.name}", tags: { kind: read }, checks: [{ contains: item }, { max_time: 1s }] }
          - request: { path: "{+at}" }
"#;
    let seen = play(&workload(flow), 10, || items(&said));
    let said: Vec<Said> = said.take();
    let paths: Vec<&str> = said.iter().map(|(_, path, ..)| path.as_str()).collect();
    let expected = [
        "/items",
        "/items/a%20b-1?who=a%20b",
        "/items/x?y=1",
        "/items",
        "/items/c-2?who=c",
        "/items/x?y=1",
    ];
    assert_eq!(paths, expected);
    assert_eq!(said[0].4, r#"{"n":"a b-1"}"#);
    let cookies: Vec<Option<&str>> = said.iter().map(|(_, _, c, ..)| c.as_deref()).collect();
    assert_eq!(
        cookies,
        [None, Some("sid=7"), Some("sid=7"), Some("sid=7"), Some("sid=7"), Some("sid=7")]
    );
    assert_eq!((seen.all.failed(), seen.all.checks.failed), (0, 0));
    assert_eq!(seen.all.checks.passed, 2 * (2 + 2 + 2), "checks and extractions");
    assert!(seen.steps.contains_key("make") && seen.steps.contains_key("GET {+at}"));
    let holds: Vec<Option<bool>> = seen.thresholds.iter().map(|row| row.holds).collect();
    assert_eq!(holds, [Some(true), Some(true), None], "{:?}", seen.thresholds);
    assert_eq!(seen.thresholds[2].why_open, "6 of 100 samples");
}

#[test]
fn numbers_and_booleans_are_sent_on_as_what_they_are() {
    let said: Rc<RefCell<Vec<String>>> = Rc::default();
    let server = |said: &Rc<RefCell<Vec<String>>>| {
        let said = Rc::clone(said);
        Server::new(move |request| {
            let said = Rc::clone(&said);
            async move {
                let body = request.into_body().collect().await.expect("a body").to_bytes();
                said.borrow_mut().push(String::from_utf8_lossy(&body).into_owned());
                whole(200, r#"{"id":42,"ok":true,"price":0.5,"name":"x","tags":["a",1]}"#)
            }
        })
    };
    let flow = r#"
          - request:
              path: /first
              tags: { kind: read }
              extract: { id: { json: /id }, ok: { json: /ok }, price: { json: /price }, name: { json: /name }, tags: { json: /tags } }
          - request:
              method: POST
              path: "/items/{id}"
              body: { id: "{id}", ok: "{ok}", price: "{price}", name: "{name}", tags: "{tags}", text: "item {id}, {ok}" }
              checks: [{ json: { pointer: /id, equals: "{id}" } }, { contains: "\"id\":{id}" }]
"#;
    let seen = play(&workload(flow), 10, || server(&said));
    let sent: serde_json::Value = serde_json::from_str(&said.borrow()[1]).expect("JSON");
    let expected = serde_json::json!({
        "id": 42, "ok": true, "price": 0.5, "name": "x", "tags": ["a", 1], "text": "item 42, true",
    });
    assert_eq!(sent, expected);
    assert_eq!((seen.all.failed(), seen.all.checks.failed), (0, 0));
}

#[test]
fn a_flow_ends_where_a_value_is_missing() {
    let said = Rc::default();
    let flow = r#"
          - request: { method: POST, path: /broken, extract: { id: { json: /id } } }
          - request: { path: "/items/{id}", tags: { kind: read } }
"#;
    let seen = play(&workload(flow), 10, || items(&said));
    assert_eq!(said.borrow().len(), 2, "nothing is sent with a hole in it");
    assert_eq!(seen.all.errors, [(ErrorKind::Check, 2)].into());
    let iterations = &seen.iterations["shop"];
    assert_eq!((iterations.finished, iterations.interrupted), (0, 2));
    assert_eq!(seen.thresholds[0].holds, Some(false), "{:?}", seen.thresholds);
}

#[test]
fn forms_are_sent_in_parts() {
    let said = Rc::default();
    let flow = r#"
          - request:
              method: POST
              path: /upload
              tags: { kind: read }
              multipart:
                - { name: who, content: "{people.name}" }
                - { name: file, content: "x", filename: a.txt, content_type: text/plain }
"#;
    play(&workload(flow), 10, || items(&said));
    let (_, _, _, kind, body) = said.borrow()[0].clone();
    assert_eq!(kind, "multipart/form-data; boundary=shakedown-boundary");
    assert!(body.contains("name=\"who\"\r\n\r\na b\r\n--shakedown-boundary"), "{body}");
    assert!(body.ends_with(
        "filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nx\r\n--shakedown-boundary--\r\n"
    ));
}

#[test]
fn sessions_of_a_flow_forget_their_cookies() {
    let said = Rc::default();
    let flow = r#"
          - request: { method: POST, path: /items, body: { n: 1 } }
          - request: { path: /items/1, tags: { kind: read } }
"#;
    let fresh = workload(flow).replace("    iterations: 2", "    iterations: 2\n    session: flow");
    play(&fresh, 10, || items(&said));
    let cookies: Vec<bool> =
        said.borrow().iter().map(|(_, _, cookie, ..)| cookie.is_some()).collect();
    assert_eq!(cookies, [false, true, false, true]);
}

#[test]
fn cookies_go_with_steps_of_every_kind() {
    let said = Rc::default();
    let flow = r#"
          - request: { method: POST, path: /items, body: { n: 1 }, tags: { kind: read } }
          - query: { question: why }
          - health: {}
"#;
    play(&workload(flow), 10, || items(&said));
    let sent = said
        .borrow()
        .iter()
        .map(|(_, path, cookie, ..)| (path.clone(), cookie.is_some()))
        .collect::<Vec<_>>();
    let expected = [("/items", false), ("/query", true), ("/health", true), ("/items", true)];
    assert_eq!(sent[..4], expected.map(|(path, cookie)| (path.to_owned(), cookie)));
}

#[test]
fn what_cannot_be_sent_is_in_no_figure() {
    let said = Rc::default();
    let flow = r#"
          - request: { method: POST, path: /items, body: { n: 1 }, tags: { kind: read } }
          - request: { path: "/items/{+people.name}" }
"#;
    let seen = play(&workload(flow), 10, || items(&said));
    assert_eq!(said.borrow().len(), 3, "nobody takes a path with a blank in it");
    assert_eq!((seen.all.requests(), seen.all.failed()), (3, 0));
    let flows = &seen.iterations["shop"];
    assert_eq!((flows.finished, flows.interrupted), (1, 1));
}

#[test]
fn rows_that_come_once_end_the_scenario() {
    let said = Rc::default();
    let flow = r#"
          - request: { path: "/items/{people.name}", tags: { kind: read } }
"#;
    let once = workload(flow).replace("rows:", "order: once, rows:").replace(
        "executor: per-vu-iterations\n    vus: 1\n    iterations: 2",
        "executor: constant-vus\n    vus: 3",
    );
    let seen = play(&once, 60, || items(&said));
    assert_eq!(said.borrow().len(), 2);
    assert!(seen.lasted < Duration::from_secs(2), "{:?}", seen.lasted);
}
