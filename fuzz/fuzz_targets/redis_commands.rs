//! Whatever is asked of the sandbox's Redis, it is done or refused, and what it leaves survives a dump.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| shakedown::sandbox::stores::redis::fuzzing::commands(bytes));
