//! Coordinated omission: a stall must cost what it cost, on the plan's clock.

use super::*;

/// A thousand requests a second for ten seconds; the server stands still for two of them.
#[test]
fn a_stall_in_an_open_model_has_the_percentiles_of_theory() {
    let workload = r#"
think_time: { min: 0s, max: 0s }
scenarios:
  - name: open
    service: rag
    executor: constant-arrival-rate
    rate: 1000
    duration: 10s
    preAllocatedVUs: 100
    maxVUs: 4000
    flows: [{ name: ask, steps: [{ query: { question: why } }] }]
"#;
    let seen = play(workload, 10, || {
        let from = Instant::now() + Duration::from_secs(4);
        let until = from + Duration::from_secs(2);
        Server::new(move |_| async move {
            if (from..until).contains(&Instant::now()) {
                tokio::time::sleep_until(until).await;
            }
            whole(200, "{}")
        })
    });
    assert_eq!((seen.all.requests(), seen.iterations["open"].dropped), (10_000, 0));
    // A fifth is delayed, evenly from 0 to 2 s: p(1 - 0.2 * (1 - x)) = 2x.
    for (quantile, expected) in [(0.9, 1.0), (0.95, 1.5), (0.99, 1.9)] {
        let measured = seen.all.response.quantile(quantile).expect("requests").as_secs_f64();
        assert!((measured / expected - 1.0).abs() < 0.01, "p{quantile}: {measured} s");
    }
    let mean = seen.all.response.mean().expect("requests").as_secs_f64();
    assert!((mean / 0.2 - 1.0).abs() < 0.01, "mean {mean} s");
    assert!(seen.lateness.quantile(0.99) <= Some(millis(2)), "{:?}", seen.lateness.quantile(0.99));
}
