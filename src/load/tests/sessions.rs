//! MCP sessions that a server forgets: the call that finds out fails, and the next opens another.

use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::header::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::run::event::ErrorKind;

const WORKLOAD: &str = r#"
think_time: { min: 0s, max: 0s }
scenarios:
  - name: mcp
    service: mcp
    executor: per-vu-iterations
    iterations: 30
    vus: 1
    flows: [{ name: call, steps: [{ tool: {} }] }]
"#;

/// What was called, in which session.
type Calls = Rc<RefCell<Vec<(String, String)>>>;

/// A server that forgets a session after so many calls.
fn forgetful(calls: &Calls, after: usize) -> Server {
    let calls = Rc::clone(calls);
    let sessions = Rc::new(RefCell::new(Vec::<usize>::new()));
    Server::new(move |request| {
        let (calls, sessions) = (Rc::clone(&calls), Rc::clone(&sessions));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.expect("whole").to_bytes();
            let said: Value = serde_json::from_slice(&body).expect("JSON-RPC");
            let method = said["method"].as_str().unwrap_or_default().to_owned();
            let session = head.headers.get("mcp-session-id").and_then(|id| id.to_str().ok());
            calls.borrow_mut().push((method.clone(), session.unwrap_or_default().to_owned()));
            let result = |result: Value| {
                whole(
                    200,
                    &json!({ "jsonrpc": "2.0", "id": said["id"], "result": result }).to_string(),
                )
            };
            let mut sessions = sessions.borrow_mut();
            let known = session.and_then(|id| id.parse::<usize>().ok());
            match (method.as_str(), known) {
                ("initialize", _) => {
                    let mut answer = result(json!({ "protocolVersion": "2025-06-18" }));
                    let id = HeaderValue::from(sessions.len());
                    answer.headers_mut().insert("mcp-session-id", id);
                    sessions.push(0);
                    answer
                }
                ("notifications/initialized", Some(_)) => whole(202, ""),
                ("tools/call", Some(id)) if sessions[id] < after => {
                    sessions[id] += 1;
                    result(json!({ "content": [] }))
                }
                _ => whole(404, ""),
            }
        }
    })
}

#[test]
fn a_session_that_expired_fails_one_call_and_is_opened_again() {
    let calls = Calls::default();
    let seen = play(WORKLOAD, 60, || forgetful(&calls, 9));
    // Thirty calls: nine in a session, the tenth finds it gone; three times.
    let of = |step: &str| seen.steps.iter().find(|(name, _)| name.contains(step)).map(|(_, m)| m);
    let (opened, called) = (of("initialize").expect("opened"), of("tool").expect("called"));
    assert_eq!((called.requests(), called.failed()), (30, 3));
    assert_eq!(called.errors, [(ErrorKind::ClientStatus, 3)].into());
    assert_eq!((opened.requests(), opened.failed()), (3, 0), "a request of its own");
    let sessions = calls.borrow().iter().filter(|(method, _)| method == "tools/call").fold(
        BTreeMap::<String, usize>::new(),
        |mut sessions, (_, session)| {
            *sessions.entry(session.clone()).or_default() += 1;
            sessions
        },
    );
    let expected = ["0", "1", "2"].map(|id| (id.to_owned(), 10));
    assert_eq!(sessions, expected.into(), "each call names its session");
}

/// A server that streams its answers, that to a call after so long, and leaves the streams open.
fn talkative(after: Duration, called: Value) -> Server {
    Server::new(move |request| {
        let called = called.clone();
        async move {
            let said = request.into_body().collect().await.expect("whole").to_bytes();
            let said: Value = serde_json::from_slice(&said).expect("JSON-RPC");
            let mut answer = match said["method"].as_str() {
                Some("tools/call") => {
                    tokio::time::sleep(after).await;
                    called
                }
                Some("initialize") => json!({ "result": { "protocolVersion": "2025-06-18" } }),
                _ => return whole(202, ""),
            };
            (answer["jsonrpc"], answer["id"]) = (json!("2.0"), said["id"].clone());
            let frame = Frame::data(Bytes::from(format!("data: {answer}\n\n")));
            let pieces = stream::iter([Ok::<_, Infallible>(frame)]).chain(stream::pending());
            let answer = Response::builder().header("content-type", "text/event-stream");
            answer.body(StreamBody::new(pieces).boxed_unsync()).expect("an answer")
        }
    })
}

#[test]
fn an_answer_is_whole_with_its_message_though_its_stream_stays_open() {
    // The last one comes a moment before the time limit, which is then no longer waited for.
    for after in [millis(20), millis(4990)] {
        let seen = play(WORKLOAD, 600, || talkative(after, json!({ "result": {} })));
        assert_eq!((seen.all.requests(), seen.all.failed()), (1 + 30, 0), "{:?}", seen.all.errors);
        let longest = seen.all.response.max().unwrap_or_default();
        // Three digits are kept of it.
        assert!(longest >= after && longest < after + millis(6), "{longest:?}");
        assert!(seen.lateness.max() <= Some(millis(2)), "{:?}", seen.lateness.max());
    }
}

#[test]
fn a_call_that_failed_is_a_failed_check_at_once_though_its_stream_stays_open() {
    for answer in [
        json!({ "error": { "code": -32603, "message": "out of memory" } }),
        json!({ "result": { "isError": true, "content": [] } }),
    ] {
        let seen = play(WORKLOAD, 600, || talkative(millis(20), answer.clone()));
        assert_eq!(seen.all.errors, [(ErrorKind::Check, 30)].into(), "{answer}");
        assert_eq!((seen.all.requests(), seen.arrived.len()), (1 + 30, 2 + 30));
        assert!(is_about(seen.all.response.max(), millis(20)), "{:?}", seen.all.response.max());
    }
}

#[test]
fn a_handshake_is_two_requests_of_the_cap_and_what_is_not_sent_is_no_finished_flow() {
    let length = Duration::from_secs(60);
    let budget = Budget::new(Some(5), None, (0, 0));
    let common = Common { budget, ..common(platform(WORKLOAD), length) };
    let calls = Calls::default();
    let seen = in_virtual_time(async {
        let server = forgetful(&calls, 1000);
        let dial = || Rc::new(server.clone()) as Rc<dyn Dial>;
        drive(&Arc::new(common), length, 1, dial, |_| std::future::pending()).await
    });
    assert_eq!(calls.borrow().len(), 5, "{calls:?}");
    assert_eq!(seen.all.requests(), 4, "the handshake is measured as one");
    let flows = &seen.iterations["mcp"];
    assert_eq!((flows.finished, flows.interrupted), (3, 27));
}
