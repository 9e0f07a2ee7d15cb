//! What an engine says happens to its containers, with the moment at which it happened by our clock.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptions;
use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::run::event::MomentKind;

/// Happenings kept.
const KEPT: usize = 1000;
/// A stream that broke is opened again after this, from where it was.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What happened, to which container, when.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Id of the container.
    pub container: String,
    /// What.
    pub what: What,
    /// When.
    pub at: Instant,
}

/// What can happen to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A moment of a recovery.
    Moment(MomentKind),
    /// The kernel killed something in it for want of memory.
    OutOfMemory,
}

/// An engine's stream of events, for as long as this value lives.
pub struct Happenings {
    seen: Arc<Mutex<VecDeque<Happening>>>,
    task: AbortHandle,
}

impl Happenings {
    /// Listens to an engine whose clock is so far ahead of ours.
    pub fn of(docker: Docker, ahead: SignedDuration) -> Self {
        let seen = Arc::new(Mutex::new(VecDeque::new()));
        let task = tokio::spawn(listen(docker, ahead, Arc::clone(&seen))).abort_handle();
        Self { seen, task }
    }

    /// What happened to a container since then.
    pub fn since(&self, container: &str, since: Instant) -> Vec<Happening> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let own = seen.iter().filter(|one| one.container == container && one.at >= since);
        own.cloned().collect()
    }
}

impl Drop for Happenings {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(docker: Docker, ahead: SignedDuration, seen: Arc<Mutex<VecDeque<Happening>>>) {
    let mut from = Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX);
    loop {
        let filters: HashMap<String, Vec<String>> =
            [("type".to_owned(), vec!["container".to_owned()])].into();
        let since = format!("{}.{:09}", from.as_second(), from.subsec_nanosecond());
        let options = EventsOptions { since: Some(since), filters: Some(filters), until: None };
        let mut events = Box::pin(docker.events(Some(options)));
        while let Some(Ok(event)) = events.next().await {
            let nanoseconds = event.time_nano.map(i128::from);
            let said = nanoseconds.and_then(|of| Timestamp::from_nanosecond(of).ok());
            let Some(said) = said else { continue };
            // The first of a stream that was opened again is the last of the one before.
            from = said.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(said);
            if let Some((container, what)) = meaning(event) {
                let at = moment(said, ahead);
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() == KEPT {
                    seen.pop_front();
                }
                seen.push_back(Happening { container, what, at });
            }
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// A moment of an engine's clock as one of ours; never one that is still to come.
fn moment(said: Timestamp, ahead: SignedDuration) -> Instant {
    let ago = Timestamp::now().duration_since(said) + ahead;
    let ago = Duration::try_from(ago).unwrap_or_default();
    Instant::now().checked_sub(ago).unwrap_or_else(Instant::now)
}

fn meaning(event: EventMessage) -> Option<(String, What)> {
    let what = match event.action?.as_str() {
        "die" => What::Moment(MomentKind::Died),
        "start" => What::Moment(MomentKind::Started),
        "oom" => What::OutOfMemory,
        action if action.starts_with("health_status: healthy") => What::Moment(MomentKind::Healthy),
        _ => return None,
    };
    Some((event.actor?.id?, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_by_their_action() {
        let event = |action: &str| EventMessage {
            action: Some(action.into()),
            actor: Some(bollard::models::EventActor { id: Some("c1".into()), attributes: None }),
            ..EventMessage::default()
        };
        let what = |action| meaning(event(action)).map(|(_, what)| what);
        assert_eq!(what("die"), Some(What::Moment(MomentKind::Died)));
        assert_eq!(what("health_status: healthy"), Some(What::Moment(MomentKind::Healthy)));
        assert_eq!(what("health_status: unhealthy"), None);
        assert_eq!(what("exec_die"), None);
    }

    #[tokio::test]
    async fn another_clock_does_not_move_a_moment() {
        let ahead = SignedDuration::from_secs(90);
        let said = Timestamp::now() + ahead - SignedDuration::from_secs(2);
        let at = moment(said, ahead);
        let ago = at.elapsed();
        assert!((1900..2500).contains(&ago.as_millis()), "{ago:?}");
        assert!(
            moment(Timestamp::now() + SignedDuration::from_secs(5), SignedDuration::ZERO)
                <= Instant::now()
        );
    }
}
