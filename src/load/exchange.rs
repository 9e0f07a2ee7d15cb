//! One HTTP exchange of a virtual user, bounded in every direction.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, SET_COOKIE, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::Instant;

use super::cookies::{Cookies, Origin};
use super::plain::{self, Came, Plain, Stream};
use super::replay::Replay;
use crate::platform::connection::{ConnectError, Connection, Spoken};
use crate::platform::connector::Connector;
use crate::platform::endpoint::ResolvedEndpoint;
use crate::platform::text::{excerpt, with_causes};
use crate::platform::tls;
use crate::run::event::ErrorKind;

/// Largest answer that is read.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// How long a stream may stay open after its answer.
const MOMENT: Duration = Duration::from_millis(50);

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Of which kind.
    pub kind: ErrorKind,
    /// In words, cleaned.
    pub detail: String,
}

impl Failure {
    /// A failure; what came from the target is cleaned and cut.
    pub fn new(kind: ErrorKind, detail: impl AsRef<str>) -> Self {
        Self { kind, detail: excerpt(detail.as_ref()) }
    }
}

/// Makes connections: over TCP and TLS, or in memory for tests in virtual time.
pub trait Dial {
    /// A fresh connection.
    fn dial(&self) -> Dialling<'_, Connection>;

    /// A fresh stream to speak HTTP/1.1 over in the clear; none where something else is spoken.
    fn dial_plain(&self) -> Option<Dialling<'_, Box<dyn Stream>>>;

    /// Whether what goes over it is encrypted.
    fn is_secure(&self) -> bool {
        false
    }
}

/// Something that is being reached.
pub type Dialling<'a, T> = Pin<Box<dyn Future<Output = Result<T, ConnectError>> + 'a>>;

impl Dial for Connector {
    fn dial(&self) -> Dialling<'_, Connection> {
        Box::pin(self.connect())
    }

    fn dial_plain(&self) -> Option<Dialling<'_, Box<dyn Stream>>> {
        let reaching = self.connect_plain()?;
        Some(Box::pin(async { Ok(Box::new(reaching.await?) as Box<dyn Stream>) }))
    }

    fn is_secure(&self) -> bool {
        self.endpoint().tls
    }
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// JSON body, if any.
    pub body: Option<Vec<u8>>,
    /// Value of the Accept header.
    pub accept: &'static str,
    /// Further headers.
    pub headers: HeaderMap,
}

/// A whole answer.
pub struct Whole {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
    head: Head,
}

/// Headers, taken apart or not yet.
enum Head {
    Parsed(HeaderMap),
    Raw { bytes: Bytes, sets_cookies: bool },
}

impl Whole {
    /// An answer whose headers have been taken apart.
    pub const fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, body, head: Head::Parsed(headers) }
    }

    /// Its headers.
    pub fn headers(&self) -> Cow<'_, HeaderMap> {
        match &self.head {
            Head::Parsed(headers) => Cow::Borrowed(headers),
            Head::Raw { bytes, .. } => Cow::Owned(plain::headers(bytes)),
        }
    }

    /// Whether it sets cookies.
    pub fn sets_cookies(&self) -> bool {
        match &self.head {
            Head::Parsed(headers) => headers.contains_key(SET_COOKIE),
            Head::Raw { sets_cookies, .. } => *sets_cookies,
        }
    }
}

/// A virtual user's line to its service: one connection, kept alive, made anew when it is gone, and the
/// cookies that the service gave it.
pub struct Line {
    dial: Rc<dyn Dial>,
    common: Rc<HeaderMap>,
    connection: Option<Speaking>,
    cookies: Cookies,
    /// A stream that has brought its answer, and may not have ended.
    rest: Option<Incoming>,
    /// How long such were waited for.
    idle: Duration,
}

/// Who speaks HTTP over a connection. What begins plain may come to hyper, and stays there.
enum Speaking {
    Hyper(Connection),
    Plain(Plain),
}

impl Line {
    /// A line that is not connected yet; `common` goes with every request.
    pub fn new(dial: Rc<dyn Dial>, common: Rc<HeaderMap>) -> Self {
        let (connection, cookies) = (None, Cookies::default());
        Self { dial, common, connection, cookies, rest: None, idle: Duration::ZERO }
    }

    /// Whether it was given cookies, which go with its requests.
    pub const fn has_cookies(&self) -> bool {
        !self.cookies.is_empty()
    }

    /// Forgets connection and cookies, as another user would have none.
    pub fn begin_anew(&mut self) {
        self.hang_up();
        self.cookies.clear();
    }

    /// Forgets the connection, for example after an answer that was not read to its end.
    pub fn hang_up(&mut self) {
        (self.connection, self.rest) = (None, None);
    }

    /// Leaves a stream that has brought its answer to end by itself, until something else is asked.
    pub fn leave_open(&mut self, body: Incoming) {
        self.rest = Some(body);
    }

