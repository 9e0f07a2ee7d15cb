//! The server: its databases, its connections, and what it says of itself.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::db::{Bytes, Db, Refusal};
use super::resp::{MAX_REQUEST_BYTES, Reply, parse};
use super::session::Session;
use crate::sandbox::stores::limits;

/// The version whose commands it has.
pub const VERSION: &str = "7.4.0";
/// Numbered databases.
pub const DATABASES: usize = 16;
/// Answers that are sent at once.
const SEND_BYTES: usize = 1 << 20;
/// Writes between two looks at the memory that is used.
const LOOK_EVERY: u64 = 64;
/// A request as large as this is looked at in any case.
const LARGE_BYTES: usize = 64 << 10;
/// How often keys that have ended are dropped.
const PURGE_EVERY: Duration = Duration::from_secs(1);

/// What all connections share.
pub struct Server {
    databases: Mutex<Vec<Db>>,
    password: Bytes,
    run_id: String,
    began: Instant,
    clients: AtomicI64,
    connected: AtomicI64,
    commands: AtomicU64,
    written: AtomicU64,
}

impl Server {
    /// A server that admits whoever knows the password.
    pub fn new(password: &str) -> Arc<Self> {
        let databases = (0..DATABASES).map(|_| Db::default()).collect();
        Arc::new(Self {
            databases: Mutex::new(databases),
            password: password.as_bytes().to_vec(),
            run_id: format!(
                "{:016x}{:016x}{:08x}",
                rand::random::<u64>(),
                rand::random::<u64>(),
                rand::random::<u32>()
            ),
            began: Instant::now(),
            clients: AtomicI64::new(0),
            connected: AtomicI64::new(0),
            commands: AtomicU64::new(0),
            written: AtomicU64::new(0),
        })
    }

    /// The databases at this instant.
    pub fn lock(&self) -> MutexGuard<'_, Vec<Db>> {
        let mut databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        databases.iter_mut().for_each(|db| db.now = now);
        databases
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// Number of a new connection.
    pub fn next_client(&self) -> i64 {
        self.clients.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts a command.
    pub fn count_command(&self) {
        self.commands.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether this is the password.
    pub fn is_password(&self, word: &[u8]) -> bool {
        limits::same_secret(word, &self.password)
    }

    /// Refuses a write when too much memory is used already.
    pub fn admit_write(&self, words: &[Bytes]) -> Result<(), Refusal> {
        let due = self.written.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY);
        let large = words.iter().any(|word| word.len() >= LARGE_BYTES);
        if (due || large) && limits::is_full() {
            return Err(Refusal("OOM command not allowed when used memory > 'maxmemory'.".into()));
        }
        Ok(())
    }

    /// What `INFO` says.
    pub fn info(&self, sections: &[Bytes]) -> String {
        let every = ["default", "all", "everything"];
        let names: Vec<String> =
            sections.iter().map(|s| String::from_utf8_lossy(s).to_ascii_lowercase()).collect();
        let wanted = |name: &str| {
            names.is_empty() || names.iter().any(|n| n == name || every.contains(&n.as_str()))
        };
        let mut text = String::new();
        for (title, lines) in self.sections() {
            if wanted(&title.to_ascii_lowercase()) {
                text.push_str(&format!("# {title}\r\n{}\r\n\r\n", lines.join("\r\n")));
            }
        }
        text
    }

    fn sections(&self) -> [(&'static str, Vec<String>); 7] {
        let used = limits::resident_bytes();
        let total = limits::total_bytes();
        let databases = self.lock();
        let keyspace = databases.iter().enumerate().filter_map(|(number, db)| {
            let (keys, ending) = db.sizes();
            (keys > 0).then(|| format!("db{number}:keys={keys},expires={ending},avg_ttl=0"))
        });
        let keyspace = keyspace.collect();
        drop(databases);
        [
            (
                "Server",
                vec![
                    format!("redis_version:{VERSION}"),
                    "server_name:shakedown".into(),
                    "redis_mode:standalone".into(),
                    format!("process_id:{}", std::process::id()),
                    format!("run_id:{}", self.run_id),
                    format!("uptime_in_seconds:{}", self.began.elapsed().as_secs()),
                ],
            ),
            (
                "Clients",
                vec![format!("connected_clients:{}", self.connected.load(Ordering::Relaxed))],
            ),
            (
                "Memory",
                vec![
                    format!("used_memory:{used}"),
                    format!("used_memory_rss:{used}"),
                    format!("total_system_memory:{total}"),
                    format!("maxmemory:{}", limits::MAX_BYTES),
                    "maxmemory_policy:noeviction".into(),
                ],
            ),
            (
                "Persistence",
                vec!["loading:0".into(), "aof_enabled:0".into(), "rdb_last_save_time:0".into()],
            ),
            (
                "Stats",
                vec![
                    format!("total_commands_processed:{}", self.commands.load(Ordering::Relaxed)),
                    "evicted_keys:0".into(),
                ],
            ),
            ("Replication", vec!["role:master".into(), "connected_slaves:0".into()]),
            ("Keyspace", keyspace),
        ]
    }

    /// Drops keys that have ended, for ever.
    pub async fn purge(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PURGE_EVERY).await;
            self.lock().iter_mut().for_each(Db::purge);
        }
    }

    /// Serves one connection to its end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn serve(self: Arc<Self>, mut stream: TcpStream) -> io::Result<()> {
        self.connected.fetch_add(1, Ordering::Relaxed);
        let mut session = Session::new(self.clone());
        let served = converse(&mut session, &mut stream).await;
        self.connected.fetch_sub(1, Ordering::Relaxed);
        served
    }
}

async fn converse(session: &mut Session, stream: &mut TcpStream) -> io::Result<()> {
    let mut received = Vec::with_capacity(16 << 10);
    let mut answers = Vec::new();
    loop {
        let mut used = 0;
        while !session.ended {
            match parse(&received[used..]) {
                Ok(None) => break,
                Ok(Some((request, length))) => {
                    used += length;
                    if let Some(reply) = session.answer(&request) {
                        reply.write(session.version, &mut answers);
                    }
                }
                Err(error) => {
                    Reply::Error(format!("ERR {error}")).write(session.version, &mut answers);
                    session.ended = true;
                }
            }
            if answers.len() >= SEND_BYTES {
                stream.write_all(&answers).await?;
                answers.clear();
            }
        }
        received.drain(..used);
        stream.write_all(&answers).await?;
        answers.clear();
        if session.ended || received.len() > MAX_REQUEST_BYTES + (1 << 20) {
            return stream.shutdown().await;
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}
