//! Whatever claims to be a histogram, it is one that reads back, or it is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::run::histogram::Histogram;

fuzz_target!(|text: &str| {
    if let Ok(histogram) = Histogram::from_base64(text) {
        let written = histogram.to_base64().expect("its own counts");
        assert_eq!(Histogram::from_base64(&written).expect("its own format"), histogram);
    }
});
