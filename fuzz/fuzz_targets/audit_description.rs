//! Whatever a description in OpenAPI says, it is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| shakedown::security::fuzzing::description(text));
