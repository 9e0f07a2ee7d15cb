//! Server-sent events are the same whatever pieces they arrive in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::load::sse::SseParser;

fn parse(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut parser = SseParser::default();
    let mut events = Vec::new();
    for piece in pieces {
        if parser.feed(piece, |data| events.push(data.to_vec())).is_err() {
            break;
        }
    }
    events
}

fuzz_target!(|input: (usize, &[u8])| {
    let (cut, stream) = input;
    let (left, right) = stream.split_at(cut.min(stream.len()));
    assert_eq!(parse(&[left, right]), parse(&[stream]));
});
