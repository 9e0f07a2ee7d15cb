//! The reaper of kills: what stays down after the engine that killed it is gone is started again.

use std::io;
use std::time::{Duration, Instant};

use crate::chaos::runtime::docker::Then;

/// How often the container is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits for a container to come up by itself for so long, and starts it then.
///
/// # Errors
/// When it is there and does not start.
pub fn until_up(then: &Then, length: Duration) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let until = Instant::now() + length;
        // Its restart policy comes first; an engine that does not answer may do so later.
        while Instant::now() < until {
            if then.is_up_or_gone().await.unwrap_or(false) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        then.start_if_down().await.map_err(io::Error::other)
    })
}
