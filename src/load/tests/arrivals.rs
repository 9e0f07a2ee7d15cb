//! The arrival process, as the server sees it.

use super::*;

fn workload(executor: &str) -> String {
    format!(
        r#"
think_time: {{ min: 0s, max: 0s }}
scenarios:
  - name: open
    service: rag
    {executor}
    flows: [{{ name: ask, steps: [{{ query: {{ question: why }} }}] }}]
"#
    )
}

fn at_once() -> Server {
    Server::new(|_| async { whole(200, "{}") })
}

/// Seconds between arrivals.
fn gaps(arrived: &[Duration]) -> Vec<f64> {
    arrived.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
}

#[test]
fn a_constant_rate_is_even() {
    let executor = "executor: constant-arrival-rate\n    rate: 200\n    duration: 60s\n    \
                    preAllocatedVUs: 10";
    let seen = play(&workload(executor), 60, at_once);
    assert_eq!(seen.arrived.len(), 12_000);
    let gaps = gaps(&seen.arrived);
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    let variation = variance.sqrt() / mean;
    assert!(variation < 0.05, "coefficient of variation {variation}");
    assert!((mean - 0.005).abs() < 1e-5, "mean gap {mean} s");
}

/// Kolmogorov and Smirnov's test of the gaps against the exponential distribution.
#[test]
fn poisson_arrivals_are_those_of_a_poisson_process() {
    // Slow enough that the whole milliseconds of the timer do not show.
    let executor = "executor: constant-arrival-rate\n    rate: 5\n    duration: 1000s\n    \
                    arrivals: poisson\n    preAllocatedVUs: 10\n    maxVUs: 50";
    let seen = play(&workload(executor), 1000, at_once);
    let mut gaps = gaps(&seen.arrived);
    gaps.sort_by(f64::total_cmp);
    let n = gaps.len() as f64;
    assert!((4750.0..5250.0).contains(&n), "{n} arrivals");
    let off = |(at, gap): (usize, &f64)| {
        let expected = 1.0 - (-5.0 * gap).exp();
        ((at as f64 / n) - expected).abs().max(((at + 1) as f64 / n - expected).abs())
    };
    let distance = gaps.iter().enumerate().map(off).fold(0.0, f64::max);
    // The critical value at 1 %.
    assert!(distance < 1.628 / n.sqrt(), "distance {distance} with {n} gaps");
}

#[test]
fn a_ramp_sends_the_area_below_it() {
    let executor = "executor: ramping-arrival-rate\n    startRate: 0\n    timeUnit: 1s\n    \
                    stages: [{ duration: 20s, target: 100 }, { duration: 0s, target: 20 }, \
                    { duration: 10s, target: 20 }]\n    preAllocatedVUs: 20";
    let seen = play_with(&workload(executor), 60, 3, at_once, |_| std::future::pending());
    assert_eq!(seen.arrived.len(), 1200, "planned 1000 + 200, on three threads");
    let before = seen.arrived.iter().filter(|at| **at < Duration::from_secs(10)).count();
    assert!((247..=253).contains(&before), "{before} in the first half of the ramp, 250 by theory");
    assert!(seen.lasted < Duration::from_secs(31), "over when the stages are over");
}

#[test]
fn what_finds_no_user_is_dropped_and_counted() {
    let executor = "executor: constant-arrival-rate\n    rate: 10\n    duration: 20s\n    \
                    preAllocatedVUs: 2\n    maxVUs: 4";
    let slow = || {
        Server::new(|_| async {
            tokio::time::sleep(millis(990)).await;
            whole(200, "{}")
        })
    };
    let seen = play(&workload(executor), 20, slow);
    let iterations = &seen.iterations["open"];
    assert_eq!(iterations.finished + iterations.dropped, 200, "planned");
    assert!((75..=84).contains(&iterations.finished), "four at a time: {}", iterations.finished);
    assert_eq!(seen.most_users, 4);
    let late = seen.lateness.max().expect("requests");
    assert!(late <= millis(2), "nothing waits in the generator: {late:?}");
}
