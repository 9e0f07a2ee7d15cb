//! The other executors, by what the server sees of them.

use super::*;

fn workload(executor: &str) -> String {
    format!(
        r#"
think_time: {{ min: 0s, max: 0s }}
scenarios:
  - name: one
    service: rag
    {executor}
    flows: [{{ name: ask, steps: [{{ query: {{ question: why }} }}] }}]
"#
    )
}

fn takes_100_ms() -> Server {
    Server::new(|_| async {
        tokio::time::sleep(millis(99)).await;
        whole(200, "{}")
    })
}

#[test]
fn shared_iterations_are_done_once_altogether() {
    let executor = "executor: shared-iterations\n    vus: 7\n    iterations: 100";
    let seen = play_with(&workload(executor), 60, 2, takes_100_ms, |_| std::future::pending());
    assert_eq!((seen.all.requests(), seen.iterations["one"].finished), (100, 100));
    assert!(seen.lasted < Duration::from_secs(3), "ends when they are done: {:?}", seen.lasted);
}

#[test]
fn iterations_per_user_are_done_by_each() {
    let executor = "executor: per-vu-iterations\n    vus: 5\n    iterations: 8";
    let seen = play_with(&workload(executor), 60, 2, takes_100_ms, |_| std::future::pending());
    assert_eq!((seen.all.requests(), seen.iterations["one"].finished), (40, 40));
}

#[test]
fn a_maximum_duration_ends_iterations() {
    let executor = "executor: per-vu-iterations\n    vus: 1\n    iterations: 1000\n    \
                    maxDuration: 2s";
    let seen = play(&workload(executor), 60, takes_100_ms);
    assert!((18..=21).contains(&seen.all.requests()), "{}", seen.all.requests());
}

#[test]
fn constant_users_begin_late_and_end_early() {
    let executor = "executor: constant-vus\n    vus: 3\n    startTime: 5s\n    duration: 10s";
    let seen = play(&workload(executor), 60, takes_100_ms);
    let (first, last) = (seen.arrived[0], seen.arrived[seen.arrived.len() - 1]);
    assert!(first >= Duration::from_secs(5) && last <= millis(15_100), "{first:?} to {last:?}");
    let n = seen.all.requests();
    assert!((285..=307).contains(&n), "{n} requests of three users in ten seconds");
    assert_eq!(seen.most_users, 3);
}

#[test]
fn users_ramp_up_and_down() {
    let executor = "executor: ramping-vus\n    startVUs: 0\n    stages: [{ duration: 10s, target: 20 }, \
                    { duration: 10s, target: 0 }]";
    let seen = play(&workload(executor), 60, takes_100_ms);
    // The area below the users is 200 user seconds, at ten requests a second each.
    let n = seen.all.requests();
    assert!((1900..=2060).contains(&n), "{n} requests");
    assert!((19..=20).contains(&seen.most_users), "{} users", seen.most_users);
    assert_eq!(seen.iterations["one"].interrupted, 0, "users go after their flow");
}

#[test]
fn who_does_not_end_in_time_is_dropped() {
    let executor = "executor: constant-vus\n    vus: 2\n    duration: 5s\n    gracefulStop: 1s";
    let other = "  - { name: other, service: rag, executor: constant-vus, vus: 1, duration: 10s, \
                 flows: [{ name: ask, steps: [{ think: 1s }, { query: { question: y } }] }] }\n";
    let stuck = || {
        Server::new(|_| async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            whole(200, "{}")
        })
    };
    let seen = play(&(workload(executor) + other), 10, stuck);
    let one = &seen.iterations["one"];
    assert_eq!((one.finished, one.interrupted), (2, 2), "begun at 0 s and at 4 s, dropped at 6 s");
    let cut_off = &seen.all.cut_off;
    assert_eq!(cut_off.count(), 2, "they had no answer, and that is counted");
    assert!(cut_off.quantile(0.0) >= Some(millis(1900)), "{:?}", cut_off.quantile(0.0));
    assert!(cut_off.max() <= Some(millis(2300)), "{:?}", cut_off.max());
}

#[test]
fn a_ramp_is_told_by_all_that_it_goes_through() {
    let words =
        |executor: &str| play(&workload(executor), 10, takes_100_ms).models[0].words.clone();
    let stages = "stages: [{ duration: 1s, target: 6 }, { duration: 1s, target: 6 }, \
                  { duration: 1s, target: 0 }]";
    let users = words(&format!("executor: ramping-vus\n    startVUs: 1\n    {stages}"));
    assert_eq!(users, "ramping-vus, 1 to 6 to 0 users");
    let rate = words(&format!(
        "executor: ramping-arrival-rate\n    timeUnit: 4s\n    preAllocatedVUs: 5\n    {stages}"
    ));
    assert_eq!(rate, "ramping-arrival-rate, 0 to 1.5 to 0 /s, 5 to 5 users");
    let saw = "{ duration: 1s, target: 9 }, { duration: 1s, target: 1 },".repeat(4);
    let long = words(&format!("executor: ramping-vus\n    stages: [{saw}]"));
    assert_eq!(long, "ramping-vus, 1 to 1 users, at most 9");
}

/// Fewer users at the start than threads, and others that come and go beside them.
#[test]
fn an_open_model_never_has_more_users_than_it_may() {
    let executor = "executor: constant-arrival-rate\n    rate: 10\n    duration: 10s\n    \
                    preAllocatedVUs: 1\n    maxVUs: 6";
    let other = "  - { name: other, service: rag, executor: ramping-vus, stages: [{ duration: 10s, target: 9 }], \
                 flows: [{ name: think, steps: [{ think: 1h }, { query: { question: y } }] }] }\n";
    let (now, most) = (Rc::new(Cell::new(0_u32)), Rc::new(Cell::new(0)));
    let of_server = (Rc::clone(&now), Rc::clone(&most));
    let slow = || {
        Server::new(move |_| {
            let (now, most) = of_server.clone();
            async move {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                tokio::time::sleep(millis(999)).await;
                now.set(now.get() - 1);
                whole(200, "{}")
            }
        })
    };
    let seen = play_with(&(workload(executor) + other), 12, 3, slow, |_| std::future::pending());
    assert_eq!(most.get(), 6, "at a time, as the server sees them");
    let one = &seen.iterations["one"];
    assert_eq!(one.finished + one.interrupted + one.dropped, 100, "{one:?}");
}
