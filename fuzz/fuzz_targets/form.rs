//! Whatever a form holds, its file is found or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|form: (&[u8], &str)| shakedown::sandbox::stores::qdrant::fuzzing::form(form.0, form.1));
