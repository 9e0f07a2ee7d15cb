//! A tunnel through a SOCKS5 proxy (RFC 1928, 1929), by hyper-util's client.

use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::config::Secret;
use crate::platform::text::excerpt;

pub(super) async fn tunnel(
    stream: TcpStream,
    to: &str,
    credentials: Option<&(String, Secret)>,
) -> Result<TcpStream, String> {
    let to: Uri = to.parse().map_err(|_| "no address that it can be told".to_owned())?;
    // Where the proxy is does not matter: the stream leads to it.
    let mut client = SocksV5::new(Uri::default(), Dialled(Some(stream)));
    if let Some((user, password)) = credentials {
        client = client.with_auth(user.clone(), password.expose().to_owned());
    }
    let stream = client.call(to).await.map_err(|error| excerpt(&error.to_string()))?;
    Ok(stream.into_inner())
}

/// A connection that is there already, in the form in which the library asks for one.
struct Dialled(Option<TcpStream>);

impl Service<Uri> for Dialled {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<TcpStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let spent = || io::Error::other("the connection was used already");
        ready(self.0.take().map(TokioIo::new).ok_or_else(spent))
    }
}
