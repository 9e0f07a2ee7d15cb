//! A client's connection to the engine of a run, made anew when it is lost while the engine lives.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::client::{ClientUpdate, EngineClient, EngineClientPeer};
use super::control::{Command, CommandId, Reply, Request};
use super::event::EventBody;
use super::folder::RunFolder;
use super::journal;
use super::lines::{read_line, write_line};
use super::socket;

/// Longest line of the engine: a snapshot of a long run.
const MAX_REPLY_BYTES: u64 = 64 * 1024 * 1024;
/// How long an engine may take to say why it went.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long a fresh engine may take until it is alive.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts to connect; between two connections that were lost it doubles up to the second.
const RETRY: Duration = Duration::from_millis(20);
const LONGEST_RETRY: Duration = Duration::from_secs(1);

/// Connects to the engine of a run in the background; `name` stands in acknowledgements.
pub fn connect(run: &RunFolder, name: String, read_only: bool) -> EngineClient {
    let (client, peer) = EngineClient::pair(read_only);
    let connection = Connection { run_dir: run.path().to_owned(), name, read_only, peer };
    tokio::spawn(connection.run());
    client
}

struct Connection {
    run_dir: PathBuf,
    name: String,
    read_only: bool,
    peer: EngineClientPeer,
}

/// What an attempt to connect came to.
enum Reached {
    /// The engine.
    Engine(UnixStream),
    /// The last that will be heard.
    End(ClientUpdate),
}

/// How one connection ended.
enum Lost {
    /// The run is over.
    Finished,
    /// The client is gone.
    NoClient,
    /// The engine speaks another language; another attempt would end the same way.
    NotUnderstood(String),
    /// Anything else; it may be worth another attempt.
    Dropped,
}

impl Connection {
    async fn run(mut self) {
        let mut pause = RETRY;
        loop {
            let stream = match self.reach().await {
                Reached::Engine(stream) => stream,
                Reached::End(update) => {
                    let _ = self.peer.updates.send(update).await;
                    return;
                }
            };
            log::info!("connected to the engine");
            match self.converse(stream).await {
                Lost::Finished | Lost::NoClient => return,
                Lost::NotUnderstood(reason) => {
                    let reason = format!(
                        "the engine of this run says what this program does not understand \
                         ({reason}): attach with the version of shakedown that started it"
                    );
                    let _ = self.peer.updates.send(ClientUpdate::Disconnected(reason)).await;
                    return;
                }
                Lost::Dropped => log::warn!("the connection was lost; connecting again"),
            }
            // A connection that never works must not keep the engine busy.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
    }

    async fn reach(&self) -> Reached {
        let waiting = ClientUpdate::Connecting("waiting for the engine".into());
        let _ = self.peer.updates.send(waiting).await;
        let run = RunFolder::at(self.run_dir.clone());
        let deadline = Instant::now() + START_PATIENCE;
        let mut began = false;
        loop {
            if let Ok(stream) = socket::connect(&self.run_dir).await {
                return Reached::Engine(stream);
            }
            let alive = run.has_live_engine();
            if let Some(reason) = read_refusal(&self.run_dir) {
                return Reached::End(ClientUpdate::Disconnected(reason));
            }
            if !alive && (began || Instant::now() >= deadline) {
                // An engine that refuses lets go of its run before it has written why.
                tokio::time::sleep(LAST_WORDS).await;
                let reason = read_refusal(&self.run_dir).map(ClientUpdate::Disconnected);
                return Reached::End(reason.unwrap_or_else(|| self.last_words(&run)));
            }
            began |= alive || journal::exists(&self.run_dir);
            tokio::time::sleep(RETRY).await;
        }
    }

    /// What there is to say of a run whose engine is gone: its end, or that it has none.
    fn last_words(&self, run: &RunFolder) -> ClientUpdate {
        match journal::read(&self.run_dir) {
            // It was over before this client had connected.
            Ok(recorded) if recorded.state.verdict.is_some() => {
                ClientUpdate::Snapshot(Box::new(recorded.state))
            }
            _ => ClientUpdate::Disconnected(format!(
                "the engine is gone: `shakedown recover` heals, `shakedown report {}` tells",
                run.id()
            )),
        }
    }

    async fn converse(&mut self, stream: UnixStream) -> Lost {
        let (read, mut write) = stream.into_split();
        let hello = Request::Hello { client: self.name.clone(), read_only: self.read_only };
        if write_line(&mut write, &hello).await.is_err() {
            return Lost::Dropped;
        }
        let reader = forward_replies(BufReader::new(read), self.peer.updates.clone());
        tokio::pin!(reader);
        loop {
            tokio::select! {
                lost = &mut reader => return lost,
                command = self.peer.commands.recv() => {
                    let Some((id, command)) = command else { return Lost::NoClient };
                    if send_command(&mut write, id, command).await.is_err() {
                        return Lost::Dropped;
                    }
                }
            }
        }
    }
}

async fn send_command(
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
    id: CommandId,
    command: Command,
) -> std::io::Result<()> {
    write_line(write, &Request::Command { id, command }).await
}

async fn forward_replies(
    mut reader: BufReader<OwnedReadHalf>,
    updates: mpsc::Sender<ClientUpdate>,
) -> Lost {
    let mut finished = false;
    loop {
        let reply = match read_line(&mut reader, MAX_REPLY_BYTES).await {
            Ok(Some(reply)) => reply,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Lost::NotUnderstood(error.to_string());
            }
            Ok(None) | Err(_) => break,
        };
        let update = match reply {
            Reply::Snapshot { state } => {
                finished |= state.verdict.is_some();
                ClientUpdate::Snapshot(state)
            }
            Reply::Event { event } => {
                finished |= matches!(event.body, EventBody::RunFinished { .. });
                ClientUpdate::Event(Box::new(event))
            }
            Reply::ReadOnly { id } => ClientUpdate::ReadOnly { id },
        };
        if updates.send(update).await.is_err() {
            return Lost::NoClient;
        }
    }
    if finished { Lost::Finished } else { Lost::Dropped }
}

/// Name of the file in which an engine that could not start says why.
const REFUSAL_FILE: &str = "refused.txt";

/// Says why the engine could not start, for whoever waits for it.
pub fn write_refusal(run_dir: &Path, reason: &str) {
    let _ = super::folder::write_atomically(&run_dir.join(REFUSAL_FILE), reason.as_bytes());
}

fn read_refusal(run_dir: &Path) -> Option<String> {
    std::fs::read_to_string(run_dir.join(REFUSAL_FILE)).ok()
}

/// Whether the engine could not start.
pub fn was_refused(run_dir: &Path) -> bool {
    run_dir.join(REFUSAL_FILE).exists()
}
