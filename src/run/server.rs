//! The control socket's server: a snapshot and then every event to each client, commands from it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::assembly::Inbound;
use super::control::{Reply, Request, one_line};
use super::event::Event;
use super::lines::{read_line, write_line};
use super::recorder::EventSink;
use super::socket::ControlSocket;

/// Longest line that a client may send.
const MAX_REQUEST_BYTES: u64 = 64 * 1024;
/// A client that is not through with its greeting, or takes no byte for so long, is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is seen to that clients find the socket.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long clients get to read the last events of a run.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves clients until the run is over, then lets them read to the end. `operators` follows the
/// number of attached clients that may send commands.
pub async fn serve(
    mut socket: ControlSocket,
    events: EventSink,
    inbox: mpsc::Sender<Inbound>,
    operators: watch::Sender<u32>,
    mut over: watch::Receiver<bool>,
) {
    let operators = Arc::new(operators);
    let mut clients = JoinSet::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut lost = false;
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok(stream) => {
                    let client = Client {
                        events: events.clone(),
                        inbox: inbox.clone(),
                        operators: Arc::clone(&operators),
                    };
                    clients.spawn(client.serve(stream));
                }
                // Out of descriptors, most likely: give others a chance to be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = clients.join_next() => {}
            _ = looks.tick() => lost = stays_lost(&mut socket, lost),
            _ = over.changed() => break,
        }
    }
    events.close_subscriptions();
    let farewell = async { while clients.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// Sees to it that clients find the socket; tells whether they cannot.
fn stays_lost(socket: &mut ControlSocket, lost: bool) -> bool {
    let found = socket.stay_findable();
    match &found {
        Ok(true) => log::info!("the control socket had been removed; it is there again"),
        Err(error) if !lost => log::warn!("operators cannot reach this run any more: {error}"),
        _ => {}
    }
    found.is_err()
}

struct Client {
    events: EventSink,
    inbox: mpsc::Sender<Inbound>,
    operators: Arc<watch::Sender<u32>>,
}

impl Client {
    async fn serve(self, stream: UnixStream) {
        let (read, write) = stream.into_split();
        let mut reader = BufReader::new(read);
        let hello = tokio::time::timeout(PATIENCE, read_line(&mut reader, MAX_REQUEST_BYTES)).await;
        let Ok(Ok(Some(Request::Hello { client, read_only }))) = hello else { return };
        let name = one_line(&client, 60);
        let _attached = (!read_only).then(|| Attached::new(&self.operators));
        let (refusals, refused) = mpsc::channel(16);
        tokio::select! {
            _ = self.read_commands(reader, &name, read_only, refusals) => {}
            _ = self.write_events(write, refused) => {}
        }
    }

    async fn read_commands(
        &self,
        mut reader: BufReader<OwnedReadHalf>,
        name: &str,
        read_only: bool,
        refusals: mpsc::Sender<Reply>,
    ) -> io::Result<()> {
        while let Some(request) = read_line(&mut reader, MAX_REQUEST_BYTES).await? {
            let Request::Command { id, command } = request else { continue };
            if read_only {
                let _ = refusals.send(Reply::ReadOnly { id }).await;
            } else {
                let command = Inbound::Command { id, client: name.to_owned(), command };
                if self.inbox.send(command).await.is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn write_events(
        &self,
        write: OwnedWriteHalf,
        mut refused: mpsc::Receiver<Reply>,
    ) -> io::Result<()> {
        let mut writer = BufWriter::new(write);
        let mut subscription = self.events.subscribe();
        let snapshot = Reply::Snapshot { state: Box::new(subscription.snapshot) };
        patiently(write_line(&mut writer, &snapshot)).await?;
        loop {
            patiently(writer.flush()).await?;
            tokio::select! {
                event = subscription.events.recv() => {
                    // Closed: the run is over, or this client has fallen too far behind.
                    let Some(event) = event else { break };
                    patiently(write_event(&mut writer, &event)).await?;
                    while let Ok(event) = subscription.events.try_recv() {
                        patiently(write_event(&mut writer, &event)).await?;
                    }
                }
                Some(reply) = refused.recv() => patiently(write_line(&mut writer, &reply)).await?,
            }
        }
        patiently(writer.shutdown()).await
    }
}

async fn write_event(writer: &mut BufWriter<OwnedWriteHalf>, event: &Arc<Event>) -> io::Result<()> {
    write_line(writer, &Reply::Event { event: (**event).clone() }).await
}

async fn patiently(work: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::time::timeout(PATIENCE, work).await.map_err(io::Error::from)?
}

/// An operator is attached as long as this lives.
struct Attached(Arc<watch::Sender<u32>>);

impl Attached {
    fn new(operators: &Arc<watch::Sender<u32>>) -> Self {
        operators.send_modify(|attached| *attached += 1);
        Self(Arc::clone(operators))
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.send_modify(|attached| *attached -= 1);
    }
}
