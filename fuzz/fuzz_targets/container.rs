//! Whatever an engine says of a container, it is read or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| shakedown::chaos::fuzzing::container(text));
