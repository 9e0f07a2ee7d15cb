//! How long a user waits for an answer: one timer for all its requests.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A timer that is moved only when it rings too early. Setting one anew for every request would cost
/// more than most of what else a request costs here.
#[derive(Default)]
pub struct Patience(Option<Pin<Box<Sleep>>>);

impl Patience {
    /// Works for at most so long after `began`; none when the time was over first.
    pub async fn within<F: Future>(
        &mut self,
        began: Instant,
        limit: Duration,
        work: F,
    ) -> Option<F::Output> {
        let Some(deadline) = began.checked_add(limit) else { return Some(work.await) };
        let timer = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            while timer.as_mut().poll(context).is_ready() {
                if timer.deadline() >= deadline {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_has_its_own_limit_whatever_the_one_before_had() {
        let mut patience = Patience::default();
        for (limit, takes, in_time) in
            [(100, 30, true), (100, 99, true), (20, 50, false), (500, 400, true), (50, 60, false)]
        {
            let began = Instant::now();
            let work = tokio::time::sleep(millis(takes));
            let done = patience.within(began, millis(limit), work).await;
            assert_eq!(done.is_some(), in_time, "{takes} of {limit} ms");
            assert_eq!(began.elapsed(), millis(takes.min(limit)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_waits_as_long_as_it_takes() {
        let work = tokio::time::sleep(Duration::from_secs(86_400));
        assert!(Patience::default().within(Instant::now(), Duration::MAX, work).await.is_some());
    }
}
