//! Redis: keys of its own behind one hash tag, which keeps them in one slot of a cluster. `DUMP` is
//! kept for the restore, but never compared: its bytes are not canonical. What is compared is what a
//! client would read.

mod logical;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, cmd, pipe};
use tokio::sync::{Mutex, OnceCell};

use super::{DrillError, DrillStore, Identity, Namespace, RecordSink, Room};
use crate::backup::record::{Record, Value};
use crate::config::{Store, StoreKind};
use crate::platform::store::{StoreError, redis as client};

/// Names asked for at once.
const PAGE: usize = 500;
/// Keys asked for or restored at the same time, over one connection.
const AT_ONCE: usize = 16;
/// Steps of the look for leftovers: it ends after about a million keys, so as not to walk over a large
/// production store.
const SCAN_STEPS: usize = 2_000;
const MARKER: &str = "marker";
/// A set with the names of all other keys of ours, each there before its key. It spares a walk over
/// everything that the server holds.
const INDEX: &str = "index";
/// Begins the name of a key that is no text.
const HEX: &str = "hex:";
const FIELD_LIFETIMES: &str = "lifetimes of hash fields (Redis 7.4)";

pub(super) struct Redis {
    store: Store,
    timeout: Duration,
    connection: Mutex<MultiplexedConnection>,
    broken: AtomicBool,
    field_lifetimes: OnceCell<bool>,
    prefix: Vec<u8>,
    names: Namespace,
}

impl Redis {
    pub(super) async fn open(
        store: &Store,
        names: Namespace,
        timeout: Duration,
    ) -> Result<Self, DrillError> {
        let connection = Mutex::new(client::connect(store, timeout).await?);
        let prefix = format!("{{{}}}:", names.name()).into_bytes();
        let (store, broken) = (store.clone(), AtomicBool::new(false));
        let field_lifetimes = OnceCell::new();
        Ok(Self { store, timeout, connection, broken, field_lifetimes, prefix, names })
    }

    /// The connection; another one when it broke.
    async fn connection(&self) -> Result<MultiplexedConnection, StoreError> {
        let mut connection = self.connection.lock().await;
        if self.broken.load(Ordering::Acquire) {
            *connection = client::connect(&self.store, self.timeout).await?;
            self.broken.store(false, Ordering::Release);
        }
        Ok(connection.clone())
    }

    fn failed(&self, doing: &str, error: RedisError) -> StoreError {
        if error.is_io_error() || error.is_connection_dropped() || error.is_timeout() {
            self.broken.store(true, Ordering::Release);
        }
        StoreError::new(doing, error)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.connection().await?;
        let name = match command.args_iter().next() {
            Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
            _ => "command".into(),
        };
        command.query_async(&mut connection).await.map_err(|error| self.failed(&name, error))
    }

    /// Whether fields of a hash can end. It is asked with plain words: a server repeats what it does not
    /// know, and names that are no UTF-8 would make that answer unreadable.
    async fn knows_field_lifetimes(&self) -> Result<bool, StoreError> {
        let known = self.field_lifetimes.get_or_try_init(async || {
            let plain = logical::lifetimes_of(&self.own_key("f"), &[b"f".to_vec()]);
            match self.ask::<redis::Value>(&plain).await {
                Err(error) if error.reason.contains("unknown command") => Ok(false),
                answer => answer.map(|_| true),
            }
        });
        known.await.copied()
    }

    async fn send<T: FromRedisValue>(
        &self,
        doing: &str,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection().await?;
        pipeline.query_async(&mut connection).await.map_err(|error| self.failed(doing, error))
    }

    fn own_key(&self, name: &str) -> Vec<u8> {
        [self.prefix.as_slice(), name.as_bytes()].concat()
    }

    fn full_key(&self, key: &str) -> Result<Vec<u8>, DrillError> {
        let name = match key.strip_prefix(HEX).filter(|digits| !digits.is_empty()) {
            Some(digits) => bytes_of_hex(digits).ok_or_else(|| {
                DrillError::Wrong(format!("`{key}`: expected hexadecimal digits"))
            })?,
            None => key.as_bytes().to_vec(),
        };
        Ok([self.prefix.as_slice(), &name].concat())
    }

    fn short_key(&self, key: &[u8]) -> String {
        let name = &key[self.prefix.len().min(key.len())..];
        match std::str::from_utf8(name) {
            Ok(text) if !is_hex_name(text) => text.to_owned(),
            _ => format!("{HEX}{}", crate::backup::ledger::hex(name)),
        }
    }

    /// The next names of the index, as full keys, and where to go on: nowhere at 0. The server may
    /// name a key twice.
    async fn page(&self, cursor: u64) -> Result<(u64, Vec<Vec<u8>>), StoreError> {
        let mut scan = cmd("SSCAN");
        scan.arg(self.own_key(INDEX)).arg(cursor).arg("COUNT").arg(PAGE);
        let (next, names): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
        let full = |name: Vec<u8>| [self.prefix.as_slice(), &name].concat();
        Ok((next, names.into_iter().map(full).collect()))
    }

