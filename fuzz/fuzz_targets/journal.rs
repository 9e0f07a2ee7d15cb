//! Whatever stands in a journal, it folds into a state, and the state into a report.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shakedown::run::event::Event;
use shakedown::run::state::RunState;

fuzz_target!(|text: &str| {
    let mut state = RunState::default();
    for event in text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok()) {
        state.apply(&event);
    }
    let _ = shakedown::report::text::summary(&shakedown::report::json::report(&state));
});
