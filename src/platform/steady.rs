//! When the platform is steady again: every service has answered three health checks in a row, and
//! the slowest of its last three answers is not slower than twice the fastest (or than 50 ms).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::health::{AskHealth, HealthAnswer};
use crate::config::ServiceKind;

/// Time between two rounds of health checks.
const EVERY: Duration = Duration::from_secs(1);
/// Good answers in a row.
const IN_A_ROW: usize = 3;
/// Differences below this are noise.
const NOISE: Duration = Duration::from_millis(50);

/// How waiting for a steady platform ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steady {
    /// Whether it is steady.
    pub steady: bool,
    /// Why the wait ended, in words.
    pub reason: String,
}

/// The last good answers of every service.
#[derive(Debug, Default)]
pub struct SteadyState(BTreeMap<ServiceKind, VecDeque<Duration>>);

impl SteadyState {
    /// Takes a round of answers in and says whether the platform is steady now.
    pub fn observe(&mut self, answers: &[(ServiceKind, HealthAnswer)]) -> bool {
        for (service, answer) in answers {
            let latencies = self.0.entry(*service).or_default();
            if !answer.healthy {
                latencies.clear();
                continue;
            }
            if latencies.len() == IN_A_ROW {
                latencies.pop_front();
            }
            latencies.push_back(answer.latency);
        }
        self.0.values().all(is_steady)
    }

    /// The services that are not steady, in words.
    fn unsteady(&self) -> String {
        let unsteady = self.0.iter().filter(|(_, latencies)| !is_steady(latencies));
        unsteady.map(|(service, _)| service.name()).collect::<Vec<_>>().join(", ")
    }
}

fn is_steady(latencies: &VecDeque<Duration>) -> bool {
    let fastest = latencies.iter().min().copied().unwrap_or_default();
    let slowest = latencies.iter().max().copied().unwrap_or_default();
    latencies.len() == IN_A_ROW && slowest <= (fastest * 2).max(NOISE)
}

/// Asks until the platform is steady or `max` is over; `each` sees every round of answers.
pub async fn wait_until_steady(
    probe: &impl AskHealth,
    max: Duration,
    mut each: impl FnMut(&[(ServiceKind, HealthAnswer)]) + Send,
) -> Steady {
    let began = Instant::now();
    let mut state = SteadyState::default();
    let rounds = async {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answers = probe.ask_all().await;
            each(&answers);
            if state.observe(&answers) {
                return;
            }
        }
    };
    let ended = tokio::time::timeout(max, rounds).await;
    let seconds = began.elapsed().as_secs_f64();
    match ended {
        Ok(()) => Steady { steady: true, reason: format!("steady after {seconds:.0} s") },
        Err(_) => {
            let reason = format!("not steady within {seconds:.0} s: {}", state.unsteady());
            Steady { steady: false, reason }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Scripted(Mutex<VecDeque<(bool, u64)>>);

    impl AskHealth for Scripted {
        async fn ask_all(&self) -> Vec<(ServiceKind, HealthAnswer)> {
            let (healthy, ms) =
                self.0.lock().expect("not poisoned").pop_front().unwrap_or((true, 10));
            let latency = Duration::from_millis(ms);
            vec![(ServiceKind::Chat, HealthAnswer { healthy, latency, detail: String::new() })]
        }
    }

    async fn wait(script: &[(bool, u64)], max_secs: u64) -> (Steady, u64, usize) {
        let probe = Scripted(Mutex::new(script.iter().copied().collect()));
        let began = Instant::now();
        let mut rounds = 0;
        let steady =
            wait_until_steady(&probe, Duration::from_secs(max_secs), |_| rounds += 1).await;
        (steady, began.elapsed().as_secs(), rounds)
    }

    #[tokio::test(start_paused = true)]
    async fn three_good_answers_end_the_wait_early() {
        let (steady, seconds, rounds) = wait(&[], 30).await;
        assert!(steady.steady);
        assert_eq!((seconds, rounds), (2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_or_a_slow_answer_starts_over() {
        let (steady, seconds, _) =
            wait(&[(true, 10), (false, 10), (true, 10), (true, 900)], 30).await;
        assert!(steady.steady);
        assert_eq!(seconds, 6);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_ends_at_its_limit_and_names_who_is_not_steady() {
        let (steady, seconds, _) = wait(&[(false, 10); 100], 5).await;
        assert!(!steady.steady && steady.reason.contains("chat"), "{}", steady.reason);
        assert_eq!(seconds, 5);
    }
}
