//! What has still to be said, on disk before it is tried: a crash loses no alert. Only names of
//! channels are written, never their secrets.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::alert::Message;
use super::escalation::Book;
use crate::run::folder::write_atomically;
use crate::run::state_dir::StateDir;

/// What is older is no news any more.
const NEWS_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Messages that are taken up again at most.
const MOST: usize = 200;

/// Something that has still to be said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// Its number, in the order of writing.
    pub number: u64,
    /// Name of the channel.
    pub channel: String,
    /// What.
    pub message: Message,
}

/// Everything of a target that is kept on disk.
#[derive(Debug)]
pub struct Outbox {
    folder: PathBuf,
    next: u64,
}

impl Outbox {
    /// Opens what is kept of a target.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn open(state: &StateDir, target: &str) -> io::Result<Self> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let mut name: String = target.chars().take(60).map(plain).collect();
        // Two targets whose names look alike here are two.
        name += &format!("-{:08x}", checksum(target));
        let folder = state.folder("notify")?.join(name);
        fs::create_dir_all(&folder)?;
        let next = 1 + numbers(&folder)?.into_iter().max().unwrap_or(0);
        Ok(Self { folder, next })
    }

    /// Puts a message on disk. What still waits to be said of the same there is no news any more: told
    /// after this, it would begin again what is over.
    ///
    /// # Errors
    /// When it cannot be written; it should be tried all the same.
    pub fn put(&mut self, channel: &str, message: &Message) -> io::Result<Letter> {
        let letter =
            Letter { number: self.next, channel: channel.to_owned(), message: message.clone() };
        write_atomically(&self.path(letter.number), &serde_json::to_vec(&letter)?)?;
        self.next += 1;
        // It is kept; that older ones cannot be looked for takes nothing from that.
        let older = numbers(&self.folder).unwrap_or_default();
        for number in older.into_iter().filter(|number| *number < letter.number) {
            let before = self.read(number).filter(|before| before.channel == channel);
            if before.is_some_and(|before| before.message.alert.key == message.alert.key) {
                self.remove(number);
            }
        }
        Ok(letter)
    }

    fn read(&self, number: u64) -> Option<Letter> {
        serde_json::from_slice(&fs::read(self.path(number)).ok()?).ok()
    }

    /// What has not been said yet, oldest first. What is too old or cannot be read is removed, and
    /// its number returned beside.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn waiting(&self, now: Timestamp) -> io::Result<(Vec<Letter>, usize)> {
        let mut numbers = numbers(&self.folder)?;
        numbers.sort_unstable();
        let (mut letters, mut dropped) = (Vec::new(), 0);
        for number in numbers {
            let is_news = |letter: &Letter| now.duration_since(letter.message.at) <= NEWS_FOR;
            let fresh = self.read(number).filter(is_news);
            match fresh {
                Some(letter) if letters.len() < MOST => letters.push(letter),
                _ => {
                    dropped += 1;
                    self.remove(number);
                }
            }
        }
        Ok((letters, dropped))
    }

    /// It has been said, or never can be.
    pub fn remove(&self, number: u64) {
        // One that is not there any more is what is wanted.
        let _ = fs::remove_file(self.path(number));
    }

    /// The book of alerts as it was left; an empty one when there is none, or it cannot be read.
    pub fn book(&self) -> Book {
        let read = fs::read(self.folder.join("alerts.json")).ok();
        read.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Keeps the book.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, book: &Book) -> io::Result<()> {
        write_atomically(&self.folder.join("alerts.json"), &serde_json::to_vec(book)?)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.letter"))
    }
}

fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let names = fs::read_dir(folder)?.flatten().map(|entry| entry.file_name());
    let number = |name: std::ffi::OsString| name.to_str()?.strip_suffix(".letter")?.parse().ok();
    Ok(names.filter_map(number).collect())
}

/// FNV-1a, 32 bit.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::Alert;
    use crate::run::event::NotifyAction;

    fn message(at: i64) -> Message {
        let at = Timestamp::from_second(at).expect("in range");
        let alert = Alert::rehearsal("prod", "production");
        Message { alert, action: NotifyAction::Trigger, level: 1, since: at, at }
    }

    #[test]
    fn what_was_not_said_is_found_again_in_order_until_it_is_no_news() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let state = StateDir::at(folder.path().join("state")).expect("state");
        let mut outbox = Outbox::open(&state, "prod").expect("opens");
        for (second, channel) in [(0, "slack"), (80_000, "mail"), (80_001, "pager")] {
            outbox.put(channel, &message(second)).expect("written");
        }
        // The process died here.
        let now = Timestamp::from_second(90_000).expect("in range");
        let again = Outbox::open(&state, "prod").expect("opens");
        let (letters, dropped) = again.waiting(now).expect("readable");
        let numbers: Vec<u64> = letters.iter().map(|letter| letter.number).collect();
        assert_eq!((numbers.as_slice(), dropped), (&[2, 3][..], 1));
        again.remove(2);
        assert_eq!(again.waiting(now).expect("readable").0.len(), 1);
        let other = Outbox::open(&state, "prod/").expect("opens");
        assert!(other.waiting(now).expect("readable").0.is_empty(), "another target's");
    }
    #[test]
    fn what_is_over_is_not_begun_again_by_a_letter_that_waited() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let state = StateDir::at(folder.path().join("state")).expect("state");
        let mut outbox = Outbox::open(&state, "prod").expect("opens");
        let wrong = message(0);
        let over = Message { action: NotifyAction::Resolve, ..wrong.clone() };
        for (channel, message) in [("pager", &wrong), ("slack", &wrong), ("pager", &over)] {
            outbox.put(channel, message).expect("written");
        }
        let (letters, _) = outbox.waiting(wrong.at).expect("readable");
        let said: Vec<_> =
            letters.iter().map(|letter| (letter.channel.as_str(), letter.message.action)).collect();
        assert_eq!(said, [("slack", NotifyAction::Trigger), ("pager", NotifyAction::Resolve)]);
    }
}
