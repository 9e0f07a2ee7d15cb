//! A generator that is the bottleneck says so, and blames nobody else.

use super::*;
use crate::load::verdict::outcome;
use crate::run::event::{SeriesKey, Verdict};
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

fn takes_5_ms() -> Server {
    Server::new(|_| async {
        tokio::time::sleep(millis(5)).await;
        whole(200, "{}")
    })
}

fn verdict(seen: Seen) -> Verdict {
    let key = SeriesKey {
        service: crate::config::ServiceKind::Rag,
        scenario: "open".into(),
        step: "query".into(),
    };
    let load = LoadState {
        series: [(key, seen.all)].into(),
        lateness: seen.lateness,
        iterations: seen.iterations,
        intervals: 30,
        ..LoadState::default()
    };
    outcome(&load, None, 0).verdict
}

#[test]
fn a_healthy_generator_passes() {
    assert_eq!(verdict(play(WORKLOAD, 30, takes_5_ms)), Verdict::Pass);
}

/// Something blocks the generator's thread: time goes on, and nothing else on that thread does.
#[test]
fn a_blocked_generator_makes_the_phase_invalid_and_not_the_target_slow() {
    let seen = play_with(WORKLOAD, 30, 1, takes_5_ms, |_| async {
        loop {
            tokio::time::advance(millis(50)).await;
            tokio::time::sleep(millis(10)).await;
        }
    });
    let late = seen.lateness.quantile(0.99).expect("requests");
    assert!(late > millis(20), "late by {late:?}");
    assert_eq!(verdict(seen), Verdict::Invalid);
}
