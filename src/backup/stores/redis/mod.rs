//! Redis: keys of its own behind one hash tag, which keeps them in one slot of a cluster. `DUMP` is
//! kept for the restore, but never compared: its bytes are not canonical. What is compared is what a
//! client would read.

mod logical;

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, Pipeline, cmd, pipe};

use super::{DrillError, DrillStore, Identity, Namespace, RecordSink, Room};
use crate::backup::record::{Record, Value};
use crate::config::{Store, StoreKind};
use crate::platform::store::{StoreError, redis as client};

/// Keys asked for at once.
const SCAN_COUNT: usize = 500;
const MARKER: &str = "marker";
/// Begins the name of a key that is no text.
const HEX: &str = "hex:";

pub(super) struct Redis {
    connection: MultiplexedConnection,
    prefix: Vec<u8>,
    names: Namespace,
}

impl Redis {
    pub(super) async fn open(
        store: &Store,
        names: Namespace,
        timeout: Duration,
    ) -> Result<Self, DrillError> {
        let connection = client::connect(store, timeout).await?;
        let prefix = format!("{{{}}}:", names.name()).into_bytes();
        Ok(Self { connection, prefix, names })
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        let name = command.args_iter().next();
        let name = match name {
            Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
            _ => "command".into(),
        };
        command.query_async(&mut connection).await.map_err(StoreError::when(&name))
    }

    async fn send(&self, doing: &str, pipeline: &Pipeline) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        pipeline.query_async(&mut connection).await.map_err(StoreError::when(doing))
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

