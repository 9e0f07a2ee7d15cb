//! Makes connections to one endpoint: names, addresses, a proxy where one lies between, TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::http::uri::{Authority, Scheme};
use rustix::io::Errno;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connection::{AbsoluteForm, ConnectError, Connection, Spoken};
use super::descriptors::Place;
use super::endpoint::ResolvedEndpoint;
use super::names::Addresses;
use super::placed::Placed;
use super::proxy::Speech;
use super::tls::{self, TlsError};
use crate::config::HttpVersion;

/// Makes connections to one endpoint. Its clones share the addresses they have found.
#[derive(Clone)]
pub struct Connector {
    endpoint: Arc<ResolvedEndpoint>,
    addresses: Arc<Addresses>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    form: Arc<AbsoluteForm>,
}

/// Why no connector can be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The host is no name that a certificate can have.
    #[error("`{0}` is no host name that a certificate can be for")]
    Name(String),
}

/// A way to the server, encrypted or not.
enum Reached {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

impl Connector {
    /// A connector to an endpoint.
    ///
    /// # Errors
    /// When the endpoint's host cannot have a certificate, or its TLS settings cannot be used.
    pub fn new(endpoint: Arc<ResolvedEndpoint>) -> Result<Self, ConnectorError> {
        let settings = &endpoint.connection;
        let mut secured = None;
        if endpoint.tls {
            let config = tls::client_config(&endpoint.trust, settings.http)?;
            let name = ServerName::try_from(endpoint.host.clone())
                .map_err(|_| ConnectorError::Name(endpoint.host.clone()))?;
            secured = Some((TlsConnector::from(Arc::new(config)), name));
        }
        let (host, port) = match &endpoint.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&endpoint.host, endpoint.port),
        };
        let addresses = Arc::new(Addresses::of(host, port, settings.dns_ttl.get()));
        let form = Arc::new(absolute_form(&endpoint)?);
        Ok(Self { addresses, tls: secured, form, endpoint })
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
        let place = Place::take().map_err(ConnectError::Starved)?;
        let (reached, spoken) = self.reach().await?;
        let connection = match reached {
            Reached::Plain(stream) => Connection::local(stream, spoken, Some(place)).await,
            Reached::Secured(stream) => Connection::local(stream, spoken, Some(place)).await,
        };
        Ok(self.shaped(connection?))
    }

    /// As [`Self::connect`], for whoever moves between threads: the driver runs as a task of the
    /// runtime.
    ///
    /// # Errors
    /// By the stage that failed.
    pub async fn connect_shared(&self) -> Result<Connection, ConnectError> {
        let place = Place::take().map_err(ConnectError::Starved)?;
        let (reached, spoken) = self.reach().await?;
        let connection = match reached {
            Reached::Plain(stream) => Connection::shared(stream, spoken, Some(place)).await,
            Reached::Secured(stream) => Connection::shared(stream, spoken, Some(place)).await,
        };
        Ok(self.shaped(connection?))
    }

    /// The stream itself, where requests of HTTP/1.1 go over it as they are, one after the other; none
    /// with TLS, a proxy, another version, or a connection for every request.
    pub fn connect_plain(&self) -> Option<impl Future<Output = Result<Placed, ConnectError>>> {
        let settings = &self.endpoint.connection;
        let between = self.tls.is_some() || self.endpoint.proxy.is_some();
        let is_plain = !between && settings.keep_alive && settings.http != HttpVersion::Http2;
        is_plain.then_some(async {
            let place = Place::take().map_err(ConnectError::Starved)?;
            let patience = self.endpoint.connection.connect_timeout.get();
            let stream = self.dial(Instant::now() + patience).await?;
            Ok(Placed::new(stream, place))
        })
    }

    fn shaped(&self, connection: Connection) -> Connection {
        connection.shaped(&self.form, self.endpoint.connection.keep_alive)
    }

    /// The stream, and what is spoken on it.
    async fn reach(&self) -> Result<(Reached, Spoken), ConnectError> {
        let patience = self.endpoint.connection.connect_timeout.get();
        let deadline = Instant::now() + patience;
        let mut stream = self.dial(deadline).await.map_err(|failure| self.on_the_way(failure))?;
        if let Some(proxy) = self.endpoint.proxy.as_ref().filter(|_| !self.form.by_proxy) {
            let to = self.endpoint.host_and_port();
            let tunnel = timeout_at(deadline, proxy.tunnel(stream, &to)).await;
            let tunnel = tunnel.unwrap_or_else(|_| Err(too_slow("tunnel", patience).to_string()));
            stream = tunnel.map_err(ConnectError::Proxy)?;
        }
        let Some((tls, name)) = &self.tls else {
            let http2 = self.endpoint.connection.http == HttpVersion::Http2;
            return Ok((Reached::Plain(stream), if http2 { Spoken::Http2 } else { Spoken::Http1 }));
        };
        let secured = timeout_at(deadline, tls.connect(name.clone(), stream)).await;
        let secured = secured.unwrap_or_else(|_| Err(too_slow("handshake", patience)));
        let secured = secured.map_err(ConnectError::Tls)?;
        let spoken = self.agreed(secured.get_ref().1.alpn_protocol())?;
        Ok((Reached::Secured(Box::new(secured)), spoken))
    }

    /// Where there is a proxy it is what could not be reached, and not the service.
    fn on_the_way(&self, failure: ConnectError) -> ConnectError {
        match (&self.endpoint.proxy, failure) {
            (Some(_), ConnectError::Name(cause) | ConnectError::Tcp(cause)) => {
                ConnectError::Proxy(format!("it cannot be reached: {cause}"))
            }
            (_, failure) => failure,
        }
    }

    fn agreed(&self, protocol: Option<&[u8]>) -> Result<Spoken, ConnectError> {
        match (protocol, self.endpoint.connection.http) {
            (Some(b"h2"), _) => Ok(Spoken::Http2),
            (_, HttpVersion::Http2) => {
                Err(ConnectError::Tls(io::Error::other("the server does not agree to HTTP/2")))
            }
            _ => Ok(Spoken::Http1),
        }
    }

    /// Tries every address until one answers; each has its share of the time that is left.
    async fn dial(&self, deadline: Instant) -> Result<TcpStream, ConnectError> {
        let patience = self.endpoint.connection.connect_timeout.get();
        let addresses = timeout_at(deadline, self.addresses.in_turn()).await;
        let addresses = addresses.unwrap_or_else(|_| Err(too_slow("look-up", patience)));
        let addresses = addresses.map_err(|error| failed(error, ConnectError::Name))?;
        let mut failure = ConnectError::Name(io::Error::other("the name has no address"));
        for (at, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / (addresses.len() - at) as u32;
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(ConnectError::Tcp)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = refused(error, *address),
                Err(_) => failure = ConnectError::Tcp(too_slow("connection", share)),
            }
        }
        Err(failure)
    }
}

