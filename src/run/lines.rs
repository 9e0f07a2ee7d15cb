//! JSON lines over a socket, bounded.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Writes one value as one line.
pub(super) async fn write_line<T: Serialize>(
    writer: &mut (impl AsyncWrite + Unpin),
    value: &T,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// Reads one line of at most `max_bytes`; none at the end of the stream. A whole line that cannot be
/// understood is `InvalidData`. Not cancel-safe: a line
/// that was read in part is lost with the future.
pub(super) async fn read_line<T: DeserializeOwned>(
    reader: &mut (impl AsyncBufRead + Unpin),
    max_bytes: u64,
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    let n = reader.take(max_bytes).read_until(b'\n', &mut line).await?;
    if n == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(match n as u64 == max_bytes {
            true => io::Error::new(io::ErrorKind::InvalidData, "the line is too long"),
            false => io::Error::new(io::ErrorKind::UnexpectedEof, "the line is cut"),
        });
    }
    let value = serde_json::from_slice(&line);
    value.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
