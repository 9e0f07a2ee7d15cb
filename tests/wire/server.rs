//! Servers and proxies on loopback that tell what they saw.

use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version, server::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Something that listens, and what came.
#[derive(Clone)]
pub struct Listening {
    pub port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Listening {
    /// Serves each connection like this.
    pub async fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream, Self) -> F + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let port = listener.local_addr().expect("bound").port();
        let this = Self { port, seen: Arc::default() };
        let given = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, given.clone()));
            }
        });
        this
    }

    pub fn saw(&self, what: impl Into<String>) {
        self.seen.lock().expect("lock").push(what.into());
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("lock").clone()
    }
}

/// An HTTP server: over TLS in what was agreed to, otherwise HTTP/2 alone or HTTP/1.1 alone.
pub async fn serve(tls: Option<Arc<ServerConfig>>, http2: bool) -> Listening {
    Listening::start(move |stream, listening| {
        let tls = tls.clone();
        async move {
            let Some(config) = tls else {
                return answer(stream, http2, listening).await;
            };
            match TlsAcceptor::from(config).accept(stream).await {
                Ok(stream) => {
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    answer(stream, http2, listening).await;
                }
                Err(error) => listening.saw(format!("no TLS: {error}")),
            }
        }
    })
    .await
}

async fn answer<S>(stream: S, http2: bool, listening: Listening)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let version = if request.version() == Version::HTTP_2 { "2" } else { "1.1" };
        let host = request.headers().get("host").map(|host| host.to_str().expect("text"));
        let authority = request.uri().authority().map(|authority| authority.as_str());
        let host = host.or(authority).unwrap_or("nobody");
        listening.saw(format!("HTTP/{version} {} of {host}", request.uri().path()));
        async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"well")))) }
    });
    let stream = TokioIo::new(stream);
    // Its clients end it as they like.
    if http2 {
        let server = conn::http2::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(stream, service).await;
    } else {
        let _ = conn::http1::Builder::new().serve_connection(stream, service).await;
    }
}

/// An HTTP proxy that leads every tunnel to this port, whatever it is asked for, and answers requests
/// in the clear by itself.
pub async fn http_proxy(to: u16) -> Listening {
    Listening::start(move |mut stream, listening| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let head = String::from_utf8(head).expect("text");
        let line = head.lines().next().unwrap_or_default().to_owned();
        let credentials =
            head.lines().find(|line| line.to_ascii_lowercase().starts_with("proxy-authorization"));
        listening.saw(match credentials {
            Some(credentials) => {
                format!("{line} {}", credentials.split(' ').next_back().unwrap_or_default())
            }
            None => line.clone(),
        });
        if line.starts_with("CONNECT refused") {
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
        } else if line.starts_with("CONNECT") {
            let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
            lead(stream, to).await;
        } else {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nwell";
            let _ = stream.write_all(answer).await;
        }
    })
    .await
}

/// A SOCKS5 proxy that asks for credentials, and leads to this port whatever it is asked for.
pub async fn socks_proxy(to: u16) -> Listening {
    Listening::start(move |mut stream, listening| async move {
        let told = async {
            let methods = sized(&mut stream, 1).await?;
            stream.write_all(&[5, 2]).await?;
            assert!(methods.contains(&2), "no credentials were offered");
            let user = sized(&mut stream, 1).await?;
            let password = sized(&mut stream, 0).await?;
            stream.write_all(&[1, 0]).await?;
            let mut ask = [0; 4];
            stream.read_exact(&mut ask).await?;
            assert_eq!(ask, [5, 1, 0, 3], "a connection to a name");
            let host = sized(&mut stream, 0).await?;
            let port = stream.read_u16().await?;
            stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
            let text = |bytes| String::from_utf8(bytes).expect("text");
            std::io::Result::Ok(format!(
                "{}:{} to {}:{port}",
                text(user),
                text(password),
                text(host)
            ))
        };
        if let Ok(told) = told.await {
            listening.saw(told);
            lead(stream, to).await;
        }
    })
    .await
}

/// What follows its length, after so many bytes that do not matter.
async fn sized(stream: &mut TcpStream, skip: usize) -> std::io::Result<Vec<u8>> {
    for _ in 0..skip {
        stream.read_u8().await?;
    }
    let length = stream.read_u8().await?;
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn lead(mut stream: TcpStream, to: u16) {
    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await {
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    }
}
