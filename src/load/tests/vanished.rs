//! A server that goes away in mid-run, and comes back.

use super::*;
use crate::run::event::ErrorKind;

const USERS: u64 = 10;
const WORKLOAD: &str = r#"
think_time: { min: 0s, max: 0s }
scenarios:
  - name: ask
    service: rag
    executor: constant-vus
    vus: 10
    duration: 10s
    flows: [{ name: ask, steps: [{ query: { question: why } }] }]
"#;

/// Answers within 100 ms, but for the seconds from three to six.
fn unsteady() -> Server {
    let begin = Instant::now();
    Server::new(|_| async {
        tokio::time::sleep(millis(100)).await;
        whole(200, "{}")
    })
    .away(begin + millis(3050)..begin + millis(6050))
}

#[test]
fn a_server_that_vanished_is_not_stormed_and_found_again() {
    let seen = play(WORKLOAD, 10, unsteady);
    let (broken, refused) =
        (seen.all.errors[&ErrorKind::Protocol], seen.all.errors[&ErrorKind::Connect]);
    assert_eq!(broken, USERS, "what was in flight broke off: {:?}", seen.all.errors);
    // Each knocks every 50 ms for three seconds.
    assert!((USERS * 55..=USERS * 60).contains(&refused), "{refused} refused");
    assert_eq!(seen.all.failed(), broken + refused, "{:?}", seen.all.errors);
    let answered = |from: u64, to: u64| {
        seen.arrived.iter().filter(|at| (millis(from)..millis(to)).contains(*at)).count() as u64
    };
    let flows = &seen.iterations["ask"].duration;
    let quickest = flows.quantile(0.0).unwrap_or_default();
    assert!(
        quickest < millis(2),
        "who was refused held back after the flow, not in it: {quickest:?}"
    );
    assert_eq!(answered(3050, 6050), 0);
    assert!(answered(6050, 6200) >= USERS, "every user is back at once");
    assert!(answered(6050, 10_000) >= USERS * 37, "{}", answered(6050, 10_000));
}
