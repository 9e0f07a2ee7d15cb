//! Time of a run: monotonic, and a plan clock that stands still during a pause.

use std::time::Duration;

use tokio::time::Instant;

/// Monotonic time since the run was created. Under tokio's paused clock it stands still with it.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    origin: Instant,
}

impl RunClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// Time at work: like a stopwatch that is held during a pause, so that no backlog is charged to
/// the target.
#[derive(Clone, Copy, Debug)]
pub struct PlanClock {
    /// When it would have been started, had there been no pause.
    origin: Instant,
    held_at: Option<Instant>,
}

impl PlanClock {
    /// A clock that runs from now.
    pub fn start() -> Self {
        Self { origin: Instant::now(), held_at: None }
    }

    /// Time at work.
    pub fn elapsed(&self) -> Duration {
        self.held_at.unwrap_or_else(Instant::now).saturating_duration_since(self.origin)
    }

    /// Stops the clock; a second call changes nothing.
    pub fn hold(&mut self) {
        self.held_at.get_or_insert_with(Instant::now);
    }

    /// Lets the clock run again.
    pub fn release(&mut self) {
        if let Some(held_at) = self.held_at.take() {
            self.origin += held_at.elapsed();
        }
    }

    /// Whether it stands still.
    pub const fn is_held(&self) -> bool {
        self.held_at.is_some()
    }

    /// The instant at which the clock will show `time`, if it is not held until then.
    pub fn instant_at(&self, time: Duration) -> Instant {
        self.origin + time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_does_not_count() {
        let mut clock = PlanClock::start();
        tokio::time::advance(Duration::from_secs(3)).await;
        clock.hold();
        clock.hold();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.elapsed(), Duration::from_secs(3));
        clock.release();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.elapsed(), Duration::from_secs(5));
        assert_eq!(clock.instant_at(Duration::from_secs(5)), Instant::now());
    }
}
