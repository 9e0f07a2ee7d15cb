//! A stream: entries in the order of their ids, and groups of readers with what they still owe.

use std::collections::BTreeMap;
use std::fmt;

use super::db::{Bytes, Refusal};

/// An entry's id: milliseconds and a number within them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Milliseconds.
    pub ms: u64,
    /// Number within the millisecond.
    pub seq: u64,
}

impl Id {
    /// The greatest.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// Reads `5-1`, or `5` with a number of its own.
    ///
    /// # Errors
    /// When it is no id.
    pub fn read(word: &[u8], seq: u64) -> Result<Self, Refusal> {
        let wrong = || Refusal::new("Invalid stream ID specified as stream command argument");
        let text = std::str::from_utf8(word).map_err(|_| wrong())?;
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| wrong());
        match text.split_once('-') {
            Some((ms, seq)) => Ok(Self { ms: number(ms)?, seq: number(seq)? }),
            None => Ok(Self { ms: number(text)?, seq }),
        }
    }

    /// The one after it, if there is one.
    pub const fn next(self) -> Option<Self> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The one before it, if there is one.
    pub const fn previous(self) -> Option<Self> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Names and values of an entry, one after the other.
pub type Fields = Vec<Bytes>;

/// An entry that was given to a consumer and not acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// To whom.
    pub consumer: Bytes,
    /// When last, milliseconds since 1970.
    pub delivered_ms: i64,
    /// How often.
    pub deliveries: u64,
}

/// Readers who share a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The last entry that was given out.
    pub last: Id,
    /// How many entries were given out, where that is known.
    pub read: Option<u64>,
    /// What is not acknowledged.
    pub pending: BTreeMap<Id, Pending>,
    /// Consumers with when each was seen last, milliseconds since 1970.
    pub consumers: BTreeMap<Bytes, i64>,
}

impl Group {
    /// Gives an entry to a consumer.
    pub fn deliver(&mut self, id: Id, consumer: &[u8], now: i64) {
        let pending = Pending { consumer: consumer.to_vec(), delivered_ms: now, deliveries: 1 };
        self.pending.insert(id, pending);
    }
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// Entries.
    pub entries: BTreeMap<Id, Fields>,
    /// The last id that was given.
    pub last: Id,
    /// How many entries were ever added.
    pub added: u64,
    /// The greatest id that was deleted.
    pub max_deleted: Id,
    /// Groups by name.
    pub groups: BTreeMap<Bytes, Group>,
}

impl Stream {
    /// The id of a new entry: as asked (`5-1`, `5-*`, `*`), or an error when it is not after the last.
    ///
    /// # Errors
    /// When it is no id, or too small a one.
    pub fn new_id(&self, asked: &[u8], now: i64) -> Result<Id, Refusal> {
        let now = u64::try_from(now).unwrap_or(0);
        let full = || Refusal::new("The stream has exhausted the last possible ID");
        let id = match asked {
            b"*" if now > self.last.ms => Id { ms: now, seq: 0 },
            b"*" => self.last.next().ok_or_else(full)?,
            asked => match asked.strip_suffix(b"-*") {
                Some(ms) => {
                    let ms = Id::read(ms, 0)?.ms;
                    if ms == self.last.ms {
                        let seq = self.last.seq.checked_add(1).ok_or_else(full)?;
                        Id { ms, seq }
                    } else {
                        Id { ms, seq: 0 }
                    }
                }
                None => Id::read(asked, 0)?,
            },
        };
        if id == Id::default() {
            return Err(Refusal::new("The ID specified in XADD must be greater than 0-0"));
        }
        if id <= self.last {
            return Err(Refusal::new(
                "The ID specified in XADD is equal or smaller than the target stream top item",
            ));
        }
        Ok(id)
    }

    /// Adds an entry.
    pub fn add(&mut self, id: Id, fields: Fields) {
        self.entries.insert(id, fields);
        self.last = id;
        self.added += 1;
    }

    /// Deletes an entry; false when there is none.
    pub fn delete(&mut self, id: Id) -> bool {
        let there = self.entries.remove(&id).is_some();
        if there {
            self.max_deleted = self.max_deleted.max(id);
        }
        there
    }

    /// Deletes the oldest entries until no more than `most` are left.
    pub fn trim_to(&mut self, most: usize) -> usize {
        let surplus = self.entries.len().saturating_sub(most);
        let gone: Vec<Id> = self.entries.keys().take(surplus).copied().collect();
        gone.into_iter().filter(|id| self.delete(*id)).count()
    }

    /// Deletes entries older than one.
    pub fn trim_before(&mut self, least: Id) -> usize {
        let gone: Vec<Id> = self.entries.range(..least).map(|(id, _)| *id).collect();
        gone.into_iter().filter(|id| self.delete(*id)).count()
    }

    /// Entries from one id to another, both included.
    pub fn range(&self, from: Id, to: Id) -> impl DoubleEndedIterator<Item = (&Id, &Fields)> {
        // A range that ends before it begins has none.
        let to = if from <= to { Some(from..=to) } else { None };
        to.into_iter().flat_map(|range| self.entries.range(range))
    }

    /// A group.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn group(&mut self, name: &[u8]) -> Result<&mut Group, Refusal> {
        self.groups.get_mut(name).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            Refusal(format!("NOGROUP No such consumer group '{name}' for this key"))
        })
    }
}
