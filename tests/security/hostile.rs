//! Servers that mean harm: endless bodies, heads without end, redirects to elsewhere, escape sequences
//! in everything. The audit comes to its end, and nothing of it reaches a terminal.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::run;
use super::support::Workplace;

/// Answers each connection in turn in another bad way.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        for n in 0.. {
            let Ok((stream, _)) = listener.accept().await else { break };
            tokio::spawn(answer(stream, n));
        }
    });
    format!("http://{address}")
}

async fn answer(mut stream: TcpStream, n: u32) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let piece = vec![b'A'; 64 * 1024];
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m<script>alert(1)</script>\u{202e}";
    let sent = match n % 6 {
        // A body without end.
        0 => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n";
            let mut sent = stream.write_all(head.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(&piece).await;
            }
            sent
        }
        // A head without end.
        1 => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
            while sent.is_ok() {
                sent = stream.write_all(&piece).await;
            }
            sent
        }
        2 => stream
            .write_all(
                b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            )
            .await,
        3 => stream.write_all(b"\xff\xfe\0\0 this is no HTTP\r\n\r\n").await,
        _ => {
            let text = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nserver: e/1.0\u{9b}31m\r\n\
                 content-length: {}\r\nset-cookie: {evil}\r\n\r\n{evil}",
                evil.len()
            );
            stream.write_all(text.as_bytes()).await
        }
    };
    drop(sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_server_does_no_harm() {
    let base_url = serve().await;
    let place = Workplace::new();
    let config = json!({
        "target": { "name": "hostile", "environment": "development" },
        "services": { "rag": {
            "endpoint": { "base_url": base_url },
            "query": { "path": "/query", "body": { "question": "{question}" } },
        } },
        "security": { "requests_per_second": 100, "max_requests": 400, "images": { "none": true } },
        "phases": { "full": { "security": "90s" } },
    });
    let began = Instant::now();
    let (code, section) = run(&place, &config, "no-token-is-sent-here", &[]).await;
    assert!(began.elapsed() < Duration::from_secs(150), "{:?}", began.elapsed());
    assert_ne!(code, Some(0), "nothing of it is a pass: {section:#}");
    let run = place.run();
    let read = |name: &str| std::fs::read_to_string(run.path().join(name)).expect("there");
    for name in ["events.jsonl", "security_report.json", "security.sarif"] {
        let text = read(name);
        for evil in ["\u{1b}", "\\u001b", "\u{9b}", "\u{202e}"] {
            assert!(!text.contains(evil), "{name} has {evil:?}");
        }
    }
    assert!(!read("report.html").contains("<script>alert"), "escaped");
    assert!(run.path().join("events.jsonl").metadata().expect("there").len() < 5_000_000);
}
