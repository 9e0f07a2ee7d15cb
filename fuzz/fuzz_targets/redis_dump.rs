//! Whatever a dump holds, it is a value or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| shakedown::sandbox::stores::redis::fuzzing::restore(bytes));
