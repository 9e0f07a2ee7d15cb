//! Whatever a target answers in HTTP/1.1, it is whole, or a part, or left to hyper.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| shakedown::load::fuzzing::answer(bytes));
