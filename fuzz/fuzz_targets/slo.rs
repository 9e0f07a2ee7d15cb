//! Whatever stands in SLO definitions, they are read or refused, and what is read can be linted,
//! explained and exported.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::config::LoadedSlos;
use shakedown::slo::export::{Format, export};
use shakedown::slo::{explain, lint};

fuzz_target!(|text: &str| {
    let Ok(loaded) = LoadedSlos::parse("fuzz", text) else { return };
    let _ = lint(&loaded);
    for slo in &loaded.definitions.slos {
        let _ = explain(slo, &loaded.definitions);
    }
    for format in Format::ALL {
        let _ = export(&loaded.definitions, format);
    }
});
