//! Thresholds that end the load: the objectives that must not even be missed for a moment.

use std::time::Duration;

use crate::config::{Slo, Threshold};
use crate::run::event::Measurements;
use crate::run::state::RunState;
use crate::run::threshold::{Tested, test};

/// The first objective with a broken threshold, and what broke it.
pub fn broken(state: &RunState) -> Option<(String, String)> {
    let promises = state.promises.as_ref()?;
    let armed =
        promises.slos.iter().enumerate().filter(|(_, slo)| !slo.abort_when_broken.is_empty());
    for (at, slo) in armed {
        for threshold in &slo.abort_when_broken {
            if let Some(reason) = breaks(at, slo, threshold, state) {
                return Some((slo.id.clone(), reason));
            }
        }
    }
    None
}

fn breaks(at: usize, slo: &Slo, threshold: &Threshold, state: &RunState) -> Option<String> {
    let (measured, length) = over(at, slo, threshold, state)?;
    let Tested::Broken(value) = test(threshold, &measured, length) else { return None };
    let (value, n, seconds) = (threshold.words(value), measured.requests(), length.as_secs());
    Some(format!("{threshold} is broken: {value} of {n} requests over {seconds} s"))
}

/// What the threshold looks at: its window, or everything.
fn over(
    at: usize,
    slo: &Slo,
    threshold: &Threshold,
    state: &RunState,
) -> Option<(Measurements, Duration)> {
    match threshold.window {
        Some(window) => {
            let micros = u64::try_from(window.get().as_micros()).unwrap_or(u64::MAX);
            let (measured, length) = state.windows.guarded(at, micros)?;
            Some((measured, Duration::from_micros(length)))
        }
        None => {
            let all = super::evaluation::seen(slo, state);
            Some((all, Duration::from_micros(state.windows.measured_us)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadedSlos, SHIPPED_SLOS};
    use crate::slo::test_load::{measure, run_of};

    /// Second by second: when does it break?
    fn breaks_at(threshold: &str, failing_from: u64) -> Option<u64> {
        let text = SHIPPED_SLOS.replacen(
            "- { id: chat_availability,",
            &format!("- {{ abort_when_broken: [\"{threshold}\"], id: chat_availability,"),
            1,
        );
        let promises = LoadedSlos::parse("slo.yaml", &text).expect("valid").definitions;
        let mut state = run_of(promises);
        for second in 1..=120 {
            let timed_out = if second >= failing_from { 10 } else { 0 };
            measure(&mut state, (1, second), (10, 50_000), timed_out);
            if let Some((id, reason)) = broken(&state) {
                assert_eq!(id, "chat_availability");
                assert!(reason.contains("is broken"), "{reason}");
                return Some(second);
            }
        }
        None
    }

    #[test]
    fn the_load_ends_when_the_window_is_bad_and_not_before_it_is_full() {
        // Half of 30 s of failures.
        assert_eq!(breaks_at("rate[30s]<50%", 41), Some(55));
        assert_eq!(
            breaks_at("rate[30s]<50%", 1),
            Some(30),
            "an early failure waits for the window"
        );
        assert_eq!(breaks_at("rate[30s]<50%", 200), None);
        assert_eq!(breaks_at("rate[30s, n>=301]<50%", 1), None, "too few requests");
        assert_eq!(breaks_at("p(99)<20ms", 200), Some(1), "without a window everything counts");
    }
}
