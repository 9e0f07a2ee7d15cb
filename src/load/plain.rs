//! HTTP/1.1 in the clear for the plainest exchanges, at half of what hyper costs: a request that was
//! put into bytes before, an answer that is whole within a few reads and says so in one of the two
//! common ways. Whatever is less plain than that, hyper reads, from the first byte on ([`Replay`]).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
    UPGRADE,
};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::replay::Replay;

/// Something that HTTP/1.1 can be spoken over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Largest request and answer.
const MAX_BYTES: usize = 64 * 1024;
/// Reads that an answer may take: each begins anew at its first byte.
const MAX_READS: usize = 16;
/// Headers of an answer, as many as hyper takes.
const MAX_HEADERS: usize = 100;

thread_local! {
    /// Where the connections of a thread read into: an idle one holds no buffer.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; MAX_BYTES]);
}

/// A connection that is used by one exchange after the other.
pub struct Plain {
    stream: Box<dyn Stream>,
}

/// An answer that was plain enough.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its head, as it came.
    pub head: Bytes,
    /// Its body.
    pub body: Bytes,
    /// Whether it sets a cookie.
    pub sets_cookies: bool,
    /// Whether the connection can be used again.
    keeps_alive: bool,
}

/// What came of an exchange.
pub enum Came {
    /// The whole answer, and the connection where it can be used again.
    Answer(Answer, Option<Plain>),
    /// Something that hyper has to read.
    Replay(Replay),
}

impl Plain {
    /// Speaks over a stream.
    pub fn over(stream: Box<dyn Stream>) -> Self {
        Self { stream }
    }

    /// The stream.
    pub fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    /// Whether another request can be sent: nobody has closed it or said anything meanwhile.
    pub async fn is_usable(&mut self) -> bool {
        poll_fn(|context| {
            let mut byte = [0];
            let came = Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut byte));
            Poll::Ready(came.is_pending())
        })
        .await
    }

    /// Sends a request and reads its answer.
    pub async fn exchange(mut self, request: &[u8]) -> Came {
        let mut before = Pieces::default();
        if self.stream.write_all(request).await.is_err() {
            // Whoever refuses a request may have said why.
            return Came::Replay(Replay::new(self.stream, before, None));
        }
        for _ in 0..MAX_READS {
            match poll_fn(|context| self.poll_piece(context, &mut before)).await {
                Ok(Piece::Whole(answer)) => {
                    let keeps_alive = answer.keeps_alive;
                    return Came::Answer(answer, keeps_alive.then_some(self));
                }
                Ok(Piece::Part) => {}
                Ok(Piece::Unusual) => break,
                Err(error) => return Came::Replay(Replay::new(self.stream, before, Some(error))),
            }
        }
        Came::Replay(Replay::new(self.stream, before, None))
    }

    /// Reads once, behind what came before.
    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
        before: &mut Pieces,
    ) -> Poll<io::Result<Piece>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            let piece = read.filled();
            if piece.is_empty() {
                return Poll::Ready(Ok(Piece::Unusual));
            }
            // What is whole at once, as most is, is not kept.
            if before.bytes.is_empty()
                && let whole @ Piece::Whole(_) = understand(piece)
            {
                return Poll::Ready(Ok(whole));
            }
            before.add(piece);
            Poll::Ready(Ok(understand(&before.bytes)))
        })
    }
}

/// What has come of an answer, and in which pieces.
#[derive(Default)]
pub struct Pieces {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Where each piece ends.
    pub ends: VecDeque<usize>,
}

impl Pieces {
    fn add(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        self.ends.push_back(self.bytes.len());
    }
}

/// What that amounts to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Whole(Answer),
    Part,
    /// Whether it is an answer at all is not to be judged here.
    Unusual,
}

/// How long a body is.
#[derive(Clone, Copy)]
enum Length {
    Known(usize),
    Chunked,
}

/// What the bytes that have come amount to. Only what nobody could read in another way is whole.
pub(super) fn understand(bytes: &[u8]) -> Piece {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let head = match config.parse_response_with_uninit_headers(&mut response, bytes, &mut headers) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_BYTES => return Piece::Part,
        _ => return Piece::Unusual,
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let Some(status) = status.filter(|status| status.as_u16() >= 200) else {
        return Piece::Unusual;
    };
    let Some(Framing { length, keeps_alive, sets_cookies }) = Framing::of(&response, status) else {
        return Piece::Unusual;
    };
    let rest = &bytes[head..];
    let body = match length {
        Length::Known(length) if length > MAX_BYTES - head.min(MAX_BYTES) => return Piece::Unusual,
        Length::Known(length) if rest.len() < length => return Piece::Part,
        Length::Known(length) if rest.len() > length => return Piece::Unusual,
        Length::Known(_) => None,
        Length::Chunked => match unchunk(rest) {
            Chunks::Whole(body) => Some(body),
            Chunks::Part if bytes.len() < MAX_BYTES => return Piece::Part,
            _ => return Piece::Unusual,
        },
    };
    let whole = Bytes::copy_from_slice(if body.is_some() { &bytes[..head] } else { bytes });
    Piece::Whole(Answer {
        status,
        body: body.unwrap_or_else(|| whole.slice(head..)),
        head: whole.slice(..head),
        sets_cookies,
        keeps_alive,
    })
}

