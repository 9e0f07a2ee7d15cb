//! Server-sent events, as they arrive (WHATWG HTML, section 9.2).

use hyper::body::Incoming;
use tokio::time::Instant;

use super::exchange::{Failure, MAX_BODY_BYTES, next_piece};
use crate::run::event::ErrorKind;

/// Longest event that is taken in.
const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// An event is longer than anybody needs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an event of more than {MAX_EVENT_BYTES} bytes")]
pub struct EventTooLong;

/// Takes a stream apart into events, whatever pieces it arrives in.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
}

impl SseParser {
    /// Takes a piece of the stream in and calls `each` with the data of every event that is complete.
    ///
    /// # Errors
    /// When an event grows beyond its bound.
    pub fn feed(&mut self, piece: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), EventTooLong> {
        for &byte in piece {
            let ends_crlf = self.after_cr && byte == b'\n';
            self.after_cr = byte == b'\r';
            match byte {
                _ if ends_crlf => {}
                b'\n' | b'\r' => self.end_line(&mut each),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.data.len() > MAX_EVENT_BYTES {
                return Err(EventTooLong);
            }
        }
        Ok(())
    }

    fn end_line(&mut self, each: &mut impl FnMut(&[u8])) {
        if self.line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                each(&self.data);
            }
            self.data.clear();
        } else if let Some(value) = self.line.strip_prefix(b"data")
            && let Some(value) = value.strip_prefix(b":").or(value.is_empty().then_some(value))
        {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            self.has_data = true;
        }
        self.line.clear();
    }
}

/// Reads a stream up to its end, or to the piece with the event for which it was read: `each` is told the data
/// of every event and when it came, and whether that was it is what it returns. Returns the bytes that came.
pub async fn read(
    body: &mut Incoming,
    mut each: impl FnMut(&[u8], Instant) -> bool,
) -> Result<usize, Failure> {
    let broken = |detail: String| Failure::new(ErrorKind::Protocol, detail);
    let (mut parser, mut bytes, mut is_over) = (SseParser::default(), 0, false);
    while !is_over && let Some(piece) = next_piece(body).await? {
        let at = Instant::now();
        bytes += piece.len();
        if bytes > MAX_BODY_BYTES {
            return Err(broken("a stream of more than 8 MiB".into()));
        }
        let fed = parser.feed(&piece, |data| is_over |= each(data, at));
        fed.map_err(|error| broken(error.to_string()))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(pieces: &[&[u8]]) -> Vec<String> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for piece in pieces {
            let each = |data: &[u8]| events.push(String::from_utf8_lossy(data).into_owned());
            parser.feed(piece, each).expect("short events");
        }
        events
    }

    #[test]
    fn fields_comments_and_line_ends_are_told_apart() {
        let stream = b": hello\r\nevent: x\r\ndata: a\r\ndata:b\r\n\r\n:\n\ndata\n\ndatum: no\n\ndata: c\r\r";
        assert_eq!(parse(&[stream]), ["a\nb", "", "c"]);
    }

    #[test]
    fn an_event_without_end_is_refused_at_its_bound() {
        let mut parser = SseParser::default();
        let piece = [b'x'; 64 * 1024];
        let fed = (0..100).try_for_each(|_| parser.feed(&piece, |_| ()));
        assert_eq!(fed, Err(EventTooLong));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            stream in prop::collection::vec(prop::sample::select(b"data: x\r\n\n:\xc3\xbc".to_vec()), 0..200),
            cuts in prop::collection::vec(0usize..200, 0..10),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parse(&pieces), parse(&[&stream]));
        }
    }
}
