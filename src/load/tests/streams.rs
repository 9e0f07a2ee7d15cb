//! Streamed answers whose events come at scripted moments.

use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::*;
use crate::run::event::ErrorKind;

const WORKLOAD: &str = r#"
think_time: { min: 0s, max: 0s }
scenarios:
  - name: chat
    service: chat
    executor: per-vu-iterations
    iterations: 10
    vus: 1
    flows: [{ name: ask, steps: [{ chat: { prompt: hi, stream: true } }] }]
"#;

fn word(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

const ROLE: &str =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// Plays ten answers whose pieces come so many milliseconds after the one before.
fn play_script(script: Vec<(u64, Vec<u8>)>) -> Seen {
    play(WORKLOAD, 60, || {
        let script = Arc::new(script);
        Server::new(move |_| {
            let script = Arc::clone(&script);
            async move {
                let pieces = stream::unfold(0, move |at| {
                    let piece = script.get(at).cloned();
                    async move {
                        let (after, bytes) = piece?;
                        tokio::time::sleep(millis(after)).await;
                        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(bytes))), at + 1))
                    }
                });
                let body = StreamBody::new(pieces).boxed_unsync();
                let answer = Response::builder().header("content-type", "text/event-stream");
                answer.body(body).expect("an answer")
            }
        })
    })
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[test]
fn tokens_and_gaps_are_those_of_the_script() {
    let umlaut = word("ü");
    let (left, right) = umlaut.as_bytes().split_at(umlaut.find('ü').expect("there") + 1);
    let usage = "data: {\"choices\":[],\"usage\":{\"completion_tokens\":5}}\n\n";
    let seen = play_script(vec![
        (20, bytes(ROLE)),
        (80, bytes(&word("one"))),
        (30, bytes(": keep-alive\n\n")),
        // Two events in one piece, and a character in two.
        (30, bytes(&(word("two") + &word("three")))),
        (40, left.to_vec()),
        (10, right.to_vec()),
        (200, bytes(STOP)),
        (0, bytes(&(usage.to_owned() + DONE))),
    ]);
    let all = &seen.all;
    assert_eq!((all.requests(), all.failed(), all.tokens), (10, 0, 50));
    let streams = all.streams;
    assert_eq!((streams.streams, streams.chunks, streams.coalesced), (10, 40, 10));
    assert_eq!(streams.without_usage, 0);
    let first = all.first_token.as_ref().expect("streamed");
    assert_eq!(first.count(), 10);
    assert!(is_about(first.quantile(0.0), millis(100)), "not the event that names the role");
    assert!(is_about(first.max(), millis(100)));
    let gaps = all.token_gap.as_ref().expect("streamed");
    assert_eq!(gaps.count(), 20, "one to two, three to four; none between two and three");
    assert!(is_about(gaps.quantile(0.0), millis(50)), "{:?}", gaps.quantile(0.0));
    assert!(is_about(gaps.max(), millis(60)), "{:?}", gaps.max());
    // 110 ms from the first content to the last, for four tokens after the first.
    let per_token = all.time_per_token.as_ref().expect("streamed");
    let (low, high) = (Duration::from_micros(27_400), Duration::from_micros(28_600));
    assert!(per_token.quantile(0.0) >= Some(low) && per_token.max() <= Some(high), "{per_token:?}");
    // The time after the last content is part of the answer, and of no gap.
    assert!(all.service_time.quantile(0.0) >= Some(millis(410)));
}

#[test]
fn without_usage_the_events_are_the_tokens_and_that_is_counted() {
    let words: String = (0..7).map(|_| word("x")).collect();
    let seen = play_script(vec![(10, bytes(&words)), (10, bytes(DONE))]);
    assert_eq!((seen.all.tokens, seen.all.streams.without_usage), (70, 10));
    assert_eq!((seen.all.streams.coalesced, seen.all.token_gap), (60, None));
}

#[test]
fn an_answer_is_whole_when_it_says_so_though_its_stream_stays_open() {
    let script =
        vec![(10, bytes(&word("x"))), (10, bytes(DONE)), (9000, bytes(": still here\n\n"))];
    let seen = play_script(script);
    assert_eq!((seen.all.requests(), seen.all.failed(), seen.arrived.len()), (10, 0, 10));
    assert!(is_about(seen.all.service_time.max(), millis(20)), "{:?}", seen.all.service_time.max());
    let flows = &seen.iterations["chat"].duration;
    assert!(is_about(flows.max(), millis(20)), "waiting for its end is no part of it: {flows:?}");
    assert!(seen.lateness.max() <= Some(millis(2)));
}

#[test]
fn absurd_numbers_of_tokens_end_at_the_largest_number() {
    let usage = format!("data: {{\"usage\":{{\"completion_tokens\":{}}}}}\n\n", u64::MAX);
    let seen = play_script(vec![(10, bytes(&(word("x") + &usage + DONE)))]);
    assert_eq!((seen.all.requests(), seen.all.failed(), seen.all.tokens), (10, 0, u64::MAX));
}

#[test]
fn what_goes_wrong_in_a_stream_is_a_failure_of_its_own_kind_and_no_first_token() {
    let error = "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
    for (script, kind) in [
        (vec![(10, bytes(&word("x"))), (10, bytes(error))], ErrorKind::Check),
        (vec![(10, bytes(&word("x")))], ErrorKind::Protocol),
        (vec![(10, bytes(ROLE)), (10, bytes(DONE))], ErrorKind::Check),
        (vec![(10, bytes("data: {no json\n\n")), (10, bytes(DONE))], ErrorKind::Protocol),
        (vec![(10, bytes(&word("x"))), (9000, bytes(DONE))], ErrorKind::Timeout),
    ] {
        let seen = play_script(script);
        assert_eq!(seen.all.errors, [(kind, 10)].into());
        assert_eq!((seen.all.requests(), seen.all.first_token), (10, None));
    }
}
