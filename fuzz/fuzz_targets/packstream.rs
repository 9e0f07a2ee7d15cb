//! Whatever a peer sends to the sandbox's Neo4j, it is a message or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::sandbox::stores::neo4j::packstream::read_message;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_message(bytes);
});
