//! Whatever stands for a threshold, it is read or refused, and what is read reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::config::Threshold;

fuzz_target!(|text: &str| {
    if let Ok(threshold) = text.parse::<Threshold>() {
        assert!(threshold.to_string().parse::<Threshold>().is_ok(), "{text:?}: {threshold}");
    }
});