    /// Notes the names of keys that are about to be written.
    fn announce(&self, to: &mut Pipeline, keys: &[Vec<u8>]) {
        let names: Vec<&[u8]> = keys.iter().map(|key| &key[self.prefix.len()..]).collect();
        to.cmd("SADD").arg(self.own_key(INDEX)).arg(names).ignore();
    }

    async fn info(&self, section: &str) -> Result<Vec<(String, String)>, StoreError> {
        let text: String = self.ask(cmd("INFO").arg(section)).await?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// One key, value and lifetime and `DUMP` from the same instant; none when it is gone.
    async fn read_key(&self, key: Vec<u8>) -> Result<Option<Record>, DrillError> {
        let kind: String = self.ask(cmd("TYPE").arg(&key)).await?;
        if kind == "none" {
            return Ok(None);
        }
        let mut asked = pipe();
        asked.atomic().cmd("PEXPIRETIME").arg(&key).cmd("DUMP").arg(&key);
        logical::ask(&mut asked, &kind, &key)?;
        let mut answers: Vec<redis::Value> = self.send("read a key", &asked).await?;
        let rest = answers.split_off(2.min(answers.len()));
        let [redis::Value::Int(expires), redis::Value::BulkString(dump)] = answers.as_slice()
        else {
            return Ok(None);
        };
        let more = logical::follow_up(self, &kind, &key, &rest).await?;
        let value = Value::map([
            ("value", logical::value(&kind, rest, more)?),
            ("expires", if *expires < 0 { Value::Null } else { Value::Int(*expires) }),
        ]);
        Ok(Some(Record::new(kind, self.short_key(&key), value).with_payload(dump.clone())))
    }

    /// Whether a key was restored from its `DUMP`.
    async fn restore(&self, record: &Record) -> Result<bool, DrillError> {
        let Some(dump) = &record.payload else { return Ok(false) };
        let expires = record.value.get("expires").and_then(Value::as_int).unwrap_or(0);
        let mut restore = cmd("RESTORE");
        restore.arg(self.full_key(&record.key)?).arg(expires).arg(dump.as_slice());
        restore.arg("REPLACE").arg("ABSTTL");
        match self.ask::<()>(&restore).await {
            Ok(()) => Ok(true),
            // From a newer server, or not allowed: what the key holds is known all the same.
            Err(error) if error.reason.contains("version or checksum") => Ok(false),
            Err(error) if error.reason.to_ascii_lowercase().contains("no permission") => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// All keys under our names, found without the index: among the first million or so of the server.
    async fn strays(&self) -> Result<usize, StoreError> {
        let pattern = [self.prefix.as_slice(), b"*"].concat();
        let (mut cursor, mut found) = (0_u64, HashSet::new());
        for _ in 0..SCAN_STEPS {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(PAGE);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
            found.extend(keys);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        Ok(found.len())
    }
}

fn field<'a>(info: &'a [(String, String)], name: &str) -> Option<&'a str> {
    info.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

/// A name that would be read as the hexadecimal notation.
fn is_hex_name(name: &str) -> bool {
    name.strip_prefix(HEX).is_some_and(|digits| !digits.is_empty())
}

fn bytes_of_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..digits.len()).step_by(2).map(|at| &digits[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

#[async_trait]
impl DrillStore for Redis {
    fn kind(&self) -> StoreKind {
        StoreKind::Redis
    }

    async fn identify(&self) -> Result<Identity, DrillError> {
        let info = self.info("default").await?;
        let get = |name: &str| field(&info, name).unwrap_or_default();
        let version = get("redis_version");
        let policy = get("maxmemory_policy");
        if !matches!(policy, "" | "noeviction") && !matches!(get("maxmemory"), "" | "0") {
            return Err(DrillError::Refused(format!(
                "maxmemory-policy is {policy}: it may evict foreign keys for ours, and ours for others"
            )));
        }
        if get("role") == "slave" {
            let reason = "it is a replica: expected the primary, which takes writes";
            return Err(DrillError::Refused(reason.into()));
        }
        if get("cluster_enabled") == "1" {
            let reason = "it is a cluster's node: expected a server of its own";
            return Err(DrillError::Refused(reason.into()));
        }
        let mut number = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let known = (number.next().unwrap_or(0), number.next().unwrap_or(0));
        if known < (7, 0) {
            return Err(DrillError::Refused(format!(
                "Redis {version}: expected 7.0 or later, which tells when a key ends (PEXPIRETIME)"
            )));
        }
        let not_covered = (known < (7, 4)).then(|| FIELD_LIFETIMES.to_owned());
        let server = format!("Redis {}", crate::platform::text::excerpt(version));
        let not_covered = not_covered.into_iter().collect();
        Ok(Identity { server, id: get("run_id").to_owned(), not_covered })
    }

    async fn room(&self) -> Result<Room, DrillError> {
        let memory = self.info("memory").await?;
        let get = |name: &str| -> Option<u64> { field(&memory, name)?.parse().ok() };
        let limit =
            get("maxmemory").filter(|limit| *limit > 0).or_else(|| get("total_system_memory"));
        let free = limit.zip(get("used_memory")).map(|(limit, used)| limit.saturating_sub(used));
        Ok(Room { free_bytes: free })
    }

    async fn bystanders(&self) -> Result<Vec<(String, u64)>, DrillError> {
        let all: u64 = self.ask(&cmd("DBSIZE")).await?;
        let (marker, index) = (self.own_key(MARKER), self.own_key(INDEX));
        let own: u64 = self.ask(cmd("EXISTS").arg(marker).arg(index)).await?;
        let ours = self.count().await? + own;
        Ok(vec![("keys".into(), all.saturating_sub(ours))])
    }

    async fn prepare(&self) -> Result<(), DrillError> {
        if self.strays().await? > 0 {
            return Err(self.names.exists());
        }
        let mut set = cmd("SET");
        set.arg(self.own_key(MARKER)).arg(self.names.marker()).arg("NX");
        match self.ask::<Option<String>>(&set).await? {
            Some(_) => Ok(()),
            None => Err(self.names.exists()),
        }
    }

    async fn marker(&self) -> Result<Option<String>, DrillError> {
        Ok(self.ask(cmd("GET").arg(self.own_key(MARKER))).await?)
    }

    fn takes(&self, identity: &Identity, record: &Record) -> bool {
        let covered = !identity.not_covered.iter().any(|what| what == FIELD_LIFETIMES);
        covered || !logical::has_field_lifetimes(record)
    }

    async fn write(&self, records: &[Record]) -> Result<(), DrillError> {
        if records.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> =
            records.iter().map(|record| self.full_key(&record.key)).collect::<Result<_, _>>()?;
        let mut pipeline = pipe();
        self.announce(&mut pipeline, &keys);
        self.send::<()>("note keys", &pipeline).await?;
        let restored: Vec<_> = records.iter().map(|record| self.restore(record)).collect();
        let restored: Vec<bool> = stream::iter(restored).buffered(AT_ONCE).try_collect().await?;
        let mut pipeline = pipe();
        for ((record, key), restored) in records.iter().zip(&keys).zip(restored) {
            if !restored {
                logical::write(&mut pipeline, key, record)?;
            }
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        Ok(self.send("write keys", &pipeline).await?)
    }

    async fn read(&self, sink: &mut dyn RecordSink) -> Result<(), DrillError> {
        let mut cursor = 0;
        loop {
            let (next, keys) = self.page(cursor).await?;
            // A server may name all keys at once: what is under way stays bounded all the same.
            for some in keys.chunks(PAGE) {
                let read: Vec<_> = some.iter().map(|key| self.read_key(key.clone())).collect();
                let mut read = stream::iter(read).buffered(AT_ONCE);
                while let Some(record) = read.try_next().await? {
                    record.map_or(Ok(()), |record| sink.take(record))?;
                }
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn count(&self) -> Result<u64, DrillError> {
        // Hashes instead of names, so that a million of them fit.
        let (hasher, mut seen) = (RandomState::new(), HashSet::new());
        let (mut cursor, mut count) = (0, 0);
        loop {
            let (next, mut keys) = self.page(cursor).await?;
            keys.retain(|key| seen.insert(hasher.hash_one(key)));
            for some in keys.chunks(PAGE) {
                count += self.ask::<u64>(cmd("EXISTS").arg(some)).await?;
            }
            if next == 0 {
                return Ok(count);
            }
            cursor = next;
        }
    }

    async fn destroy(&self) -> Result<(), DrillError> {
        let (marker, index) = (self.own_key(MARKER), self.own_key(INDEX));
        if !self.names.check(self.marker().await?.as_deref())? {
            return if self.strays().await? > 0 { Err(self.names.unmarked()) } else { Ok(()) };
        }
        let mut cursor = 0;
        loop {
            let (next, keys) = self.page(cursor).await?;
            for some in keys.chunks(PAGE) {
                self.ask::<()>(cmd("UNLINK").arg(some)).await?;
                let left: u64 = self.ask(cmd("EXISTS").arg(some)).await?;
                if left > 0 {
                    return Err(DrillError::Wrong(format!("{left} keys are there after UNLINK")));
                }
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        // Last, so that what an interruption leaves is still known as ours.
        self.ask::<()>(cmd("UNLINK").arg(index)).await?;
        Ok(self.ask::<()>(cmd("UNLINK").arg(marker)).await?)
    }

    async fn residue(&self) -> Result<Vec<String>, DrillError> {
        let left = self.strays().await?;
        Ok((left > 0).then(|| format!("{left} keys {}", self.names.name())).into_iter().collect())
    }

    async fn smoke(&self, document: &str) -> Result<String, DrillError> {
        let key = self.own_key(&format!("cache:{document}"));
        let title: Option<String> = self.ask(cmd("HGET").arg(&key).arg("title")).await?;
        let left: i64 = self.ask(cmd("TTL").arg(&key)).await?;
        match title {
            Some(_) if left > 0 => Ok(format!("cache entry of {document} found, {left} s to live")),
            Some(_) => Err(DrillError::Wrong(format!("cache entry of {document} never ends"))),
            None => Err(DrillError::Wrong(format!("no cache entry of {document}"))),
        }
    }
}
