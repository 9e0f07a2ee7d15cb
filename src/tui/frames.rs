//! When to draw: keys at once, data at most once a second, never faster than the cap, and not at all
//! when nothing changed.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two frames that only bring new data.
const DATA_EVERY: Duration = Duration::from_secs(1);

/// When the next frame is due.
#[derive(Clone, Copy, Debug)]
pub struct FrameSchedule {
    shortest: Duration,
    last: Option<Instant>,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Nothing,
    Data,
    Now,
}

impl FrameSchedule {
    /// A schedule with at most so many frames per second; the first frame is due at once.
    pub fn new(fps: u8) -> Self {
        let shortest = Duration::from_secs(1) / u32::from(fps.clamp(1, 60));
        Self { shortest, last: None, wanted: Wanted::Now }
    }

    /// Something changed that can wait for the next data frame.
    pub fn data_changed(&mut self) {
        self.wanted = self.wanted.max(Wanted::Data);
    }

    /// Something changed that the operator waits for.
    pub fn draw_now(&mut self) {
        self.wanted = Wanted::Now;
    }

    /// When to draw; none while nothing changed.
    pub fn due(&self) -> Option<Instant> {
        let after = match self.wanted {
            Wanted::Nothing => return None,
            Wanted::Data => DATA_EVERY,
            Wanted::Now => self.shortest,
        };
        Some(self.last.map_or_else(Instant::now, |last| last + after))
    }

    /// A frame was drawn.
    pub fn drawn(&mut self) {
        self.last = Some(Instant::now());
        self.wanted = Wanted::Nothing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn frames(schedule: &mut FrameSchedule, until: Duration) -> u32 {
        let end = Instant::now() + until;
        let mut drawn = 0;
        while let Some(due) = schedule.due().filter(|due| *due <= end) {
            tokio::time::sleep_until(due).await;
            schedule.drawn();
            drawn += 1;
        }
        tokio::time::sleep_until(end).await;
        drawn
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_new_is_not_drawn() {
        let mut schedule = FrameSchedule::new(10);
        assert_eq!(frames(&mut schedule, Duration::from_secs(60)).await, 1, "the first frame only");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_data_is_one_frame_and_a_key_does_not_wait_for_it() {
        let mut schedule = FrameSchedule::new(10);
        frames(&mut schedule, Duration::from_millis(300)).await;
        (0..1000).for_each(|_| schedule.data_changed());
        assert_eq!(frames(&mut schedule, Duration::from_millis(600)).await, 0);
        schedule.draw_now();
        assert_eq!(schedule.due().map(|due| due <= Instant::now()), Some(true), "at once");
        assert_eq!(frames(&mut schedule, Duration::from_secs(5)).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_held_down_stay_below_the_cap() {
        let mut schedule = FrameSchedule::new(10);
        let mut drawn = 0;
        for _ in 0..1000 {
            schedule.draw_now();
            drawn += frames(&mut schedule, Duration::from_millis(10)).await;
        }
        assert!((99..=101).contains(&drawn), "{drawn} frames in 10 s");
    }
}
