//! A single server with a queue (M/D/1): what is measured is Lindley's recursion over the arrivals
//! that really happened, and near the formula of Pollaczek and Khinchine.

use std::cell::Cell;

use super::*;

/// Time that the server takes for one request.
const SERVICE: Duration = millis(10);

/// Serves one request after the other, in the order in which they came.
fn one_at_a_time() -> Server {
    let free_at = Rc::new(Cell::new(Instant::now()));
    Server::new(move |_| {
        let done = free_at.get().max(Instant::now()) + SERVICE;
        free_at.set(done);
        async move {
            tokio::time::sleep_until(done).await;
            whole(200, "{}")
        }
    })
}

/// Response times of requests that came at these times, in seconds.
fn lindley(arrivals: &[Duration]) -> Vec<f64> {
    let service = SERVICE.as_secs_f64();
    let mut free_at = 0.0_f64;
    arrivals
        .iter()
        .map(|at| {
            free_at = free_at.max(at.as_secs_f64()) + service;
            free_at - at.as_secs_f64()
        })
        .collect()
}

fn load_of(load: f64) {
    let rate = load / SERVICE.as_secs_f64();
    let workload = format!(
        r#"
think_time: {{ min: 0s, max: 0s }}
scenarios:
  - name: queue
    service: rag
    executor: constant-arrival-rate
    rate: {rate}
    duration: 1000s
    arrivals: poisson
    preAllocatedVUs: 50
    maxVUs: 2000
    flows: [{{ name: ask, steps: [{{ query: {{ question: why }} }}] }}]
"#
    );
    let seen = play(&workload, 1000, one_at_a_time);
    let mut expected = lindley(&seen.arrived);
    let mean = expected.iter().sum::<f64>() / expected.len() as f64;
    expected.sort_by(f64::total_cmp);
    assert_eq!(seen.all.requests(), expected.len() as u64);
    assert_eq!(seen.iterations["queue"].dropped, 0);
    let off = |measured: Option<Duration>, expected: f64| {
        // A timer fires up to a millisecond late at either end.
        let measured = measured.expect("requests").as_secs_f64();
        assert!(
            (measured - expected).abs() <= 0.002 + expected * 0.01,
            "at a load of {load}: measured {measured} s, expected {expected} s"
        );
    };
    off(seen.all.response.mean(), mean);
    for quantile in [0.5, 0.9, 0.99] {
        let at = (quantile * expected.len() as f64).ceil() as usize - 1;
        off(seen.all.response.quantile(quantile), expected[at]);
    }
    // W = s + load * s / (2 (1 - load)); the sample's own error is larger at a high load.
    let service = SERVICE.as_secs_f64();
    let formula = service + load * service / (2.0 * (1.0 - load));
    let tolerance = if load > 0.9 { 0.3 } else { 0.1 };
    assert!((mean / formula - 1.0).abs() < tolerance, "load {load}: {mean} s for {formula} s");
}

#[test]
fn a_queue_is_measured_as_theory_has_it() {
    for load in [0.5, 0.8, 0.95] {
        load_of(load);
    }
}
