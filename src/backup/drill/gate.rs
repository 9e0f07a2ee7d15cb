//! Where the drills of all stores hold during a pause, and where they learn that they have to end.

use tokio::sync::watch;

use crate::backup::stores::{DrillError, Ending};
use crate::run::event::Verdict;

/// What is wanted of the drills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Work.
    Work,
    /// Hold where nothing is half done.
    Hold,
    /// Clean, and end.
    End(Ending),
}

/// Handed to every drill. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    wanted: watch::Receiver<Wanted>,
    at_work: watch::Sender<u32>,
}

/// The phase's end.
pub struct Gatekeeper {
    wanted: watch::Sender<Wanted>,
    at_work: watch::Receiver<u32>,
}

/// One that is at work; while it lives, a pause is not complete.
pub struct AtWork(watch::Sender<u32>);

impl AtWork {
    fn on(at_work: &watch::Sender<u32>) -> Self {
        at_work.send_modify(|count| *count += 1);
        Self(at_work.clone())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// A gate that is open, and who keeps it.
pub fn gate() -> (Gatekeeper, Gate) {
    let (wanted_sender, wanted) = watch::channel(Wanted::Work);
    let (at_work, at_work_receiver) = watch::channel(0);
    let keeper = Gatekeeper { wanted: wanted_sender, at_work: at_work_receiver };
    (keeper, Gate { wanted, at_work })
}

impl Gatekeeper {
    /// Says what is wanted from now on.
    pub fn want(&self, wanted: Wanted) {
        self.wanted.send_replace(wanted);
    }

    /// Waits until nobody is at work. Cancel-safe.
    pub async fn all_hold(&mut self) {
        // No gate is left: nobody is at work.
        let _ = self.at_work.wait_for(|count| *count == 0).await;
    }
}

impl Gate {
    /// A point at which everything can hold: nothing is half done.
    ///
    /// # Errors
    /// When everything is to end.
    pub async fn pass(&mut self, at_work: &mut Option<AtWork>) -> Result<(), DrillError> {
        self.check()?;
        if self.is_closed() {
            *at_work = None;
            self.open().await?;
        }
        at_work.get_or_insert_with(|| AtWork::on(&self.at_work));
        Ok(())
    }

    async fn open(&mut self) -> Result<(), DrillError> {
        let open = self.wanted.wait_for(|wanted| *wanted != Wanted::Hold).await;
        // The borrowed state must not be held while it is asked again.
        drop(open);
        self.check()
    }

    /// Whether everything is to hold.
    pub fn is_closed(&self) -> bool {
        *self.wanted.borrow() == Wanted::Hold
    }

    /// How everything is to end, if it is.
    fn over(&self) -> Option<Ending> {
        match &*self.wanted.borrow() {
            Wanted::End(ending) => Some(ending.clone()),
            // A phase that is gone wants everything to end.
            _ if self.wanted.has_changed().is_err() => {
                Some(Ending { verdict: Verdict::Aborted, by: "ended with its phase".into() })
            }
            Wanted::Work | Wanted::Hold => None,
        }
    }

    /// Waits until everything is to end. Cancel-safe.
    pub async fn closed(&mut self) -> DrillError {
        loop {
            if let Err(error) = self.check() {
                return error;
            }
            // Whatever has come, the end of the phase too, is looked at above.
            let _ = self.wanted.changed().await;
        }
    }

    /// For the middle of a step: it can end there, but not hold.
    ///
    /// # Errors
    /// When everything is to end.
    pub fn check(&self) -> Result<(), DrillError> {
        self.over().map_or(Ok(()), |ending| Err(DrillError::Ended(ending)))
    }
}