    /// All keys of ours but the marker. `SCAN` may name a key twice, and walks over foreign keys on
    /// the server's side only.
    async fn keys(&self) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let (mut keys, mut cursor) = (BTreeSet::new(), 0_u64);
        let pattern = [self.prefix.as_slice(), b"*"].concat();
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
            let (next, found): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
            keys.extend(found);
            if next == 0 {
                keys.remove(&[self.prefix.as_slice(), MARKER.as_bytes()].concat());
                return Ok(keys);
            }
            cursor = next;
        }
    }

    async fn info(&self, section: &str) -> Result<Vec<(String, String)>, StoreError> {
        let text: String = self.ask(cmd("INFO").arg(section)).await?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// One key, value and lifetime and `DUMP` from the same instant; none when it is gone.
    async fn read_key(&self, key: &[u8]) -> Result<Option<Record>, DrillError> {
        let kind: String = self.ask(cmd("TYPE").arg(key)).await?;
        if kind == "none" {
            return Ok(None);
        }
        let mut asked = pipe();
        asked.atomic().cmd("PEXPIRETIME").arg(key).cmd("DUMP").arg(key);
        logical::ask(&mut asked, &kind, key)?;
        let mut connection = self.connection.clone();
        let mut answers: Vec<redis::Value> =
            asked.query_async(&mut connection).await.map_err(StoreError::when("read a key"))?;
        let rest = answers.split_off(2.min(answers.len()));
        let [redis::Value::Int(expires), redis::Value::BulkString(dump)] = answers.as_slice()
        else {
            return Ok(None);
        };
        let more = logical::follow_up(self, &kind, key, &rest).await?;
        let value = Value::map([
            ("value", logical::value(&kind, rest, more)?),
            ("expires", if *expires < 0 { Value::Null } else { Value::Int(*expires) }),
        ]);
        Ok(Some(Record::new(kind, self.short_key(key), value).with_payload(dump.clone())))
    }

    async fn restore(&self, record: &Record, dump: &[u8]) -> Result<bool, DrillError> {
        let expires = record.value.get("expires").and_then(Value::as_int).unwrap_or(0);
        let mut restore = cmd("RESTORE");
        restore.arg(self.full_key(&record.key)?).arg(expires).arg(dump);
        restore.arg("REPLACE").arg("ABSTTL");
        match self.ask::<()>(&restore).await {
            Ok(()) => Ok(true),
            // From a newer server, or not allowed: what the key holds is known all the same.
            Err(error) if error.reason.contains("version or checksum") => Ok(false),
            Err(error) if error.reason.contains("NOPERM") => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
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
        let server = self.info("server").await?;
        let get = |name: &str| {
            let found = server.iter().find(|(field, _)| field == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let version = get("redis_version");
        let memory = self.info("memory").await?;
        let policy = memory.iter().find(|(name, _)| name == "maxmemory_policy");
        if let Some((_, policy)) = policy.filter(|(_, policy)| policy.starts_with("allkeys")) {
            return Err(DrillError::Refused(format!(
                "maxmemory-policy is {policy}: it may evict foreign keys for ours, and ours for others"
            )));
        }
        let mut number = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let known = (number.next().unwrap_or(0), number.next().unwrap_or(0));
        if known < (7, 0) {
            return Err(DrillError::Refused(format!(
                "Redis {version}: expected 7.0 or later, which tells when a key ends (PEXPIRETIME)"
            )));
        }
        let not_covered =
            (known < (7, 4)).then(|| "lifetimes of hash fields (Redis 7.4)".to_owned());
        let not_covered = not_covered.into_iter().collect();
        Ok(Identity { server: format!("Redis {version}"), id: get("run_id"), not_covered })
    }

    async fn room(&self) -> Result<Room, DrillError> {
        let memory = self.info("memory").await?;
        let get = |name: &str| -> Option<u64> {
            memory.iter().find(|(field, _)| field == name).and_then(|(_, value)| value.parse().ok())
        };
        let limit =
            get("maxmemory").filter(|limit| *limit > 0).or_else(|| get("total_system_memory"));
        let free = limit.zip(get("used_memory")).map(|(limit, used)| limit.saturating_sub(used));
        Ok(Room { free_bytes: free })
    }

    async fn bystanders(&self) -> Result<Vec<(String, u64)>, DrillError> {
        let all: u64 = self.ask(&cmd("DBSIZE")).await?;
        let ours = self.keys().await?.len() as u64 + u64::from(self.marker().await?.is_some());
        Ok(vec![("keys".into(), all.saturating_sub(ours))])
    }

    async fn prepare(&self) -> Result<(), DrillError> {
        let key = self.full_key(MARKER)?;
        let mut set = cmd("SET");
        set.arg(key).arg(self.names.marker()).arg("NX");
        match self.ask::<Option<String>>(&set).await? {
            Some(_) => Ok(()),
            None => Err(DrillError::Refused(format!("{} exists already", self.names.name()))),
        }
    }

    async fn marker(&self) -> Result<Option<String>, DrillError> {
        Ok(self.ask(cmd("GET").arg(self.full_key(MARKER)?)).await?)
    }

    fn takes(&self, identity: &Identity, record: &Record) -> bool {
        identity.not_covered.is_empty() || !logical::has_field_lifetimes(record)
    }

    async fn write(&self, records: &[Record]) -> Result<(), DrillError> {
        let mut pipeline = pipe();
        for record in records {
            if let Some(dump) = &record.payload
                && self.restore(record, dump).await?
            {
                continue;
            }
            logical::write(&mut pipeline, &self.full_key(&record.key)?, record)?;
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        Ok(self.send("write keys", &pipeline).await?)
    }

    async fn read(&self, sink: &mut dyn RecordSink) -> Result<(), DrillError> {
        for key in self.keys().await? {
            if let Some(record) = self.read_key(&key).await? {
                sink.take(record)?;
            }
        }
        Ok(())
    }

    async fn count(&self) -> Result<u64, DrillError> {
        Ok(self.keys().await?.len() as u64)
    }

    async fn destroy(&self) -> Result<(), DrillError> {
        let keys: Vec<_> = self.keys().await?.into_iter().collect();
        for some in keys.chunks(SCAN_COUNT) {
            self.ask::<()>(cmd("UNLINK").arg(some)).await?;
        }
        // Last, so that what an interruption leaves is still known as ours.
        Ok(self.ask::<()>(cmd("UNLINK").arg(self.full_key(MARKER)?)).await?)
    }

    async fn residue(&self) -> Result<Vec<String>, DrillError> {
        let left = self.keys().await?.len() + usize::from(self.marker().await?.is_some());
        Ok((left > 0).then(|| format!("{left} keys {}", self.names.name())).into_iter().collect())
    }

    async fn smoke(&self, document: &str) -> Result<String, DrillError> {
        let key = self.full_key(&format!("cache:{document}"))?;
        let title: Option<String> = self.ask(cmd("HGET").arg(&key).arg("title")).await?;
        let left: i64 = self.ask(cmd("TTL").arg(&key)).await?;
        match title {
            Some(_) if left > 0 => Ok(format!("cache entry of {document} found, {left} s to live")),
            Some(_) => Err(DrillError::Wrong(format!("cache entry of {document} never ends"))),
            None => Err(DrillError::Wrong(format!("no cache entry of {document}"))),
        }
    }
}
