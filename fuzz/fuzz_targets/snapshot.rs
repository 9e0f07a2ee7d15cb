//! Whatever a snapshot holds, it is a collection or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| shakedown::sandbox::stores::qdrant::fuzzing::snapshot(bytes));
