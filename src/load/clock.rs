//! What the generator's clock can tell apart.

use std::time::Duration;

use tokio::time::Instant;

use super::alarm::{self, Alarm};
use crate::run::event::ClockFloor;

const READS: u32 = 1000;
const TIMERS: usize = 11;
/// A timer that is asked for between two of its own beats, as most are.
const AHEAD: Duration = Duration::from_micros(1500);

/// Measures the clock: it takes about 30 ms. The timer is the alarm of open models where nothing else
/// is timed, or tokio's.
pub async fn floor(all_open: bool) -> ClockFloor {
    let alarm = if all_open { Alarm::new().ok() } else { None };
    let began = std::time::Instant::now();
    for _ in 0..READS {
        std::hint::black_box(std::time::Instant::now());
    }
    let read = began.elapsed() / READS;
    let mut late = Vec::with_capacity(TIMERS);
    for _ in 0..TIMERS {
        let due = Instant::now() + AHEAD;
        alarm::until(alarm.as_ref(), due).await;
        late.push(due.elapsed());
    }
    late.sort_unstable();
    ClockFloor {
        read_ns: read.as_nanos().clamp(1, u128::from(u32::MAX)) as u32,
        timer_us: late[TIMERS / 2].as_micros().min(u128::from(u32::MAX)) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In virtual time nothing keeps a timer waiting but its own millisecond.
    #[tokio::test(start_paused = true)]
    async fn the_floor_of_a_timer_is_its_resolution() {
        let floor = floor(false).await;
        assert!(floor.timer_us <= 1000, "{floor:?}");
        assert!(floor.read_ns > 0, "{floor:?}");
    }
}
