//! Server-sent events are the same whatever pieces they arrive in.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (usize, &[u8])| shakedown::load::fuzzing::events(input.1, input.0));