    /// Gives such a stream a moment to end. A connection of HTTP/1 on which it does not is given up: nothing
    /// else can be asked there.
    pub async fn let_end(&mut self) {
        let Some(mut body) = self.rest.take() else { return };
        let answered = Instant::now();
        let rest = async { while let Ok(Some(_)) = next_piece(&mut body).await {} };
        if tokio::time::timeout(MOMENT, rest).await.is_err() && !self.is_shared() {
            self.hang_up();
        }
        self.idle += answered.elapsed();
    }

    /// How long streams were waited for to end since this was asked last: no part of what is measured.
    pub fn take_idle(&mut self) -> Duration {
        std::mem::take(&mut self.idle)
    }

    /// Whether other requests can be made on the connection beside one that goes on.
    fn is_shared(&self) -> bool {
        matches!(&self.connection, Some(Speaking::Hyper(of)) if of.spoken() == Spoken::Http2)
    }

    /// A request in bytes, where it can be sent as such.
    pub fn bytes_of(&self, ask: &Ask) -> Option<Vec<u8>> {
        plain::request(
            &ask.method,
            &ask.path,
            &self.headers(ask),
            ask.body.as_deref().unwrap_or(&[]),
        )
    }

    /// Sends a request and reads its whole answer.
    pub async fn fetch(&mut self, ask: &Ask) -> Result<Whole, Failure> {
        let bytes = match &self.connection {
            Some(Speaking::Hyper(_)) => None,
            _ => self.bytes_of(ask),
        };
        self.fetch_as(ask, bytes.as_deref()).await
    }

    /// The same with a request that was put into bytes before, where it can be sent as such.
    pub async fn fetch_as(&mut self, ask: &Ask, bytes: Option<&[u8]>) -> Result<Whole, Failure> {
        let whole = match (bytes, self.plain(bytes.is_some()).await?) {
            (Some(bytes), Some(plain)) => match plain.exchange(bytes).await {
                Came::Answer(answer, plain) => {
                    self.connection = plain.map(Speaking::Plain);
                    let head = Head::Raw { bytes: answer.head, sets_cookies: answer.sets_cookies };
                    Whole { status: answer.status, body: answer.body, head }
                }
                Came::Replay(replay) => Box::pin(self.read_again(ask, replay)).await?,
            },
            // In a box, so that users who have no need of hyper do not carry room for it.
            _ => Box::pin(async { whole(self.reach(ask).await?).await }).await?,
        };
        if whole.sets_cookies() {
            self.keep_cookies(&whole.headers(), &ask.path);
        }
        Ok(whole)
    }

    /// Takes a usable plain connection out, where there is one or may be one.
    async fn plain(&mut self, wanted: bool) -> Result<Option<Plain>, Failure> {
        let usable = match &mut self.connection {
            _ if !wanted => return Ok(None),
            Some(Speaking::Hyper(_)) => return Ok(None),
            Some(Speaking::Plain(plain)) => plain.is_usable().await,
            None => false,
        };
        if !usable {
            let Some(dialling) = self.dial.dial_plain() else { return Ok(None) };
            let stream = dialling.await.map_err(unreachable)?;
            return Ok(Some(Plain::over(stream)));
        }
        match self.connection.take() {
            Some(Speaking::Plain(plain)) => Ok(Some(plain)),
            _ => Ok(None),
        }
    }

    /// Has hyper read what was not plain enough; the connection is its own from then on.
    async fn read_again(&mut self, ask: &Ask, replay: Replay) -> Result<Whole, Failure> {
        let handle = replay.handle();
        let mut connection = Connection::over(replay).await.map_err(unreachable)?;
        let response = connection.send(self.request(ask)).await;
        let broken = |error: hyper::Error| broken_off(connection.why_gone().unwrap_or(&error));
        let whole = whole(response.map_err(broken)?).await?;
        handle.end();
        self.connection = Some(Speaking::Hyper(connection));
        Ok(whole)
    }

    /// Sends a request and returns the head of its answer.
    pub async fn send(&mut self, ask: &Ask) -> Result<Response<Incoming>, Failure> {
        let response = self.reach(ask).await?;
        self.keep_cookies(response.headers(), &ask.path);
        Ok(response)
    }

    async fn reach(&mut self, ask: &Ask) -> Result<Response<Incoming>, Failure> {
        self.let_end().await;
        let reused = match self.connection.take() {
            Some(Speaking::Hyper(mut connection)) => {
                let usable = connection.is_usable().await;
                self.connection = Some(Speaking::Hyper(connection));
                usable
            }
            Some(Speaking::Plain(mut plain)) => {
                let usable = plain.is_usable().await;
                if usable {
                    let connection = Connection::over(plain.into_stream()).await;
                    self.connection = Some(Speaking::Hyper(connection.map_err(unreachable)?));
                }
                usable
            }
            None => false,
        };
        if !reused {
            self.connect().await?;
        }
        match self.try_send(ask).await {
            // Closed by the other side while idle; the request was never written.
            Err(error) if reused && error.is_canceled() => {
                self.connect().await?;
                self.try_send(ask).await.map_err(|error| self.broken(&error))
            }
            Err(error) => Err(self.broken(&error)),
            Ok(response) => Ok(response),
        }
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        self.connection = None;
        let connection = self.dial.dial().await.map_err(unreachable)?;
        self.connection = Some(Speaking::Hyper(connection));
        Ok(())
    }

