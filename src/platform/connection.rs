//! One HTTP/1.1 connection on the hot path: hyper's own connection API over TCP and TLS, without a
//! pool, redirects or decompression.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::endpoint::ResolvedEndpoint;
use super::tls::{self, NoRoots};

/// Largest head of an answer; a larger one is no answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Name, route or port.
    #[error("connect: {0}")]
    Tcp(io::Error),
    /// Certificate or handshake.
    #[error("tls: {0}")]
    Tls(io::Error),
    /// The peer does not speak HTTP.
    #[error("http: {0}")]
    Http(hyper::Error),
}

/// Makes connections to one endpoint.
#[derive(Clone)]
pub struct Connector {
    endpoint: Arc<ResolvedEndpoint>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Why no connector can be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// No root certificates.
    #[error(transparent)]
    Roots(#[from] NoRoots),
    /// The host is no name that a certificate can have.
    #[error("`{0}` is no host name that a certificate can be for")]
    Name(String),
}

impl Connector {
    /// A connector to an endpoint; `tls` is shared among all of them.
    ///
    /// # Errors
    /// When the endpoint's host cannot have a certificate.
    pub fn new(
        endpoint: Arc<ResolvedEndpoint>,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, ConnectorError> {
        let tls = match (endpoint.tls, tls) {
            (false, _) => None,
            (true, config) => {
                let config = config.map_or_else(tls::client_config, Ok)?;
                let name = ServerName::try_from(endpoint.host.clone())
                    .map_err(|_| ConnectorError::Name(endpoint.host.clone()))?;
                Some((TlsConnector::from(config), name))
            }
        };
        Ok(Self { endpoint, tls })
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &ResolvedEndpoint {
        &self.endpoint
    }

    /// Makes a connection. Its driver runs as a local task of the current thread.
    ///
    /// # Errors
    /// By the stage that failed.
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        let stream = self.reach().await.map_err(ConnectError::Tcp)?;
        match &self.tls {
            None => Connection::over(stream).await,
            Some((tls, name)) => {
                let secured = tls.connect(name.clone(), stream).await.map_err(ConnectError::Tls)?;
                Connection::over(secured).await
            }
        }
    }

    /// As [`Self::connect`], for whoever moves between threads: the driver runs as a task of the
    /// runtime.
    ///
    /// # Errors
    /// By the stage that failed.
    pub async fn connect_shared(&self) -> Result<Connection, ConnectError> {
        let stream = self.reach().await.map_err(ConnectError::Tcp)?;
        match &self.tls {
            None => Connection::shared_over(stream).await,
            Some((tls, name)) => {
                let secured = tls.connect(name.clone(), stream).await.map_err(ConnectError::Tls)?;
                Connection::shared_over(secured).await
            }
        }
    }

    async fn reach(&self) -> io::Result<TcpStream> {
        let host = (self.endpoint.host.as_str(), self.endpoint.port);
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host(host).await?.collect();
        let stream = TcpStream::connect(addresses.as_slice()).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// One connection that sends one request after the other.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Speaks HTTP/1.1 over a stream. The connection's driver runs as a local task.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn over<S>(stream: S) -> Result<Self, ConnectError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    {
        let (sender, driver) = handshake(stream).await?;
        tokio::task::spawn_local(async move {
            // The error is the next request's to report.
            let _ = driver.await;
        });
        Ok(Self { sender })
    }

    async fn shared_over<S>(stream: S) -> Result<Self, ConnectError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, driver) = handshake(stream).await?;
        tokio::spawn(async move {
            // As above.
            let _ = driver.await;
        });
        Ok(Self { sender })
    }

    /// Whether another request can be sent; waits for the connection to be idle, shortly.
    pub async fn is_usable(&mut self) -> bool {
        let ready = tokio::time::timeout(Duration::from_millis(50), self.sender.ready());
        matches!(ready.await, Ok(Ok(())))
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is no HTTP.
    pub async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        self.sender.send_request(request).await
    }
}

type Driver<S> = http1::Connection<TokioIo<S>, Full<Bytes>>;

async fn handshake<S>(stream: S) -> Result<(SendRequest<Full<Bytes>>, Driver<S>), ConnectError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let handshake =
        http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream)).await;
    handshake.map_err(ConnectError::Http)
}
