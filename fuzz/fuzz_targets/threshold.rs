//! Whatever stands for a threshold or a metric, it is read or refused, and what is read reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::config::Threshold;
use shakedown::config::metric::{MetricKind, Selector};

fuzz_target!(|text: &str| {
    if let Ok(threshold) = text.parse::<Threshold>() {
        assert!(threshold.to_string().parse::<Threshold>().is_ok(), "{text:?}: {threshold}");
    }
    if let Ok(selector) = text.parse::<Selector>() {
        assert!(selector.to_string().parse::<Selector>().is_ok(), "{text:?}: {selector}");
    }
    for kind in [MetricKind::Trend, MetricKind::Rate, MetricKind::Counter, MetricKind::Gauge] {
        let _ = kind.threshold(text);
    }
});
