//! The canary writer: one numbered record after the other, from before the backup until the disaster.
//! What comes back of them says how much time's worth of data a disaster costs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::gate::Gate;
use crate::backup::dataset::Dataset;
use crate::backup::stores::{DrillError, DrillStore};

/// Canaries that are kept in memory at most; later ones are not written.
const MOST: usize = 100_000;

/// Writes canaries until it is stopped.
pub struct CanaryWriter {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Written>,
}

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// The canaries that the store acknowledged: number, and when its writing began.
    pub acknowledged: Vec<(u64, Instant)>,
    /// Canaries that it refused, or did not answer for: they may be there or not.
    pub failed: u64,
}

impl CanaryWriter {
    /// Writes the first canary, and goes on with one an interval.
    ///
    /// # Errors
    /// When the first one is not taken.
    pub async fn start(
        store: Arc<dyn DrillStore>,
        interval: Duration,
        gate: Gate,
    ) -> Result<Self, DrillError> {
        let mut written = Written::default();
        let begun = Instant::now();
        write(&*store, 1).await?;
        written.acknowledged.push((1, begun));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(go_on(store, interval, gate, written, stopped));
        Ok(Self { stop, task })
    }

    /// Stops it after the canary that is under way.
    pub async fn stop(self) -> Written {
        let _ = self.stop.send(());
        self.task.await.unwrap_or_default()
    }
}

async fn write(store: &dyn DrillStore, sequence: u64) -> Result<(), DrillError> {
    let now_ms = jiff::Timestamp::now().as_millisecond();
    store.write(&[Dataset::canary(store.kind(), sequence, now_ms)]).await
}

async fn go_on(
    store: Arc<dyn DrillStore>,
    interval: Duration,
    gate: Gate,
    mut written: Written,
    mut stopped: oneshot::Receiver<()>,
) -> Written {
    let mut sequence = 1;
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => return written,
            _ = ticks.tick() => {}
        }
        if gate.is_closed() || sequence as usize >= MOST {
            continue;
        }
        sequence += 1;
        let begun = Instant::now();
        match write(&*store, sequence).await {
            Ok(()) => written.acknowledged.push((sequence, begun)),
            Err(_) => written.failed += 1,
        }
    }
}

impl Written {
    /// Time from the last canary up to which all acknowledged ones came back to the disaster; none
    /// when not even the first one did.
    pub fn lost_before(&self, recovered: &BTreeSet<u64>, disaster: Instant) -> Option<Duration> {
        let whole = self.acknowledged.iter().take_while(|(number, _)| recovered.contains(number));
        whole.last().map(|(_, at)| disaster.saturating_duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_loss_counts_from_the_last_canary_before_a_gap() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let acknowledged = [1, 2, 3, 4, 6].map(|number| (number, at(number - 1))).to_vec();
        let written = Written { acknowledged, failed: 1 };
        let lost = |back: &[u64]| written.lost_before(&back.iter().copied().collect(), at(10));
        assert_eq!(
            lost(&[1, 2, 3, 4, 6]),
            Some(Duration::from_secs(5)),
            "5 was never acknowledged"
        );
        assert_eq!(lost(&[1, 2, 4, 6]), Some(Duration::from_secs(9)));
        assert_eq!(lost(&[2, 3]), None);
    }
}
