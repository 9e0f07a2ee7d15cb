//! What a database holds: keys, their values, and until when they live.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use super::stream::Stream;

/// Bytes.
pub type Bytes = Vec<u8>;

/// A field of a hash.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// What it holds.
    pub value: Bytes,
    /// When it ends, milliseconds since 1970.
    pub expires: Option<i64>,
}

/// A hash.
pub type Hash = BTreeMap<Bytes, Field>;

/// What a key holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Bytes.
    String(Bytes),
    /// Elements in order.
    List(VecDeque<Bytes>),
    /// Members without order.
    Set(BTreeSet<Bytes>),
    /// Members with a score each.
    Sorted(BTreeMap<Bytes, f64>),
    /// Fields.
    Hash(Hash),
    /// Entries and their readers.
    Stream(Stream),
}

impl Value {
    /// What `TYPE` says.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Sorted(_) => "zset",
            Self::Hash(_) => "hash",
            Self::Stream(_) => "stream",
        }
    }

    /// A key that holds nothing any more is removed; a stream stays.
    fn is_empty(&self) -> bool {
        match self {
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Sorted(members) => members.is_empty(),
            Self::Hash(fields) => fields.is_empty(),
            Self::String(_) | Self::Stream(_) => false,
        }
    }
}

/// A key's value and what is known of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it holds.
    pub value: Value,
    /// When it ends, milliseconds since 1970.
    pub expires: Option<i64>,
    /// Its place in the order in which keys were made.
    serial: u64,
    /// Changes with every write, for `WATCH`.
    revision: u64,
}

/// Why a command was not carried out, as the peer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl Refusal {
    /// An error without a code of its own.
    pub fn new(reason: impl std::fmt::Display) -> Self {
        Self(format!("ERR {reason}"))
    }

    /// The key holds another type.
    pub fn wrong_type() -> Self {
        Self("WRONGTYPE Operation against a key holding the wrong kind of value".into())
    }

    /// The command has another form.
    pub fn syntax() -> Self {
        Self::new("syntax error")
    }
}

/// A type of value: how it is found in a [`Value`], and what an absent key is taken for.
pub trait Kind: Sized + Default {
    /// The value, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;
    /// The same to change it.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// As a value.
    fn into_value(self) -> Value;
}

macro_rules! kinds {
    ($($variant:ident: $type:ty),*) => {$(
        impl Kind for $type {
            fn of(value: &Value) -> Option<&Self> {
                if let Value::$variant(inner) = value { Some(inner) } else { None }
            }
            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                if let Value::$variant(inner) = value { Some(inner) } else { None }
            }
            fn into_value(self) -> Value {
                Value::$variant(self)
            }
        }
    )*};
}

kinds!(
    String: Bytes,
    List: VecDeque<Bytes>,
    Set: BTreeSet<Bytes>,
    Sorted: BTreeMap<Bytes, f64>,
    Hash: Hash,
    Stream: Stream
);

/// One numbered database.
#[derive(Debug, Default)]
pub struct Db {
    entries: BTreeMap<Bytes, Entry>,
    /// Keys in the order in which they were made, so that a scan misses none and names none twice.
    serials: BTreeMap<u64, Bytes>,
    next_serial: u64,
    revision: u64,
    /// The time of the command that is carried out, milliseconds since 1970.
    pub now: i64,
}

impl Db {
    /// An empty one at a time, milliseconds since 1970.
    pub fn at(now: i64) -> Self {
        Self { now, ..Self::default() }
    }

    fn expired(&self, entry: &Entry) -> bool {
        entry.expires.is_some_and(|at| at <= self.now)
    }

    /// Drops what has expired of a key.
    fn refresh(&mut self, key: &[u8]) {
        let now = self.now;
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Value::Hash(fields) = &mut entry.value {
            fields.retain(|_, field| field.expires.is_none_or(|at| at > now));
        }
        if entry.expires.is_some_and(|at| at <= now) || entry.value.is_empty() {
            self.remove(key);
        }
    }

