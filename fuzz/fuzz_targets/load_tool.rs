//! Whatever k6 or Locust print, it is counted or passed over.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| shakedown::load::fuzzing::lines(text));
