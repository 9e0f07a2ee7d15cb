//! Whatever comes by netlink, it is a listing or the end of one.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| shakedown::chaos::fuzzing::netlink(bytes));
