//! Servers whose times follow a known distribution: what is measured is what the server took by its
//! own clock, and what theory says.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp};

use super::*;

const WORKLOAD: &str = r#"
think_time: { min: 0s, max: 0s }
scenarios:
  - name: open
    service: rag
    executor: constant-arrival-rate
    rate: 200
    duration: 100s
    preAllocatedVUs: 50
    maxVUs: 1000
    flows: [{ name: ask, steps: [{ query: { question: why } }] }]
"#;

/// Percentiles as measured and as the server knows them, in seconds.
struct Compared {
    measured: Histogram,
    truth: Vec<Duration>,
}

/// Requests to a server that takes what is drawn.
fn compare(draw: impl Fn(&mut StdRng) -> Duration + 'static) -> Compared {
    let truth: Rc<RefCell<Vec<Duration>>> = Rc::default();
    let told = Rc::clone(&truth);
    let seen = play(WORKLOAD, 100, move || {
        let random = Rc::new(RefCell::new(StdRng::seed_from_u64(7)));
        let draw = Rc::new(draw);
        Server::new(move |_| {
            let takes = draw(&mut random.borrow_mut());
            let told = Rc::clone(&told);
            async move {
                let came = Instant::now();
                tokio::time::sleep(takes).await;
                told.borrow_mut().push(came.elapsed());
                whole(200, "{}")
            }
        })
    });
    assert_eq!((seen.all.requests(), seen.all.failed()), (20_000, 0));
    let mut truth = truth.take();
    truth.sort_unstable();
    Compared { measured: seen.all.service_time, truth }
}

impl Compared {
    fn measured(&self, quantile: f64) -> f64 {
        self.measured.quantile(quantile).expect("requests").as_secs_f64()
    }

    /// Every quantile within 0.2 ms and 0.1 % of what the server took, which is the histogram's
    /// resolution.
    fn is_what_the_server_took(&self) {
        assert_eq!(self.truth.len(), 20_000);
        for quantile in [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0] {
            let at = (quantile * self.truth.len() as f64).ceil() as usize - 1;
            let (truth, measured) = (self.truth[at].as_secs_f64(), self.measured(quantile));
            let off = (measured - truth).abs();
            assert!(off <= 0.0002 + truth * 0.001, "p{quantile}: {measured} s for {truth} s");
        }
    }

    /// As theory has it, but for the timer's millisecond and the sample's own error.
    fn is_about(&self, quantile: f64, theory: f64, error: f64) {
        let measured = self.measured(quantile);
        let off = (measured - theory).abs();
        assert!(off <= 0.001 + theory * error, "p{quantile}: {measured} s for {theory} s");
    }
}

#[test]
fn a_fixed_time() {
    let compared = compare(|_| millis(20));
    compared.is_what_the_server_took();
    for quantile in [0.01, 0.5, 0.999, 1.0] {
        compared.is_about(quantile, 0.020, 0.001);
    }
}

#[test]
fn two_modes() {
    let compared = compare(|random| millis(if random.random_bool(0.9) { 5 } else { 100 }));
    compared.is_what_the_server_took();
    // A binomial with 20 000 draws is within 1 % of its nine tenths.
    for (quantile, theory) in [(0.5, 0.005), (0.88, 0.005), (0.92, 0.100), (0.999, 0.100)] {
        compared.is_about(quantile, theory, 0.001);
    }
}

#[test]
fn an_exponential_time() {
    const MEAN: f64 = 0.040;
    let times = Exp::new(1.0 / MEAN).expect("a rate");
    let compared = compare(move |random| Duration::from_secs_f64(times.sample(random)));
    compared.is_what_the_server_took();
    // A quantile's standard error is the mean times sqrt(q / (1 - q) / n); three of them.
    for quantile in [0.5, 0.9, 0.99, 0.999_f64] {
        let theory = -MEAN * (1.0 - quantile).ln();
        let error = 3.0 * MEAN * (quantile / (1.0 - quantile) / 20_000.0).sqrt();
        compared.is_about(quantile, theory, error / theory);
    }
}
