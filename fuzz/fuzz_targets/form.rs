//! Whatever a form holds, its file is found or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|(body, kind): (&[u8], &str)| shakedown::sandbox::stores::qdrant::fuzzing::form(body, kind));
