//! Whatever a target says, what is kept of it is short and moves no terminal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::platform::text::{MAX_EXCERPT, excerpt};

fuzz_target!(|text: &str| {
    let kept = excerpt(text);
    assert!(kept.chars().count() <= MAX_EXCERPT + 1);
    assert!(!kept.chars().any(char::is_control), "{kept:?}");
    assert_eq!(excerpt(&kept), kept);
});
