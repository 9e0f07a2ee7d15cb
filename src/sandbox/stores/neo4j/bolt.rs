//! Bolt 4: the handshake, and messages in chunks. <https://neo4j.com/docs/bolt/current/bolt/>

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::packstream::Writer;

/// What a client says first.
const MAGIC: [u8; 4] = [0x60, 0x60, 0xb0, 0x17];
/// Versions that are spoken, minor numbers of the major version 4.
const MINORS: std::ops::RangeInclusive<u8> = 0..=4;
/// Longest message.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Longest chunk that is sent.
const CHUNK_BYTES: usize = 0xffff;

/// The version that is spoken of those that a client proposes: each four bytes, a range of minor
/// versions below the greatest, the greatest minor, the major.
pub fn choose(proposals: &[u8; 16]) -> Option<u8> {
    proposals.chunks_exact(4).find_map(|proposal| {
        let [_, range, minor, major] = proposal else { return None };
        let least = minor.saturating_sub(*range);
        let spoken = (least..=*minor).rev().find(|minor| MINORS.contains(minor));
        spoken.filter(|_| *major == 4)
    })
}

/// Agrees on a version; none when there is none that both speak.
pub async fn shake_hands(stream: &mut TcpStream) -> io::Result<Option<u8>> {
    let mut hello = [0; 20];
    stream.read_exact(&mut hello).await?;
    let (magic, proposals) = hello.split_at(4);
    let proposals: Option<&[u8; 16]> = proposals.try_into().ok();
    let minor = proposals.filter(|_| magic == MAGIC).and_then(choose);
    if magic == MAGIC {
        let chosen = minor.map_or([0; 4], |minor| [0, 0, minor, 4]);
        stream.write_all(&chosen).await?;
    }
    Ok(minor)
}

/// Reads a message; none when the peer has ended the connection.
pub async fn receive(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    loop {
        let mut length = [0; 2];
        match stream.read_exact(&mut length).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && message.is_empty() => {
                return Ok(None);
            }
            read => read?,
        };
        let length = usize::from(u16::from_be_bytes(length));
        if length == 0 {
            // Alone it only keeps the connection alive.
            if message.is_empty() {
                continue;
            }
            return Ok(Some(message));
        }
        if message.len() + length > MAX_MESSAGE_BYTES {
            return Err(io::Error::other("too long a message"));
        }
        let begin = message.len();
        message.resize(begin + length, 0);
        stream.read_exact(&mut message[begin..]).await?;
    }
}

/// Appends a message in chunks.
pub fn put(to: &mut Vec<u8>, message: &Writer) {
    for chunk in message.0.chunks(CHUNK_BYTES) {
        to.extend_from_slice(&(chunk.len() as u16).to_be_bytes());
        to.extend_from_slice(chunk);
    }
    to.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_proposal_that_is_spoken_is_chosen() {
        let of =
            |proposals: [[u8; 4]; 4]| choose(proposals.as_flattened().try_into().expect("sixteen"));
        assert_eq!(of([[0, 0, 4, 4], [0, 0, 3, 4], [0, 0, 1, 4], [0, 0, 0, 4]]), Some(4));
        assert_eq!(of([[0, 0, 4, 5], [0, 2, 4, 4], [0; 4], [0; 4]]), Some(4));
        assert_eq!(of([[0, 3, 6, 4], [0; 4], [0; 4], [0; 4]]), Some(4));
        assert_eq!(of([[0, 0, 4, 5], [0, 0, 0, 3], [0; 4], [0; 4]]), None);
    }
}
