//! The engine: one session of it, which the clients have in turns.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pglite_oxide::PgliteServer;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard, Notify};

use super::startup::NAME;
use super::wire::{Message, Wire};
use crate::sandbox::stores::limits;

/// How often the size of what it holds is looked at.
const MEASURED_EVERY: Duration = Duration::from_secs(1);

/// A running engine. It ends with the process.
#[derive(Debug)]
pub struct Engine {
    session: Mutex<Session>,
    greeting: Vec<u8>,
    full: Arc<AtomicBool>,
    ended: Notify,
}

/// The engine's one session.
#[derive(Debug)]
pub struct Session {
    pub wire: Wire,
    /// The client whose settings and statements it has.
    pub owner: Option<u64>,
}

impl Engine {
    /// Starts it with an empty database in the folder for temporary files.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> io::Result<Self> {
        let start = || PgliteServer::builder().temporary().relaxed_durability(true).start();
        let started = tokio::task::spawn_blocking(start).await?;
        let server = started.map_err(|error| io::Error::other(format!("{error:#}")))?;
        let address = server.tcp_addr().ok_or_else(|| io::Error::other("no address"))?;
        let root = server.root().to_owned();
        // Its end would wait for a session that is never over.
        std::mem::forget(server);
        // It serves who comes first until that one goes, and everybody else not at all.
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut wire = Wire::new(stream);
        let greeting = greet(&mut wire).await?;
        let full = Arc::new(AtomicBool::new(false));
        tokio::spawn(measure(root, full.clone()));
        let session = Mutex::new(Session { wire, owner: None });
        Ok(Self { session, greeting, full, ended: Notify::new() })
    }

    /// What it says of itself to a client that is admitted: its parameters, and that it is ready.
    pub fn greeting(&self) -> &[u8] {
        &self.greeting
    }

    /// Waits for its turn, behind all who asked before.
    pub async fn turn(&self) -> MutexGuard<'_, Session> {
        self.session.lock().await
    }

    /// Whether it holds as much as a store may.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Says that its session broke.
    pub fn end(&self) {
        self.ended.notify_one();
    }

    /// Returns when its session broke.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }
}

async fn greet(wire: &mut Wire) -> io::Result<Vec<u8>> {
    let parameters = format!("\0\x03\0\0user\0{NAME}\0database\0{NAME}\0\0");
    let length = u32::try_from(parameters.len() + 4).unwrap_or_default();
    wire.put(&[&length.to_be_bytes(), parameters.as_bytes()].concat());
    let mut greeting = Vec::new();
    loop {
        let message: Message = wire.next().await?;
        match message.kind() {
            b'S' => greeting.extend_from_slice(message.bytes()),
            b'Z' => {
                greeting.extend_from_slice(message.bytes());
                return Ok(greeting);
            }
            b'E' => return Err(io::Error::other("the embedded PostgreSQL does not start")),
            _ => {}
        }
    }
}

/// Looks again and again at the size of its files and of its memory.
async fn measure(root: PathBuf, full: Arc<AtomicBool>) {
    loop {
        tokio::time::sleep(MEASURED_EVERY).await;
        let root = root.clone();
        let held = tokio::task::spawn_blocking(move || bytes_below(&root)).await;
        let is_full = limits::is_full() || held.is_ok_and(|held| held > limits::MAX_BYTES);
        full.store(is_full, Ordering::Relaxed);
    }
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        // Gone since it was listed.
        Err(_) => 0,
    };
    entries.map(size).sum()
}
