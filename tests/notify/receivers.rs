//! What stands in for the channels' other ends: HTTP receivers and a mail server that keep what they get.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Got {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Records every request and answers as it is told.
#[derive(Clone, Default)]
pub struct Receiver {
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<Vec<(StatusCode, String)>>>,
}

impl Receiver {
    pub async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let router = Router::new().fallback(record).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    pub fn answer(&self, status: u16, body: &str) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.answers.lock().expect("not poisoned").insert(0, (status, body.to_owned()));
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().expect("not poisoned").clone()
    }
}

async fn record(State(receiver): State<Receiver>, request: Request) -> impl IntoResponse {
    let (head, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    receiver.got.lock().expect("not poisoned").push(Got {
        method: head.method,
        uri: head.uri,
        headers: head.headers,
        body,
    });
    let next = receiver.answers.lock().expect("not poisoned").pop();
    next.unwrap_or((StatusCode::OK, "ok".into()))
}

/// A mail server that takes one mail a connection and keeps what it was told.
pub async fn mail_server() -> (Arc<Mutex<Vec<String>>>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", listener.local_addr().expect("address"));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut read = BufReader::new(read).lines();
            write.write_all(b"220 test\r\n").await.expect("greets");
            let mut data = false;
            while let Ok(Some(line)) = read.next_line().await {
                kept.lock().expect("not poisoned").push(line.clone());
                let answer: &[u8] = match (data, line.as_str()) {
                    (true, ".") => {
                        data = false;
                        b"250 taken\r\n"
                    }
                    (true, _) => continue,
                    (false, "DATA") => {
                        data = true;
                        b"354 go on\r\n"
                    }
                    (false, "QUIT") => b"221 bye\r\n",
                    (false, _) => b"250 ok\r\n",
                };
                if write.write_all(answer).await.is_err() {
                    break;
                }
            }
        }
    });
    (lines, url)
}
