//! A generator that is the bottleneck says so, and blames nobody else.

use super::*;
use crate::load::verdict::outcome;
use crate::run::event::{LoadStart, SeriesKey, Verdict};
use crate::run::state::LoadState;

const WORKLOAD: &str = r#"
think_time: { min: 0s, max: 0s }
scenarios:
  - name: open
    service: rag
    executor: constant-arrival-rate
    rate: 100
    duration: 30s
    preAllocatedVUs: 50
    flows: [{ name: ask, steps: [{ query: { question: why } }] }]
"#;

/// Users who ask again as soon as they have their answer.
const LOOP: &str = r#"
users: 10
spawn_rate: 1000
think_time: { min: 0s, max: 0s }
scenarios:
  - name: loop
    service: rag
    flows: [{ name: ask, steps: [{ query: { question: why } }] }]
"#;

fn takes_5_ms() -> Server {
    Server::new(|_| async {
        tokio::time::sleep(millis(5)).await;
        whole(200, "{}")
    })
}

/// What it amounts to when so many of thirty intervals used a core up.
fn verdict(seen: Seen, busy_intervals: u64) -> Verdict {
    let key = SeriesKey {
        service: crate::config::ServiceKind::Rag,
        scenario: "open".into(),
        step: "query".into(),
    };
    let start = LoadStart {
        engine: "built-in".into(),
        threads: 1,
        scenarios: Vec::new(),
        left_out: Vec::new(),
        models: seen.models,
        clock: None,
    };
    let load = LoadState {
        start: Some(start),
        series: [(key, seen.all)].into(),
        lateness: seen.lateness,
        loop_lateness: seen.loop_lateness,
        iterations: seen.iterations,
        intervals: 30,
        busy_intervals,
        ..LoadState::default()
    };
    outcome(&load, None).verdict
}

/// Something blocks the generator's thread: time goes on, and nothing else on that thread does.
fn blocked(workload: &str) -> Seen {
    play_with(workload, 30, 1, takes_5_ms, |_| async {
        loop {
            tokio::time::advance(millis(50)).await;
            tokio::time::sleep(millis(10)).await;
        }
    })
}

#[test]
fn a_healthy_generator_passes() {
    let seen = play(WORKLOAD, 30, takes_5_ms);
    assert!(seen.loop_lateness.max() <= Some(millis(2)), "{:?}", seen.loop_lateness.max());
    assert!(
        seen.loop_lateness.count() > 1000,
        "weighed by requests: {}",
        seen.loop_lateness.count()
    );
    assert_eq!(verdict(seen, 0), Verdict::Pass);
}

#[test]
fn a_blocked_generator_makes_the_phase_invalid_and_not_the_target_slow() {
    let seen = blocked(WORKLOAD);
    let late = seen.lateness.quantile(0.99).expect("requests");
    assert!(late > millis(20), "late by {late:?}");
    assert_eq!(verdict(seen, 0), Verdict::Invalid);
}

#[test]
fn a_core_that_is_used_up_falsifies_moments_and_no_loop() {
    assert_eq!(verdict(play(WORKLOAD, 30, takes_5_ms), 30), Verdict::Invalid);
    assert_eq!(verdict(play(LOOP, 30, takes_5_ms), 30), Verdict::Pass);
    let pacing = LOOP.replace("    flows", "    pacing: 100ms\n    flows");
    assert_eq!(verdict(play(&pacing, 30, takes_5_ms), 30), Verdict::Invalid);
    let thinking = LOOP.replace("max: 0s", "max: 1s");
    assert_eq!(verdict(play(&thinking, 30, takes_5_ms), 30), Verdict::Invalid);
}

/// A loop has no moments for which it could be late; that its answers wait shows all the same.
#[test]
fn a_loop_whose_answers_wait_for_the_generator_is_invalid() {
    let seen = blocked(LOOP);
    assert!(seen.lateness.quantile(0.99) < Some(millis(20)), "{:?}", seen.lateness.quantile(0.99));
    let waited = seen.loop_lateness.quantile(0.99).expect("looked at");
    assert!(waited > millis(20), "waited {waited:?}");
    assert_eq!(verdict(seen, 0), Verdict::Invalid);
}
