//! Documents that the load writes: every id carries the run, is on record in the journal before it is
//! used, and is removed again.

use std::sync::atomic::{AtomicU64, Ordering};

/// Ids announced at a time.
const BLOCK: u64 = 1000;

/// The documents of one phase. Ids are a prefix and a counter, so memory is flat, and whoever knows
/// the last announced number can remove them all.
#[derive(Debug)]
pub struct Documents {
    prefix: String,
    next: AtomicU64,
    announced: AtomicU64,
}

impl Documents {
    /// The documents of a phase of a run; none is announced yet.
    pub fn new(run_id: &str, phase: &str) -> Self {
        Self {
            prefix: format!("shakedown-{run_id}-{phase}"),
            next: AtomicU64::new(0),
            announced: AtomicU64::new(0),
        }
    }

    /// The next block to announce, as first and last number, when ids run short. Record it, then call
    /// [`Self::announced`].
    pub fn block_to_announce(&self) -> Option<(u64, u64)> {
        let announced = self.announced.load(Ordering::Acquire);
        let short = self.next.load(Ordering::Relaxed) + BLOCK / 2 >= announced;
        short.then_some((announced, announced + BLOCK - 1))
    }

    /// Lets ids up to this number be used.
    pub fn announced(&self, last: u64) {
        self.announced.store(last + 1, Ordering::Release);
    }

    /// An id for a new document; none while none is announced.
    pub fn take(&self) -> Option<String> {
        let announced = self.announced.load(Ordering::Acquire);
        let advance = |next: u64| (next < announced).then_some(next + 1);
        let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, advance);
        taken.ok().map(|number| self.id(number))
    }

    /// The documents that a phase of an earlier run may have written, up to the last announced number.
    pub fn left_by(run_id: &str, phase: &str, last: u64) -> Self {
        let documents = Self::new(run_id, phase);
        documents.announced(last);
        documents.next.store(last + 1, Ordering::Relaxed);
        documents
    }

    /// The marker that every document carries.
    pub fn marker(&self) -> &str {
        &self.prefix
    }

    /// How many ids were taken.
    pub fn taken(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// The id of a number.
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_given_out_before_it_is_announced() {
        let documents = Documents::new("r1", "mixed");
        assert_eq!(documents.take(), None);
        let (first, last) = documents.block_to_announce().expect("none announced yet");
        assert_eq!((first, last), (0, 999));
        documents.announced(last);
        assert_eq!(documents.block_to_announce(), None);
        let ids: Vec<String> = std::iter::from_fn(|| documents.take()).collect();
        assert_eq!((ids.len(), ids[999].as_str()), (1000, "shakedown-r1-mixed-999"));
        assert_eq!(documents.block_to_announce(), Some((1000, 1999)));
    }
}
