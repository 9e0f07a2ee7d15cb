//! Whatever stands in a page, its links, contexts and keys are found or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| shakedown::security::fuzzing::page(text));
