//! A client's turn: its messages go to the engine and the answers back, until the transaction is over.

use std::io;
use std::time::Duration;

use super::engine::Engine;
use super::memory::Memory;
use super::wire::{Message, Wire, fatal, message, query};

/// How long a client may keep a transaction open without a word while others wait.
const IDLE: Duration = Duration::from_secs(60);
/// How long the engine may take to end what a client left behind.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// First words of statements that a full store refuses.
const GROWING: [&[u8]; 5] = [b"INSERT", b"UPDATE", b"COPY", b"CREATE", b"MERGE"];

/// Why a turn ended before the transaction did.
#[derive(Debug)]
pub enum Ended {
    /// The client went, or was sent away.
    Client(io::Error),
    /// The engine's session broke.
    Engine(io::Error),
}

/// A turn.
pub struct Turn<'a> {
    engine: &'a Engine,
    wire: &'a mut Wire,
    /// Answers `ReadyForQuery` that are still to come.
    awaited: usize,
    /// Whether messages were sent that no `Sync` followed.
    open: bool,
    /// Whether the last thing asked was a simple query.
    simple: bool,
    /// Whether the engine waits for rows.
    copying: bool,
    /// State of the transaction, as the engine told it last.
    status: u8,
}

impl<'a> Turn<'a> {
    pub fn new(engine: &'a Engine, wire: &'a mut Wire) -> Self {
        let (awaited, open, simple, copying) = (0, false, false, false);
        Self { engine, wire, awaited, open, simple, copying, status: b'I' }
    }

    /// Makes the engine's session this client's.
    pub async fn prepare(&mut self, memory: &Memory) -> Result<(), Ended> {
        let (bytes, answers) = memory.recall();
        self.wire.put(&bytes);
        self.awaited = answers;
        self.drain().await.map_err(Ended::Engine)
    }

    /// Carries messages until the transaction is over.
    pub async fn serve(
        &mut self,
        first: Message,
        client: &mut Wire,
        memory: &mut Memory,
    ) -> Result<(), Ended> {
        self.forward(&first, client, memory)?;
        loop {
            while self.wire.has_room() {
                let Some(said) = client.take().map_err(Ended::Client)? else { break };
                self.forward(&said, client, memory)?;
            }
            while client.has_room() {
                if self.is_over() {
                    return Ok(());
                }
                let Some(answer) = self.wire.take().map_err(Ended::Engine)? else { break };
                self.note_answer(&answer);
                client.put(answer.bytes());
            }
            let (up, down) = (self.wire.has_room(), client.has_room());
            tokio::select! {
                moved = client.progress(up) => moved.map_err(Ended::Client)?,
                moved = self.wire.progress(down) => moved.map_err(Ended::Engine)?,
                () = tokio::time::sleep(IDLE), if self.awaited == 0 => {
                    client.put(&fatal("25P03", "idle in a transaction while others wait"));
                    return Err(Ended::Client(io::ErrorKind::TimedOut.into()));
                }
            }
        }
    }

    /// Ends what a client left behind, so that the next one finds the engine idle.
    pub async fn settle(&mut self) -> io::Result<()> {
        let settled = async {
            if self.copying {
                self.abandon_copy();
            } else if self.open {
                self.wire.put(&message(b'S', b""));
                self.awaited += 1;
            }
            self.drain().await?;
            if self.status != b'I' {
                self.wire.put(&query("ROLLBACK"));
                self.awaited += 1;
                self.drain().await?;
            }
            Ok(())
        };
        tokio::time::timeout(SETTLED_WITHIN, settled).await?
    }

    fn is_over(&self) -> bool {
        self.awaited == 0 && !self.open && self.status == b'I'
    }

    /// Sends on what the client said.
    fn forward(
        &mut self,
        said: &Message,
        client: &mut Wire,
        memory: &mut Memory,
    ) -> Result<(), Ended> {
        if self.engine.is_full() && grows(said) {
            client.put(&fatal("53100", "the sandbox's store is full"));
            return Err(Ended::Client(io::ErrorKind::StorageFull.into()));
        }
        match said.kind() {
            b'X' => return Err(Ended::Client(io::ErrorKind::UnexpectedEof.into())),
            b'S' if self.copying => self.open = true,
            kind @ (b'Q' | b'F' | b'S') => {
                self.awaited += 1;
                self.simple = kind == b'Q';
                self.open = false;
            }
            b'c' | b'f' => self.copying = false,
            b'd' => {}
            _ => self.open = true,
        }
        if self.status == b'I' || said.kind() != b'Q' {
            memory.note(said);
        }
        self.wire.put(said.bytes());
        Ok(())
    }

    /// Looks at an answer on its way to the client.
    fn note_answer(&mut self, answer: &Message) {
        match answer.kind() {
            b'Z' => {
                self.awaited = self.awaited.saturating_sub(1);
                self.status = answer.body().first().copied().unwrap_or(b'I');
                self.copying = false;
            }
            b'G' => {
                self.copying = true;
                if !self.simple {
                    // The engine overlooks the sync before the rows; another one follows them.
                    self.awaited = self.awaited.saturating_sub(1);
                    self.open = true;
                }
            }
            b'E' => self.copying = false,
            _ => {}
        }
    }

    fn abandon_copy(&mut self) {
        self.wire.put(&message(b'f', b"the client is gone\0"));
        if !self.simple {
            self.wire.put(&message(b'S', b""));
            self.awaited += 1;
        }
        (self.copying, self.open) = (false, false);
    }

    /// Reads answers, which nobody wants, until none is to come.
    async fn drain(&mut self) -> io::Result<()> {
        while self.awaited > 0 {
            let answer = self.wire.next().await?;
            self.note_answer(&answer);
            if self.copying {
                self.abandon_copy();
            }
        }
        Ok(())
    }
}

/// Whether a message would make the store hold more.
fn grows(said: &Message) -> bool {
    let sql = match said.kind() {
        b'd' => return true,
        b'Q' => said.body(),
        b'P' => said.body().get(said.text().len() + 1..).unwrap_or_default(),
        _ => return false,
    };
    let sql = sql.trim_ascii_start();
    GROWING.iter().any(|word| sql.get(..word.len()).is_some_and(|is| is.eq_ignore_ascii_case(word)))
}
