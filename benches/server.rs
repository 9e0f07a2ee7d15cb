//! The server of `benches/load.py`: one thread, HTTP/1.1 with keep-alive, an answer of five bytes to
//! everything, and streamed answers whose moments it takes down by its own clock.
//!
//!     cargo build --release --example bench-server && target/release/examples/bench-server [PORT]
//!
//! It listens on loopback alone and says its port. `POST /v1/chat/completions` streams tokens 10 ms
//! apart after 50 ms; `GET /truth` says what of that was true, in microseconds.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const TOKENS: usize = 20;

/// Moments by the server's own clock, in microseconds.
#[derive(Default)]
struct Truth {
    first: Vec<u64>,
    gaps: Vec<u64>,
}

fn main() -> io::Result<()> {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(port))
}

async fn serve(port: u16) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    // Whoever comes while it stands still waits for an answer, and not for a second SYN.
    let listener = socket.listen(4096)?;
    println!("{}", listener.local_addr()?.port());
    let truth = Rc::new(RefCell::new(Truth::default()));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let truth = Rc::clone(&truth);
        tokio::task::spawn_local(async move {
            // A client that is gone is no matter here.
            let _ = converse(stream, &truth).await;
        });
    }
}

async fn converse(mut stream: TcpStream, truth: &RefCell<Truth>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        if buffer.starts_with(b"GET / ") {
            stream.write_all(ANSWER).await?;
        } else if buffer.starts_with(b"GET /truth") {
            stream.write_all(&told(truth)).await?;
        } else {
            let came = Instant::now();
            let length = content_length(&buffer[..end]);
            while filled < end + 4 + length {
                filled += stream.read(&mut buffer[filled..]).await?;
            }
            say_tokens(&mut stream, came, truth).await?;
        }
        filled = 0;
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

async fn say_tokens(
    stream: &mut TcpStream,
    came: Instant,
    truth: &RefCell<Truth>,
) -> io::Result<()> {
    stream.write_all(STREAM).await?;
    let mut last = came;
    for at in 0..TOKENS {
        tokio::time::sleep(Duration::from_millis(if at == 0 { 50 } else { 10 })).await;
        let event = "data: {\"choices\":[{\"delta\":{\"content\":\"token\"}}]}\n\n";
        let now = Instant::now();
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
        let since = (now - last).as_micros() as u64;
        let mut truth = truth.borrow_mut();
        let times = if at == 0 { &mut truth.first } else { &mut truth.gaps };
        times.push(since);
        last = now;
    }
    let usage =
        format!("data: {{\"choices\":[],\"usage\":{{\"completion_tokens\":{TOKENS}}}}}\n\n");
    let done = format!("{usage}data: [DONE]\n\n");
    stream.write_all(format!("{:x}\r\n{done}\r\n0\r\n\r\n", done.len()).as_bytes()).await
}

fn told(truth: &RefCell<Truth>) -> Vec<u8> {
    let quantiles = |values: &[u64]| {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let at = |quantile: f64| {
            let rank = (quantile * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        format!("{{\"n\":{},\"p50\":{},\"p99\":{}}}", sorted.len(), at(0.5), at(0.99))
    };
    let truth = truth.borrow();
    let body =
        format!("{{\"first\":{},\"gaps\":{}}}", quantiles(&truth.first), quantiles(&truth.gaps));
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
