//! Whatever stands in a header, it is a policy or a token, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| shakedown::security::fuzzing::header(text));
