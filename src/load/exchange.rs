//! One HTTP exchange of a virtual user, bounded in every direction.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};

use crate::platform::connection::{ConnectError, Connection, Connector};
use crate::platform::endpoint::ResolvedEndpoint;
use crate::platform::text::{excerpt, with_causes};
use crate::run::event::ErrorKind;

/// Largest answer that is read.
pub const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

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
    fn dial(&self) -> Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + '_>>;
}

impl Dial for Connector {
    fn dial(&self) -> Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + '_>> {
        Box::pin(self.connect())
    }
}

/// What a request asks for.
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

/// A virtual user's line to its service: one connection, kept alive, made anew when it is gone.
pub struct Line {
    dial: Rc<dyn Dial>,
    common: Rc<HeaderMap>,
    connection: Option<Connection>,
}

impl Line {
    /// A line that is not connected yet; `common` goes with every request.
    pub const fn new(dial: Rc<dyn Dial>, common: Rc<HeaderMap>) -> Self {
        Self { dial, common, connection: None }
    }

    /// Forgets the connection, for example after an answer that was not read to its end.
    pub fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Sends a request and returns the head of its answer.
    pub async fn send(&mut self, ask: &Ask) -> Result<Response<Incoming>, Failure> {
        let reused = match &mut self.connection {
            Some(connection) => connection.is_usable().await,
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
        let dialled = self.dial.dial().await.map_err(|error| {
            // The kind is said wherever the cause is.
            let (kind, cause) = match error {
                ConnectError::Tcp(cause) => (ErrorKind::Connect, cause.to_string()),
                ConnectError::Tls(cause) => (ErrorKind::Tls, cause.to_string()),
                ConnectError::Http(cause) => (ErrorKind::Protocol, cause.to_string()),
            };
            Failure::new(kind, cause)
        });
        self.connection = Some(dialled?);
        Ok(())
    }

    async fn try_send(&mut self, ask: &Ask) -> Result<Response<Incoming>, hyper::Error> {
        let request = self.request(ask);
        match &mut self.connection {
            Some(connection) => connection.send(request).await,
            None => std::future::pending().await,
        }
    }

    fn request(&self, ask: &Ask) -> Request<Full<Bytes>> {
        let body = ask.body.clone().map(Bytes::from).unwrap_or_default();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = ask.method.clone();
        if let Ok(uri) = ask.path.parse() {
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        headers.clone_from(&self.common);
        headers.insert(ACCEPT, HeaderValue::from_static(ask.accept));
        if ask.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.extend(ask.headers.clone());
        request
    }

    fn broken(&mut self, error: &hyper::Error) -> Failure {
        self.hang_up();
        Failure::new(ErrorKind::Protocol, with_causes(error))
    }
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

/// Whether a status is a success; redirects are not followed, and count as unexpected.
pub fn expect_success(status: StatusCode) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let kind =
        if status.is_server_error() { ErrorKind::ServerStatus } else { ErrorKind::ClientStatus };
    Err(Failure::new(kind, format!("status {}", status.as_u16())))
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
            Some(Err(error)) => return Err(Failure::new(ErrorKind::Protocol, with_causes(&error))),
            // Trailers carry nothing that is needed here.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
