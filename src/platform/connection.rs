//! One HTTP connection on the hot path: hyper's own connection API, without a pool, redirects or
//! decompression.

use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONNECTION, HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::http::uri::{Authority, Scheme};
use hyper::rt::Executor;
use hyper::rt::bounds::Http2ClientConnExec;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::descriptors::Place;
use super::last_words::HeardOut;

/// Largest head of an answer; a larger one is no answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("name: {0}")]
    Name(io::Error),
    /// Route or port.
    #[error("connect: {0}")]
    Tcp(io::Error),
    /// This machine has no descriptor, port or memory left: the target has no part in it.
    #[error("out of descriptors or ports: {0}")]
    Starved(io::Error),
    /// The proxy in between.
    #[error("proxy: {0}")]
    Proxy(String),
    /// Certificate or handshake.
    #[error("tls: {0}")]
    Tls(#[source] io::Error),
    /// The peer does not speak HTTP.
    #[error("http: {0}")]
    Http(hyper::Error),
}

/// Which HTTP a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// How requests name the server where a path alone does not (RFC 9112, 3.2.2; RFC 9113, 8.3.1).
#[derive(Debug)]
pub struct AbsoluteForm {
    /// Scheme of the endpoint.
    pub scheme: Scheme,
    /// Host and port of the endpoint.
    pub authority: Authority,
    /// Whether requests of HTTP/1.1 go to a proxy in the clear.
    pub by_proxy: bool,
    /// Credentials for that proxy.
    pub authorization: Option<HeaderValue>,
}

impl AbsoluteForm {
    fn shape<B>(&self, request: &mut Request<B>, spoken: Spoken) {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        let headers = request.headers_mut();
        if spoken == Spoken::Http2 {
            // What HTTP/1.1 says in `Host` is said here instead.
            let host = headers.remove(HOST);
            let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
            parts.authority = host.or(parts.authority);
            headers.remove(CONNECTION);
        }
        if let Some(authorization) = self.authorization.as_ref().filter(|_| self.by_proxy) {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        if let Ok(uri) = parts.try_into() {
            *request.uri_mut() = uri;
        }
    }
}

/// One connection that sends one request after the other.
pub struct Connection {
    sender: Sender,
    /// What its driver ended with.
    end: End,
    form: Option<Arc<AbsoluteForm>>,
    keep_alive: bool,
}

type End = Arc<OnceLock<hyper::Error>>;

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Speaks HTTP/1.1 over a stream. The connection's driver runs as a local task.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn over<S>(stream: S) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        Self::local(stream, Spoken::Http1, None).await
    }

    /// Speaks HTTP over a stream, whose place it keeps. The connection's driver runs as a local task.
    pub(super) async fn local<S>(
        stream: S,
        spoken: Spoken,
        place: Option<Place>,
    ) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let end = End::default();
        let sender = match spoken {
            Spoken::Http1 => {
                let (sender, driver) = speak_http1(stream).await?;
                tokio::task::spawn_local(drive(driver, Arc::clone(&end), place));
                Sender::Http1(sender)
            }
            Spoken::Http2 => {
                let (sender, driver) = speak_http2(stream, LocalTasks).await?;
                tokio::task::spawn_local(drive(driver, Arc::clone(&end), place));
                Sender::Http2(sender)
            }
        };
        Ok(Self::of(sender, end))
    }

    /// The same with a driver that may move between threads.
    pub(super) async fn shared<S>(
        stream: S,
        spoken: Spoken,
        place: Option<Place>,
    ) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let end = End::default();
        let sender = match spoken {
            Spoken::Http1 => {
                let (sender, driver) = speak_http1(stream).await?;
                tokio::spawn(drive(driver, Arc::clone(&end), place));
                Sender::Http1(sender)
            }
            Spoken::Http2 => {
                let (sender, driver) = speak_http2(stream, TokioExecutor::new()).await?;
                tokio::spawn(drive(driver, Arc::clone(&end), place));
                Sender::Http2(sender)
            }
        };
        Ok(Self::of(sender, end))
    }

    const fn of(sender: Sender, end: End) -> Self {
        Self { sender, end, form: None, keep_alive: true }
    }

    /// Why it is gone, where that was no answer to a request: with TLS 1.3 for example, a server
    /// refuses a client's certificate after the handshake.
    pub fn why_gone(&self) -> Option<&hyper::Error> {
        self.end.get()
    }

    /// With requests in this form where it is needed, and as many of them as it may have.
    pub(super) fn shaped(self, form: &Arc<AbsoluteForm>, keep_alive: bool) -> Self {
        let needed = form.by_proxy || self.spoken() == Spoken::Http2;
        Self { form: needed.then(|| Arc::clone(form)), keep_alive, ..self }
    }

    /// Which HTTP it speaks.
    pub const fn spoken(&self) -> Spoken {
        match self.sender {
            Sender::Http1(_) => Spoken::Http1,
            Sender::Http2(_) => Spoken::Http2,
        }
    }

    /// Whether another request can be sent; waits for the connection to be idle, shortly.
    pub async fn is_usable(&mut self) -> bool {
        const SHORTLY: Duration = Duration::from_millis(50);
        if !self.keep_alive {
            return false;
        }
        let ready = match &mut self.sender {
            Sender::Http1(sender) => tokio::time::timeout(SHORTLY, sender.ready()).await,
            Sender::Http2(sender) => tokio::time::timeout(SHORTLY, sender.ready()).await,
        };
        matches!(ready, Ok(Ok(())))
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is no HTTP.
    pub async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        if let Some(form) = &self.form {
            form.shape(&mut request, self.spoken());
        }
        match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        }
    }
}

/// Runs the streams of a connection on the current thread.
#[derive(Clone, Copy)]
struct LocalTasks;

impl<F: Future + 'static> Executor<F> for LocalTasks {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// Carries a connection to its end.
async fn drive(
    driver: impl Future<Output = Result<(), hyper::Error>>,
    end: End,
    place: Option<Place>,
) {
    if let Err(error) = driver.await {
        // Nobody else writes it.
        let _ = end.set(error);
    }
    drop(place);
}

async fn speak_http1<S>(
    stream: S,
) -> Result<
    (http1::SendRequest<Full<Bytes>>, http1::Connection<TokioIo<S>, Full<Bytes>>),
    ConnectError,
>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    let handshake = builder.max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream)).await;
    handshake.map_err(ConnectError::Http)
}

type Heard<S> = TokioIo<HeardOut<S>>;

async fn speak_http2<S, E>(
    stream: S,
    executor: E,
) -> Result<
    (http2::SendRequest<Full<Bytes>>, http2::Connection<Heard<S>, Full<Bytes>, E>),
    ConnectError,
>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    E: Http2ClientConnExec<Full<Bytes>, Heard<S>> + Unpin + Clone,
{
    let mut builder = http2::Builder::new(executor);
    builder.max_header_list_size(MAX_HEAD_BYTES as u32);
    builder.handshake(TokioIo::new(HeardOut::new(stream))).await.map_err(ConnectError::Http)
}