    /// A key's entry, if it lives.
    pub fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.refresh(key);
        self.entries.get_mut(key)
    }

    /// A key's value of a type, if there is one.
    ///
    /// # Errors
    /// When the key holds another type.
    pub fn get<K: Kind>(&mut self, key: &[u8]) -> Result<Option<&K>, Refusal> {
        match self.entry(key) {
            None => Ok(None),
            Some(entry) => K::of(&entry.value).map(Some).ok_or_else(Refusal::wrong_type),
        }
    }

    /// Changes a key's value of a type, making it where there is none and removing it when it holds
    /// nothing afterwards.
    ///
    /// # Errors
    /// When the key holds another type, or the change says so.
    pub fn change<K: Kind, T>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut K) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.refresh(key);
        self.revision += 1;
        let revision = self.revision;
        if let Some(entry) = self.entries.get_mut(key) {
            let value = K::of_mut(&mut entry.value).ok_or_else(Refusal::wrong_type)?;
            let changed = change(value)?;
            entry.revision = revision;
            if entry.value.is_empty() {
                self.remove(key);
            }
            return Ok(changed);
        }
        let mut value = K::default();
        let changed = change(&mut value)?;
        let value = value.into_value();
        if !value.is_empty() {
            self.put(key.to_vec(), value, None);
        }
        Ok(changed)
    }

    /// Puts a value in place of whatever the key held.
    pub fn put(&mut self, key: Bytes, value: Value, expires: Option<i64>) {
        self.revision += 1;
        let serial = match self.entries.get(&key) {
            Some(entry) => entry.serial,
            None => {
                self.next_serial += 1;
                self.serials.insert(self.next_serial, key.clone());
                self.next_serial
            }
        };
        self.entries.insert(key, Entry { value, expires, serial, revision: self.revision });
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.serials.remove(&entry.serial);
        self.revision += 1;
        Some(entry)
    }

    /// Removes a key that lives.
    pub fn take(&mut self, key: &[u8]) -> Option<Entry> {
        self.refresh(key);
        self.remove(key)
    }

    /// Sets or removes the end of a key; false when there is no such key.
    pub fn set_expiry(&mut self, key: &[u8], expires: Option<i64>) -> bool {
        self.revision += 1;
        let revision = self.revision;
        let Some(entry) = self.entry(key) else { return false };
        entry.expires = expires;
        entry.revision = revision;
        self.refresh(key);
        true
    }

    /// A number that changes when the key does; 0 when there is none.
    pub fn revision(&mut self, key: &[u8]) -> u64 {
        self.entry(key).map_or(0, |entry| entry.revision)
    }

    /// Keys that live, and how many of them end by themselves.
    pub fn sizes(&self) -> (usize, usize) {
        let alive = self.entries.values().filter(|entry| !self.expired(entry));
        alive.fold((0, 0), |(all, ending), entry| {
            (all + 1, ending + usize::from(entry.expires.is_some()))
        })
    }

    /// Up to `count` keys made after the cursor, with the cursor from which to go on; 0 at the end.
    pub fn scan(&self, cursor: u64, count: usize) -> (u64, Vec<(Bytes, &Entry)>) {
        let after = (Bound::Excluded(cursor), Bound::Unbounded);
        let mut found = Vec::new();
        let mut last = 0;
        for (at, (serial, key)) in self.serials.range(after).enumerate() {
            if at == count {
                return (last, found);
            }
            last = *serial;
            if let Some(entry) = self.entries.get(key).filter(|entry| !self.expired(entry)) {
                found.push((key.clone(), entry));
            }
        }
        (0, found)
    }

    /// Drops every key that has expired.
    pub fn purge(&mut self) {
        let expired = self.entries.iter().filter(|(_, entry)| self.expired(entry));
        let expired: Vec<Bytes> = expired.map(|(key, _)| key.clone()).collect();
        for key in expired {
            self.remove(&key);
        }
    }
}