/// What the headers say about body and connection.
struct Framing {
    length: Length,
    keeps_alive: bool,
    sets_cookies: bool,
}

impl Framing {
    /// None where they say it in an unusual way, twice, or not at all.
    fn of(response: &httparse::Response<'_, '_>, status: StatusCode) -> Option<Self> {
        if response.version != Some(1) {
            return None;
        }
        let (mut length, mut connection, mut sets_cookies) = (None, None, false);
        for header in response.headers.iter() {
            let is = |name: &HeaderName| header.name.eq_ignore_ascii_case(name.as_str());
            if is(&CONTENT_LENGTH) {
                let digits = header.value.iter().all(u8::is_ascii_digit) && header.value.len() < 9;
                let known =
                    digits.then(|| std::str::from_utf8(header.value).ok()?.parse().ok())??;
                if length.replace(Length::Known(known)).is_some() {
                    return None;
                }
            } else if is(&TRANSFER_ENCODING) {
                let chunked = header.value.eq_ignore_ascii_case(b"chunked");
                if !chunked || length.replace(Length::Chunked).is_some() {
                    return None;
                }
            } else if is(&CONNECTION) {
                let keeps_alive = match header.value {
                    value if value.eq_ignore_ascii_case(b"keep-alive") => true,
                    value if value.eq_ignore_ascii_case(b"close") => false,
                    _ => return None,
                };
                if connection.replace(keeps_alive).is_some() {
                    return None;
                }
            } else {
                sets_cookies |= header.name.eq_ignore_ascii_case("set-cookie");
            }
        }
        // These have no body, whatever they say (RFC 9112, 6.3).
        let bodyless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let length = if bodyless { Length::Known(0) } else { length? };
        Some(Self { length, keeps_alive: connection.unwrap_or(true), sets_cookies })
    }
}

enum Chunks {
    Whole(Bytes),
    Part,
    Unusual,
}

/// The body behind chunks without extensions, trailers or anything else than that (RFC 9112, 7.1).
fn unchunk(bytes: &[u8]) -> Chunks {
    const MAX_DIGITS: usize = 5;
    let (mut body, mut rest) = (BytesMut::new(), bytes);
    loop {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let line = &rest[digits..];
        if digits > MAX_DIGITS || !(line.starts_with(b"\r\n") || b"\r\n".starts_with(line)) {
            return Chunks::Unusual;
        }
        if line.len() < 2 {
            return Chunks::Part;
        }
        let size = std::str::from_utf8(&rest[..digits]).ok();
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else {
            return Chunks::Unusual;
        };
        let chunk = &line[2..];
        let end = chunk.get(size..).unwrap_or_default();
        if !(end.starts_with(b"\r\n") || b"\r\n".starts_with(end)) {
            return Chunks::Unusual;
        }
        if end.len() < 2 {
            return Chunks::Part;
        }
        body.extend_from_slice(&chunk[..size]);
        rest = &end[2..];
        match (size, rest.is_empty()) {
            (0, true) => return Chunks::Whole(body.freeze()),
            (0, false) => return Chunks::Unusual,
            _ => {}
        }
    }
}

/// The headers of a head that was understood.
pub fn headers(head: &[u8]) -> HeaderMap {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let mut map = HeaderMap::new();
    if config.parse_response_with_uninit_headers(&mut response, head, &mut headers).is_ok() {
        for header in response.headers.iter() {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(header.name), HeaderValue::from_bytes(header.value))
            {
                map.append(name, value);
            }
        }
    }
    map
}

/// A request in bytes, as hyper would write it; none where its answer could not be plain, or hyper
/// would have more to say about it.
pub fn request(method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Option<Vec<u8>> {
    let ordinary = !matches!(*method, Method::HEAD | Method::CONNECT)
        && [CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE]
            .iter()
            .all(|name| !headers.contains_key(name));
    let sent = PathAndQuery::try_from(path).ok()?;
    if !ordinary || sent.as_str() != path || !path.starts_with('/') {
        return None;
    }
    let mut bytes = Vec::with_capacity(512 + body.len());
    for part in [method.as_str(), " ", path, " HTTP/1.1\r\n"] {
        bytes.extend_from_slice(part.as_bytes());
    }
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    (bytes.len() <= MAX_BYTES).then_some(bytes)
}
