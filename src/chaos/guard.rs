//! Watches what must not change: every protected target is looked at each second, whatever the
//! course of an experiment is doing at that moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::course::Interrupt;
use super::runtime::{Runtime, Target};
use crate::run::event::{ChaosEvent, EventBody};
use crate::run::recorder::EventSink;

/// How often protected targets are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many looks in a row that were not answered are blindness, and nothing is broken blindly.
const BLIND_AFTER: u32 = 5;

/// The watch over protected targets; it ends when this value is dropped.
pub struct Guard {
    alarm: watch::Receiver<Option<Interrupt>>,
    task: AbortHandle,
}

impl Guard {
    /// Watches these targets; what they are now is what they have to stay.
    pub fn watch(runtime: Arc<dyn Runtime>, protected: Vec<Target>, events: EventSink) -> Self {
        let (sender, alarm) = watch::channel(None);
        let task = tokio::spawn(look_on(runtime, protected, events, sender)).abort_handle();
        Self { alarm, task }
    }

    /// Waits until something is wrong; at once when it was before. Cancel-safe.
    pub async fn alarm(&mut self) -> Interrupt {
        match self.alarm.wait_for(Option::is_some).await.map(|alarm| alarm.clone()) {
            Ok(Some(alarm)) => alarm,
            _ => std::future::pending().await,
        }
    }

    /// What changed, if anything did.
    pub fn disturbed(&self) -> Vec<String> {
        match &*self.alarm.borrow() {
            Some(Interrupt::Disturbed(what)) => vec![what.clone()],
            _ => Vec::new(),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look_on(
    runtime: Arc<dyn Runtime>,
    protected: Vec<Target>,
    events: EventSink,
    alarm: watch::Sender<Option<Interrupt>>,
) {
    let mut seconds = interval(LOOK_EVERY);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unanswered = 0;
    loop {
        seconds.tick().await;
        let mut came = None;
        for target in &protected {
            match timeout(LOOK_EVERY * BLIND_AFTER, runtime.look(target)).await {
                Ok(Ok(now)) => {
                    if let Some(change) = target.instance.change(&now) {
                        let what = format!("{} {change}", target.name);
                        let event = ChaosEvent::ProtectedDisturbed { what: what.clone() };
                        events.emit(EventBody::Chaos(event));
                        alarm.send_replace(Some(Interrupt::Disturbed(what)));
                        return;
                    }
                }
                Ok(Err(error)) => came = Some(error.to_string()),
                Err(_) => {
                    came = Some(format!("the {} runtime does not answer", runtime.name()));
                    unanswered = BLIND_AFTER;
                }
            }
        }
        unanswered = if came.is_some() { unanswered + 1 } else { 0 };
        if let Some(came) = came.filter(|_| unanswered >= BLIND_AFTER) {
            alarm.send_replace(Some(Interrupt::Blind(came)));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::runtime::Instance;
    use crate::chaos::runtime::told::{Told, serving};
    use crate::config::ServiceKind;
    use crate::run::clock::RunClock;

    async fn alarm_after(change: Result<Instance, String>) -> Option<Interrupt> {
        let was = Instance { pid: Some(7), healthy: Some(true), ..Instance::default() };
        let store = Target { instance: was, protected: true, ..serving(ServiceKind::Rag) };
        let told = Arc::new(Told::default());
        let mut guard =
            Guard::watch(told.clone(), vec![store], EventSink::in_memory(RunClock::start()));
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(guard.alarm.borrow().is_none(), "nothing has changed yet");
        told.show([change]);
        timeout(Duration::from_secs(30), guard.alarm()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn any_change_of_a_protected_target_is_an_alarm() {
        let was = Instance { pid: Some(7), healthy: Some(true), ..Instance::default() };
        assert_eq!(alarm_after(Ok(was.clone())).await, None);
        for change in [
            Instance { pid: Some(8), ..was.clone() },
            Instance { pid: None, ..was.clone() },
            Instance { restarts: 1, ..was.clone() },
            Instance { healthy: Some(false), ..was.clone() },
            Instance { gone: true, ..Instance::default() },
        ] {
            let alarm = alarm_after(Ok(change.clone())).await;
            assert!(matches!(alarm, Some(Interrupt::Disturbed(_))), "{change:?}: {alarm:?}");
        }
        let alarm = alarm_after(Err("what came".into())).await;
        assert_eq!(alarm, Some(Interrupt::Blind("what came".into())));
    }
}
