//! A tunnel through an HTTP proxy (RFC 9110, 9.3.6: CONNECT).

use hyper::header::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::platform::text::excerpt;

/// Longest head of a proxy's answer.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Most headers of a proxy's answer.
const MAX_HEADERS: usize = 64;

pub(super) async fn tunnel(
    mut stream: TcpStream,
    to: &str,
    authorization: Option<&HeaderValue>,
) -> Result<TcpStream, String> {
    let mut ask = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        ask.extend_from_slice(b"Proxy-Authorization: ");
        ask.extend_from_slice(authorization.as_bytes());
        ask.extend_from_slice(b"\r\n");
    }
    ask.extend_from_slice(b"\r\n");
    stream.write_all(&ask).await.map_err(|error| error.to_string())?;
    let mut head = Vec::new();
    loop {
        if stream.read_buf(&mut head).await.map_err(|error| error.to_string())? == 0 {
            return Err("it hung up".into());
        }
        if let Some(status) = status_of(&head)? {
            return match status {
                200..=299 => Ok(stream),
                407 => Err("it asks for credentials (status 407)".into()),
                other => Err(format!("it refuses the tunnel (status {other})")),
            };
        }
    }
}

/// The status of a proxy's answer as soon as its head is whole; none while more of it is to come.
///
/// # Errors
/// In words, when this is no HTTP, has no end, or something follows where nothing may.
pub fn status_of(head: &[u8]) -> Result<Option<u16>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    match answer.parse(head) {
        Ok(httparse::Status::Complete(end)) => {
            let status = answer.code.unwrap_or_default();
            // Nobody has anything to say before the client has begun its handshake.
            if (200..300).contains(&status) && end != head.len() {
                return Err("it speaks before it is spoken to".into());
            }
            Ok(Some(status))
        }
        Ok(httparse::Status::Partial) if head.len() < MAX_HEAD_BYTES => Ok(None),
        Ok(httparse::Status::Partial) => Err("its answer has no end".into()),
        Err(error) => Err(excerpt(&format!("no HTTP: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_says_is_read_with_care() {
        assert_eq!(status_of(b"HTTP/1.1 200 OK\r\n"), Ok(None));
        assert_eq!(status_of(b"HTTP/1.1 200 OK\r\n\r\n"), Ok(Some(200)));
        assert_eq!(status_of(b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno"), Ok(Some(407)));
        assert!(status_of(b"HTTP/1.1 200 OK\r\n\r\ngarbage").is_err());
        assert!(status_of(b"SSH-2.0-OpenSSH\r\n").is_err());
        let endless = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'a'; MAX_HEAD_BYTES]].concat();
        assert!(status_of(&endless).is_err());
    }
}
