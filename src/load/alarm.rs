//! A timer finer than tokio's, which counts whole milliseconds: the kernel's own, as a descriptor that
//! the thread's loop waits for like any other. Arrivals of an open model are sent by it, so that what is
//! measured from their intended start has no half millisecond of the generator's in it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// Nothing is woken for less: arrivals that lie closer together are sent together, so that a high rate
/// costs no more than twenty thousand wakes a second.
const FINEST: Duration = Duration::from_micros(50);

/// The timer of one thread.
#[derive(Debug)]
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// A timer of the current runtime, which has to watch descriptors.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    #[expect(
        deprecated,
        reason = "what it warns of are types whose descriptor changes: an OwnedFd's does not, and its \
                  successor is unsafe to call"
    )]
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(AsyncFd::new(timer)?))
    }

    /// Waits until an instant. Cancel-safe; for one at a time.
    ///
    /// # Errors
    /// When the kernel refuses the timer.
    pub async fn until(&self, at: Instant) -> io::Result<()> {
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.set(left.max(FINEST))?;
            let mut ready = self.0.readable().await?;
            // What is read is of no interest: how many times it rang, or that it was set anew since.
            let _ = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0; 8])?));
        }
    }

    fn set(&self, after: Duration) -> io::Result<()> {
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let after = Timespec {
            tv_sec: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: after.subsec_nanos().into(),
        };
        let once = Itimerspec { it_interval: never, it_value: after };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

/// Waits until an instant by an alarm, or by tokio's timer where there is none (in virtual time, which
/// the kernel does not know).
pub async fn until(alarm: Option<&Alarm>, at: Instant) {
    if let Some(alarm) = alarm
        && alarm.until(at).await.is_ok()
    {
        return;
    }
    tokio::time::sleep_until(at).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never early, however often it is set anew; how late is a matter of the machine.
    #[test]
    fn it_rings_at_its_time_and_not_before() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("runtime").block_on(async {
            let alarm = Alarm::new().expect("a descriptor");
            let mut late = Vec::new();
            for _ in 0..50 {
                // A wait that was given up leaves nothing behind.
                let given_up = alarm.until(Instant::now() + Duration::from_micros(200));
                let _ = tokio::time::timeout(Duration::ZERO, given_up).await;
                let at = Instant::now() + Duration::from_micros(1500);
                alarm.until(at).await.expect("a timer");
                late.push(Instant::now().checked_duration_since(at).expect("not early"));
            }
            late.sort_unstable();
            // tokio's own counts whole milliseconds, and is half of one late here at best.
            assert!(late[0] < Duration::from_micros(300), "finer than a millisecond: {late:?}");
        });
    }
}
