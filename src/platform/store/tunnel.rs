//! TLS for a client that takes no authorities of its own: it speaks plainly to a loopback port of this
//! process, from where its bytes go on encrypted, to a server whose certificate was checked. Nothing but
//! this connects secrets with the port: what is not signed is refused by the server, as everywhere.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Address, StoreError, within};
use crate::platform::text::excerpt;

/// A way to one server; it ends with this value.
pub(super) struct Tunnel {
    /// Loopback port where it begins.
    pub(super) port: u16,
    work: JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// Where it leads.
#[derive(Clone)]
struct Way {
    tls: TlsConnector,
    host: String,
    port: u16,
    name: ServerName<'static>,
    timeout: Duration,
}

impl Tunnel {
    /// Opens its near end; nothing is sent yet. Only inside a runtime.
    ///
    /// # Errors
    /// When the host can have no certificate, or there is no port.
    pub(super) fn open(
        to: &Address,
        tls: ClientConfig,
        timeout: Duration,
    ) -> Result<Self, StoreError> {
        let name = ServerName::try_from(to.host.clone()).map_err(StoreError::when("address"))?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        let listener = listener.map_err(StoreError::when("loopback port"))?;
        let port = listener.local_addr().map_err(StoreError::when("loopback port"))?.port();
        let tls = TlsConnector::from(Arc::new(tls));
        let way = Way { tls, host: to.host.clone(), port: to.port, name, timeout };
        Ok(Self { port, work: tokio::spawn(accept(listener, way)) })
    }
}

async fn accept(listener: TcpListener, way: Way) {
    // Those that are under way end with the tunnel, too.
    let mut carried = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            near = listener.accept() => {
                let Ok((near, _)) = near else { return };
                carried.spawn(carry(near, way.clone()));
            }
            Some(_) = carried.join_next() => {}
        }
    }
}

async fn carry(mut near: TcpStream, way: Way) {
    match way.connect().await {
        Ok(mut far) => {
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
        Err(error) => refuse(near, &error).await,
    }
}

impl Way {
    async fn connect(&self) -> Result<TlsStream<TcpStream>, StoreError> {
        let work = async {
            let plain = TcpStream::connect((self.host.as_str(), self.port)).await?;
            plain.set_nodelay(true)?;
            self.tls.connect(self.name.clone(), plain).await
        };
        within(self.timeout, "TLS", work).await
    }
}

/// Says why there is no way, in the form in which an S3 server says why not.
async fn refuse(mut near: TcpStream, error: &StoreError) {
    let reason = excerpt(&error.reason).replace(['<', '>', '&'], " ");
    let body = format!("<Error><Code>TLS</Code><Message>{reason}</Message></Error>");
    let head = format!(
        "HTTP/1.1 421 Misdirected Request\r\nContent-Type: application/xml\r\n\
        Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = near.write_all((head + &body).as_bytes()).await;
    let _ = near.shutdown().await;
    // A connection that is closed while something of it is unread loses what was answered.
    let mut rest = [0; 8192];
    while matches!(near.read(&mut rest).await, Ok(read) if read > 0) {}
}
