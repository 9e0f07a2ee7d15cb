//! Messages of PostgreSQL's protocol 3.0 (documentation, chapter 53.7): a letter, a length of four
//! bytes that counts itself, a body.

use std::future::pending;
use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest message that is taken.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Bytes that may wait to be sent before nothing more is added to them.
const MAX_WAITING_BYTES: usize = 256 << 10;

/// A connection, with what came and is no whole message yet, and what is still to be sent. Whatever
/// waits on it can be dropped at any time without a loss.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    input: BytesMut,
    output: BytesMut,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, input: BytesMut::new(), output: BytesMut::new() }
    }

    /// Whether more may be given to it for sending.
    pub fn has_room(&self) -> bool {
        self.output.len() < MAX_WAITING_BYTES
    }

    /// Gives it bytes for sending.
    pub fn put(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Waits until something came or was sent; reads only when it may.
    pub async fn progress(&mut self, may_read: bool) -> io::Result<()> {
        let (mut reader, mut writer) = self.stream.split();
        let must_write = !self.output.is_empty();
        tokio::select! {
            read = reader.read_buf(&mut self.input), if may_read => match read? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            },
            written = writer.write_buf(&mut self.output), if must_write => written.map(drop),
            () = pending(), if !may_read && !must_write => Ok(()),
        }
    }

    /// Sends all that is to be sent.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            self.progress(false).await?;
        }
        Ok(())
    }

    /// Takes a message that came whole.
    pub fn take(&mut self) -> io::Result<Option<Message>> {
        self.take_after(1)
    }

    /// Takes a message of the start, which has no letter.
    pub async fn startup_packet(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.take_after(0)? {
                return Ok(message);
            }
            self.progress(true).await?;
        }
    }

    /// Waits for a message.
    pub async fn next(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            self.progress(true).await?;
        }
    }

    fn take_after(&mut self, letter: usize) -> io::Result<Option<Message>> {
        let Some(mut length) = self.input.get(letter..letter + 4) else { return Ok(None) };
        let length = length.get_u32() as usize;
        if !(4..=MAX_MESSAGE_BYTES).contains(&length) {
            let message = format!("expected a message of 4 B to 64 MiB, got {length} B");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        if self.input.len() < letter + length {
            return Ok(None);
        }
        let bytes = self.input.split_to(letter + length).freeze();
        Ok(Some(Message { letter, bytes }))
    }
}

/// A message, as it came.
#[derive(Clone, Debug)]
pub struct Message {
    letter: usize,
    bytes: Bytes,
}

impl Message {
    /// Its letter; a message of the start has none.
    pub fn kind(&self) -> u8 {
        if self.letter == 0 { 0 } else { self.bytes[0] }
    }

    /// What follows its length.
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.letter + 4..]
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text at the start of its body, without the zero that ends it.
    pub fn text(&self) -> &[u8] {
        self.body().split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// A message with this letter and body.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 5);
    bytes.put_u8(kind);
    bytes.put_u32(u32::try_from(body.len() + 4).unwrap_or(u32::MAX));
    bytes.extend_from_slice(body);
    bytes
}

/// A simple query.
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

/// An error that ends the session.
pub fn fatal(code: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0").as_bytes())
}
