//! How long a user waits for an answer: one timer for all its requests.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A timer that rings later than this was kept waiting by this machine.
const LATE: Duration = Duration::from_millis(20);

/// A timer that is moved only when it rings too early. Setting one anew for every request would cost
/// more than most of what else a request costs here.
#[derive(Default)]
pub struct Patience(Option<Pin<Box<Sleep>>>);

impl Patience {
    /// Works for at most so long after `began`; none when the time was over first. Where the thread slept
    /// as it ended, the answer may be there and not have been heard: what was slept, but no more than the
    /// limit, is given back, once.
    pub async fn within<F: Future>(
        &mut self,
        began: Instant,
        limit: Duration,
        work: F,
    ) -> Option<F::Output> {
        let Some(mut deadline) = began.checked_add(limit) else { return Some(work.await) };
        let timer = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        let mut work = pin!(work);
        let mut was_late = false;
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            while timer.as_mut().poll(context).is_ready() {
                if timer.deadline() >= deadline {
                    let slept = deadline.elapsed();
                    if was_late || slept <= LATE {
                        return Poll::Ready(None);
                    }
                    was_late = true;
                    deadline += slept + slept.min(limit);
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

    /// Answers after so long, of which its thread hears only when it has looked at the others.
    async fn answers_after(takes: u64) {
        tokio::time::sleep(millis(takes)).await;
        tokio::task::yield_now().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_came_while_the_thread_slept_is_in_time_and_none_is_not() {
        let sleeps = || async {
            tokio::time::sleep(millis(10)).await;
            tokio::time::advance(millis(3000)).await;
        };
        for (takes, is_heard, ends) in [(50, true, 3010), (9999, false, 3110)] {
            let (began, mut patience) = (Instant::now(), Patience::default());
            let asking = patience.within(began, millis(100), answers_after(takes));
            let (done, ()) = tokio::join!(asking, sleeps());
            assert_eq!(done.is_some(), is_heard, "{takes} ms");
            let took = began.elapsed();
            assert!(took >= millis(ends) && took <= millis(ends + 2), "{takes} ms: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_rings_in_time_gives_nothing_back() {
        let began = Instant::now();
        let asked = Patience::default().within(began, millis(100), answers_after(100)).await;
        assert!(asked.is_none(), "it is heard a moment too late");
        assert!(began.elapsed() <= millis(101), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_waits_as_long_as_it_takes() {
        let work = tokio::time::sleep(Duration::from_secs(86_400));
        assert!(Patience::default().within(Instant::now(), Duration::MAX, work).await.is_some());
    }
}
