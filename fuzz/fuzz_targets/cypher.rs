//! Whatever is asked of the sandbox's Neo4j, it is a statement or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::sandbox::stores::neo4j::parser::parse;

fuzz_target!(|text: &str| {
    let _ = parse(text);
});
