//! Whatever body an MCP or chat service answers with, it is an answer or a failure.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| shakedown::load::fuzzing::message(bytes));
