//! Whatever Trivy answers, it is a report or none.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| shakedown::security::fuzzing::report(bytes));
