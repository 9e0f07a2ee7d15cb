//! A client of a run: what it hears from the engine, and how it asks for something.

use tokio::sync::mpsc;

use super::control::{Command, CommandId};
use super::event::Event;
use super::state::RunState;

/// What a client hears.
#[derive(Clone, Debug)]
pub enum ClientUpdate {
    /// The connection is being made; what is being waited for, in words.
    Connecting(String),
    /// The state up to now. Comes first, and again after a reconnection.
    Snapshot(Box<RunState>),
    /// An event after the snapshot, in order.
    Event(Box<Event>),
    /// A command was refused because this client only watches.
    ReadOnly {
        /// The client's number for it.
        id: CommandId,
    },
    /// The connection is gone for good; why, in words.
    Disconnected(String),
}

/// A client's end of the connection.
pub struct EngineClient {
    /// What the engine says.
    pub updates: mpsc::Receiver<ClientUpdate>,
    /// Whether this client only watches.
    pub read_only: bool,
    commands: mpsc::Sender<(CommandId, Command)>,
    next_id: CommandId,
}

/// The other end: the connection task, or a test.
pub struct EngineClientPeer {
    /// What the client is to hear.
    pub updates: mpsc::Sender<ClientUpdate>,
    /// What the client asks for.
    pub commands: mpsc::Receiver<(CommandId, Command)>,
}

impl EngineClient {
    /// Both ends of a connection.
    pub fn pair(read_only: bool) -> (Self, EngineClientPeer) {
        let (update_sender, updates) = mpsc::channel(256);
        let (commands, command_receiver) = mpsc::channel(64);
        // Acknowledgements go to every client: two of them must not use the same numbers.
        let next_id = u64::from(rand::random::<u32>()) << 16;
        let client = Self { updates, read_only, commands, next_id };
        (client, EngineClientPeer { updates: update_sender, commands: command_receiver })
    }

    /// Sends a command; returns its number, or none when the connection is gone or stuck. The
    /// acknowledgement comes as an event.
    pub fn send(&mut self, command: Command) -> Option<CommandId> {
        let id = self.next_id;
        self.commands.try_send((id, command)).ok()?;
        self.next_id += 1;
        Some(id)
    }
}
