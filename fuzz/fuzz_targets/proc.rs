//! Whatever stands in files of `/proc` and of control groups, it is read or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| shakedown::chaos::fuzzing::proc(text));