fn too_slow(what: &str, within: Duration) -> io::Error {
    let words = format!("no {what} within {:.1} s", within.as_secs_f64());
    io::Error::new(io::ErrorKind::TimedOut, words)
}

/// A failure of the target, or of this machine: it has no descriptor or no memory left.
fn failed(error: io::Error, of_target: impl FnOnce(io::Error) -> ConnectError) -> ConnectError {
    match Errno::from_io_error(&error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            ConnectError::Starved(error)
        }
        _ => of_target(error),
    }
}

/// As [`failed`], or this machine has no port left. With IPv6 the same error says that the address
/// itself cannot be used from here.
fn refused(error: io::Error, address: SocketAddr) -> ConnectError {
    let no_port = Errno::from_io_error(&error) == Some(Errno::ADDRNOTAVAIL) && address.is_ipv4();
    failed(error, if no_port { ConnectError::Starved } else { ConnectError::Tcp })
}

/// How requests name the server where the path alone is not enough: in HTTP/2, and to a proxy.
fn absolute_form(endpoint: &ResolvedEndpoint) -> Result<AbsoluteForm, ConnectorError> {
    // Only requests of HTTP/1.1 in the clear are for a proxy to read; the rest goes through a tunnel.
    let readable = !endpoint.tls && endpoint.connection.http != HttpVersion::Http2;
    let (by_proxy, authorization) = match endpoint.proxy.as_ref().map(|proxy| &proxy.speech) {
        Some(Speech::Http { authorization }) if readable => (true, authorization.clone()),
        _ => (false, None),
    };
    let authority = endpoint.authority();
    let authority = Authority::try_from(authority.as_str())
        .map_err(|_| ConnectorError::Name(endpoint.host.clone()))?;
    let scheme = if endpoint.tls { Scheme::HTTPS } else { Scheme::HTTP };
    Ok(AbsoluteForm { scheme, authority, by_proxy, authorization })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_proxy_that_is_gone_is_what_cannot_be_reached() {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port that is free again")
            .port();
        let proxy = format!("socks5://127.0.0.1:{port}");
        let text =
            format!("{{ base_url: \"http://rag.invalid\", connection: {{ proxy: \"{proxy}\" }} }}");
        let endpoint = serde_yaml::from_str(&text).expect("an endpoint");
        let endpoint = ResolvedEndpoint::resolve(&endpoint).expect("valid");
        let connector = Connector::new(Arc::new(endpoint)).expect("a connector");
        let failure = connector.connect().await.err().map(|failure| failure.to_string());
        let failure = failure.expect("nobody is there");
        assert!(failure.starts_with("proxy: it cannot be reached: "), "{failure}");
    }
}
