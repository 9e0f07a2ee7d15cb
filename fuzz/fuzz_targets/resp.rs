//! Whatever a peer sends to the sandbox's Redis, it is a request, the beginning of one, or refused;
//! and a request is the same when more follows it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::sandbox::stores::redis::resp::parse;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((request, used))) = parse(bytes) {
        assert_eq!(parse(&bytes[..used]), Ok(Some((request, used))));
    }
});
