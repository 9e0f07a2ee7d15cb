//! Whatever a Prometheus answers, shares of it are shares.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((least, most)) = shakedown::slo::histogram_in(bytes, 0.3) {
        assert!(0.0 <= least && least <= most && most <= 1.0, "{least} {most}");
    }
});
