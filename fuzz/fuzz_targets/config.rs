//! Whatever stands in a configuration, the loader answers with a configuration or a message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::config::{LoadOptions, parse};

fuzz_target!(|text: &str| {
    let _ = parse("fuzz", text, &LoadOptions::default()).map_err(|error| error.to_string());
});
