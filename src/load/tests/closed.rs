//! Closed models: users who ask, wait for the answer, and think.

use super::*;
use crate::run::event::ErrorKind;

/// Ten users who ask, wait for the answer, and think for exactly 100 ms.
const WORKLOAD: &str = r#"
users: 10
spawn_rate: 1000
think_time: { min: 100ms, max: 100ms }
scenarios:
  - name: rag
    service: rag
    flows: [{ name: ask, steps: [{ query: { question: why } }] }]
"#;

/// A server that takes exactly this long.
fn takes(time: u64, status: u16) -> Server {
    Server::new(move |_| async move {
        tokio::time::sleep(millis(time)).await;
        whole(status, "{}")
    })
}

#[test]
fn a_server_that_takes_50_ms_is_measured_as_one_that_takes_50_ms() {
    let seen = play(WORKLOAD, 60, || takes(50, 200));
    for quantile in [0.01, 0.5, 0.99, 1.0] {
        assert!(is_about(seen.all.response.quantile(quantile), millis(50)));
        assert!(is_about(seen.all.service_time.quantile(quantile), millis(50)));
    }
    // Ten users, one request every 150 ms and a little each.
    let n = seen.all.requests();
    assert!((3850..=4000).contains(&n), "{n} requests");
    assert_eq!((seen.all.failed(), seen.iterations["rag"].finished), (0, n));
    assert!(seen.lateness.max() <= Some(millis(2)), "{:?}", seen.lateness.max());
}

#[test]
fn a_stall_of_the_server_is_seen_by_everybody_who_waited_and_blamed_on_nobody_else() {
    let seen = play(WORKLOAD, 60, || {
        let from = Instant::now() + Duration::from_secs(20);
        let until = from + Duration::from_secs(2);
        Server::new(move |_| async move {
            if (from..until).contains(&Instant::now()) {
                tokio::time::sleep_until(until).await;
            }
            tokio::time::sleep(millis(50)).await;
            whole(200, "{}")
        })
    });
    let slow = seen.all.response.counts_between(&[1_000_000, u64::MAX]);
    assert_eq!(slow, [10], "each of ten users had one request in the stall");
    let longest = seen.all.response.max().expect("requests");
    assert!(longest <= millis(2060) && longest >= millis(1900));
    assert!(seen.lateness.max() <= Some(millis(2)), "the generator was not late");
}

#[test]
fn timeouts_and_refusals_are_counted_with_the_time_that_they_took() {
    let seen = play(WORKLOAD, 30, || takes(60_000, 200));
    assert_eq!(seen.all.failed(), seen.all.requests());
    assert_eq!(seen.all.errors.keys().collect::<Vec<_>>(), [&ErrorKind::Timeout]);
    assert!(is_about(seen.all.response.quantile(0.5), Duration::from_secs(5)));
    let refused = play(WORKLOAD, 5, || takes(10, 302));
    assert_eq!(refused.all.errors.keys().collect::<Vec<_>>(), [&ErrorKind::ClientStatus]);
    assert_eq!(refused.all.failed(), refused.all.requests());
}

#[test]
fn pacing_sets_the_distance_between_flows_of_a_user() {
    let paced = WORKLOAD.replace("    flows", "    pacing: 1s\n    flows");
    let seen = play(&paced, 60, || takes(50, 200));
    let n = seen.all.requests();
    assert!((590..=610).contains(&n), "{n} requests of ten users, one a second each");
    assert!(seen.lateness.max() <= Some(millis(2)));
}