    async fn try_send(&mut self, ask: &Ask) -> Result<Response<Incoming>, hyper::Error> {
        let request = self.request(ask);
        match &mut self.connection {
            Some(Speaking::Hyper(connection)) => connection.send(request).await,
            _ => std::future::pending().await,
        }
    }

    fn request(&self, ask: &Ask) -> Request<Full<Bytes>> {
        let body = ask.body.clone().map(Bytes::from).unwrap_or_default();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = ask.method.clone();
        if let Ok(uri) = ask.path.parse() {
            *request.uri_mut() = uri;
        }
        *request.headers_mut() = self.headers(ask);
        request
    }

    fn headers(&self, ask: &Ask) -> HeaderMap {
        let mut headers = HeaderMap::clone(&self.common);
        headers.insert(ACCEPT, HeaderValue::from_static(ask.accept));
        if ask.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.extend(ask.headers.clone());
        self.cookies.add_to(&mut headers, &ask.path);
        headers
    }

    fn keep_cookies(&mut self, headers: &HeaderMap, path: &str) {
        let authority = self.common.get(HOST).and_then(|host| host.to_str().ok());
        let authority = authority.unwrap_or_default();
        let from = Origin { authority, is_secure: self.dial.is_secure() };
        self.cookies.take_in(headers, path, from);
    }

    fn broken(&mut self, error: &hyper::Error) -> Failure {
        let gone = self.connection.take();
        match &gone {
            Some(Speaking::Hyper(gone)) => broken_off(gone.why_gone().unwrap_or(error)),
            _ => broken_off(error),
        }
    }
}

fn unreachable(error: ConnectError) -> Failure {
    // The kind is said wherever the cause is.
    let (kind, cause) = match error {
        ConnectError::Name(cause) => (ErrorKind::Dns, cause.to_string()),
        ConnectError::Tcp(cause) => (ErrorKind::Connect, cause.to_string()),
        ConnectError::Proxy(_) => (ErrorKind::Connect, error.to_string()),
        ConnectError::Starved(_) => (ErrorKind::Generator, error.to_string()),
        ConnectError::Tls(cause) => (ErrorKind::Tls, with_causes(&cause)),
        ConnectError::Http(cause) => return broken_off(&cause),
    };
    Failure::new(kind, cause)
}

/// What it means that a connection broke.
fn broken_off(error: &hyper::Error) -> Failure {
    let kind = if tls::broke(error) { ErrorKind::Tls } else { ErrorKind::Protocol };
    Failure::new(kind, with_causes(error))
}

/// The headers that go with every request to an endpoint.
pub fn common_headers(endpoint: &ResolvedEndpoint, run_id: &str) -> HeaderMap {
    let mut headers = endpoint.headers.clone();
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("shakedown/", env!("CARGO_PKG_VERSION"))),
    );
    if let Ok(authority) = HeaderValue::try_from(endpoint.authority()) {
        headers.insert(HOST, authority);
    }
    if let Ok(run_id) = HeaderValue::try_from(run_id) {
        headers.insert("x-shakedown-run", run_id);
    }
    headers
}

/// The body of a success. That of an error is read, so that the connection can be used again.
pub async fn of_success(status: StatusCode, body: Incoming) -> Result<Incoming, Failure> {
    let Err(failure) = expect_success(status) else { return Ok(body) };
    let _ = read_all(body).await;
    Err(failure)
}

/// Whether a status is a success; redirects are not followed, and count as unexpected.
pub fn expect_success(status: StatusCode) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        let detail = "a proxy in between asks for credentials (status 407)";
        return Err(Failure::new(ErrorKind::Connect, detail));
    }
    let kind =
        if status.is_server_error() { ErrorKind::ServerStatus } else { ErrorKind::ClientStatus };
    Err(Failure::new(kind, format!("status {}", status.as_u16())))
}

async fn whole(response: Response<Incoming>) -> Result<Whole, Failure> {
    let (head, body) = response.into_parts();
    let body = read_all(body).await?;
    Ok(Whole::new(head.status, head.headers, body))
}

/// Reads an answer to its end.
pub async fn read_all(body: Incoming) -> Result<Bytes, Failure> {
    let mut whole = BytesMut::new();
    let mut body = body;
    while let Some(piece) = next_piece(&mut body).await? {
        if whole.len() + piece.len() > MAX_BODY_BYTES {
            return Err(Failure::new(ErrorKind::Protocol, "an answer of more than 8 MiB"));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next piece of an answer; none at its end.
pub async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(broken_off(&error)),
            // Trailers carry nothing that is needed here.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_asks_for_credentials_is_no_answer_of_the_target() {
        let kind = |status| expect_success(status).err().map(|failure| failure.kind);
        assert_eq!(kind(StatusCode::PROXY_AUTHENTICATION_REQUIRED), Some(ErrorKind::Connect));
        assert_eq!(kind(StatusCode::UNAUTHORIZED), Some(ErrorKind::ClientStatus));
        assert_eq!(kind(StatusCode::NO_CONTENT), None);
    }
}
