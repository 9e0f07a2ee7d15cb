//! What operators do while an open model runs.

use super::*;

const WORKLOAD: &str = r#"
think_time: { min: 0s, max: 0s }
scenarios:
  - name: open
    service: rag
    executor: constant-arrival-rate
    rate: 10
    duration: 60s
    preAllocatedVUs: 5
    maxVUs: 20
    flows: [{ name: ask, steps: [{ query: { question: why } }] }]
"#;

fn takes_50_ms() -> Server {
    Server::new(|_| async {
        tokio::time::sleep(millis(50)).await;
        whole(200, "{}")
    })
}

fn between(seen: &Seen, from: u64, to: u64) -> usize {
    let range = Duration::from_secs(from)..Duration::from_secs(to);
    seen.arrived.iter().filter(|at| range.contains(*at)).count()
}

#[test]
fn a_pause_charges_no_backlog_to_the_target() {
    let seen = play_with(WORKLOAD, 60, 2, takes_50_ms, |controls| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        controls.pause();
        tokio::time::sleep(Duration::from_secs(100)).await;
        controls.resume();
    });
    assert_eq!(seen.all.requests(), 600, "the plan is carried out in full");
    assert_eq!(between(&seen, 21, 120), 0, "nothing is sent in a pause");
    assert!((9..=11).contains(&between(&seen, 120, 121)), "and nothing is made up for");
    assert!(seen.all.response.max() <= Some(millis(53)), "{:?}", seen.all.response.max());
    assert!(seen.lateness.max() <= Some(millis(2)));
    let flows = &seen.iterations["open"].duration;
    assert!(
        flows.max() <= Some(millis(53)),
        "no flow lasts as long as the pause: {:?}",
        flows.max()
    );
}

/// The threads hear of both at once: the second pause is waited for like the first.
#[test]
fn a_pause_right_after_another_is_held_too() {
    let seen = play_with(WORKLOAD, 60, 2, takes_50_ms, |controls| async move {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            controls.pause();
            tokio::time::sleep(Duration::from_secs(10)).await;
            controls.resume();
            controls.pause();
            tokio::time::sleep(Duration::from_secs(10)).await;
            controls.resume();
        }
    });
    assert_eq!(seen.holds, 4 * 2);
    assert_eq!(seen.all.requests(), 600);
    assert!(seen.all.response.max() <= Some(millis(53)), "{:?}", seen.all.response.max());
}

#[test]
fn a_rate_can_be_changed_and_changed_back() {
    let seen = play_with(WORKLOAD, 60, 2, takes_50_ms, |controls| async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        controls.rate(300);
        tokio::time::sleep(Duration::from_secs(10)).await;
        controls.rate(0);
        tokio::time::sleep(Duration::from_secs(10)).await;
        controls.rate(100);
    });
    let counts = [(0, 10), (10, 20), (21, 30), (31, 60)].map(|(from, to)| between(&seen, from, to));
    assert!((99..=101).contains(&counts[0]), "{counts:?}");
    assert!((298..=302).contains(&counts[1]), "{counts:?}");
    assert_eq!(counts[2], 0, "{counts:?}");
    assert!((289..=291).contains(&counts[3]), "{counts:?}");
    assert!(seen.lateness.max() <= Some(millis(2)), "a change makes nobody late");
}
