//! Targets that mean harm, or are ill: a run of the real program goes on, every failure is counted under
//! its own kind, and who behaves is measured all along.

use std::collections::BTreeMap;
use std::io;

use rustix::net::sockopt::set_socket_linger;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

use super::server::Listening;
use super::support::{Workplace, ended, report};

/// Ways to answer, and as what they count; none for those that do no harm.
const WAYS: [(&str, Option<&str>); 17] = [
    ("/well", None),
    ("/endless", Some("protocol")),
    ("/drip", Some("timeout")),
    ("/reset", Some("protocol")),
    ("/short", Some("protocol")),
    ("/hang-up", Some("protocol")),
    ("/long", None),
    ("/giant-head", Some("protocol")),
    ("/many-headers", Some("protocol")),
    ("/no-http", Some("protocol")),
    ("/two-lengths", Some("protocol")),
    ("/bad-chunk", Some("protocol")),
    ("/interim", Some("timeout")),
    ("/circle", Some("status 4xx")),
    ("/bomb", None),
    ("/silent", Some("timeout")),
    ("/slow-head", Some("timeout")),
];

/// Bytes of the compressed answer.
const BOMB: usize = 10_000;

/// Two answers where one is due: the second must never pass for an answer to another request.
const LONG: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell\
    HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";

async fn misbehave(mut stream: TcpStream, listening: Listening) {
    while let Ok(path) = request(&mut stream).await {
        listening.saw(path.clone());
        if !matches!(answer(&mut stream, &path).await, Ok(true)) {
            break;
        }
    }
}

/// The path of the next request (none of them has a body).
async fn request(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    Ok(head.split(' ').nth(1).unwrap_or_default().to_owned())
}

/// Answers; whether the connection is kept.
async fn answer(stream: &mut TcpStream, path: &str) -> io::Result<bool> {
    let tick = std::time::Duration::from_millis(20);
    let piece = [b'a'; 16 * 1024];
    match path {
        "/well" | "/health" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell").await?;
            return Ok(true);
        }
        "/long" => {
            stream.write_all(LONG).await?;
            return Ok(true);
        }
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&piece).await?;
            }
        }
        "/drip" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await?;
            loop {
                stream.write_all(b".").await?;
                sleep(tick).await;
            }
        }
        "/slow-head" => loop {
            stream.write_all(b"H").await?;
            sleep(tick * 100).await;
        },
        "/reset" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf").await?;
            sleep(tick).await;
            // Closing does not wait for anything then, and the other side gets a reset.
            set_socket_linger(&*stream, Some(std::time::Duration::ZERO))?;
        }
        "/short" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf").await?;
        }
        "/giant-head" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await?;
            loop {
                stream.write_all(&piece).await?;
            }
        }
        "/many-headers" => {
            let lines: String = (0..2000).map(|n| format!("x-{n}: y\r\n")).collect();
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes()).await?;
        }
        "/no-http" => stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\x1b[2J\x00\xff").await?,
        "/two-lengths" => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 40\r\n\r\nwell";
            stream.write_all(head).await?;
        }
        "/bad-chunk" => {
            let head =
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n";
            stream.write_all(head).await?;
        }
        "/interim" => loop {
            stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await?;
            sleep(tick).await;
        },
        "/circle" => {
            let head = b"HTTP/1.1 302 Found\r\nlocation: /circle\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(head).await?;
            return Ok(true);
        }
        "/bomb" => {
            // It says that it is gzip; whoever unpacked it would fail, or count other bytes.
            let body = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), &[0; BOMB - 10]].concat();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            return Ok(true);
        }
        "/silent" => std::future::pending().await,
        _ => {}
    }
    Ok(false)
}

/// A port on which connections are never made: its queue is full, and nobody empties it.
async fn full_port() -> (u16, impl Sized) {
    let socket = TcpSocket::new_v4().expect("socket");
    socket.bind("127.0.0.1:0".parse().expect("address")).expect("port");
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("bound");
    let patience = std::time::Duration::from_millis(200);
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    (address.port(), (listener, waiting))
}

pub fn scenario(name: &str, service: &str, request: Value) -> Value {
    json!({
        "name": name, "service": service, "executor": "constant-vus", "vus": 1,
        "flows": [{ "name": name, "steps": [{ "request": request }] }],
    })
}

pub fn config(services: Value, scenarios: &[Value]) -> Value {
    json!({
        "target": { "name": "hostile", "environment": "development" },
        "services": services,
        "guards": { "error_rate_percent": 100.0 },
        "workloads": { "mixed": {
            "think_time": { "min": "20ms", "max": "40ms" },
            "graceful_stop": "2s",
            "scenarios": scenarios,
        } },
        "phases": { "full": { "mixed": "6s" } },
    })
}

/// Runs a load with this configuration to its end; its report, and what it said.
pub async fn load(place: &Workplace, config: &Value) -> (Value, String) {
    std::fs::write(place.path().join("shakedown.yaml"), config.to_string()).expect("written");
    let mut command = place.command(&["load", "--headless"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().expect("program runs");
    let said = tokio::task::spawn_blocking(move || ended(child)).await.expect("ended");
    let said = format!("{}\n{}", said.1, said.2);
    (report(&place.run()), said)
}

/// The figures of the load's series, by scenario.
pub fn figures(report: &Value) -> BTreeMap<String, Value> {
    let phases = report["phases"].as_array().expect("phases");
    let load = phases.iter().find(|phase| phase["phase"] == "mixed").expect("load");
    let series = load["load"]["series"].as_array().unwrap_or_else(|| panic!("{load}"));
    let named = |row: &Value| {
        let name = row["scenario"].as_str().expect("scenario").to_owned();
        (name, row["figures"].clone())
    };
    series.iter().map(named).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_harm_is_counted_as_what_it_is_and_the_run_goes_on() {
    let server = Listening::start(misbehave).await;
    let (full, _held) = full_port().await;
    let at = |port: u16| json!({ "base_url": format!("http://127.0.0.1:{port}"), "timeout": "1s" });
    let patience = json!({ "connect_timeout": "500ms" });
    let mut services = json!({
        "chat": { "endpoint": { "base_url": "http://nobody.invalid", "timeout": "5s" }, "model": "m" },
        "rag": {
            "endpoint": at(server.port),
            "query": { "path": "/query", "body": { "question": "{question}" } },
        },
        "mcp": { "endpoint": at(full), "path": "/mcp" },
    });
    for service in ["chat", "mcp"] {
        services[service]["endpoint"]["connection"] = patience.clone();
    }
    let mut scenarios: Vec<Value> = WAYS
        .iter()
        .map(|(path, _)| {
            let check = match *path {
                "/well" | "/long" => json!([{ "contains": "well" }]),
                _ => json!([]),
            };
            scenario(path, "rag", json!({ "path": path, "checks": check }))
        })
        .collect();
    scenarios.push(scenario("nobody", "chat", json!({ "path": "/" })));
    scenarios.push(scenario("full", "mcp", json!({ "path": "/" })));

    let place = Workplace::new();
    let (report, said) = load(&place, &config(services, &scenarios)).await;
    let figures = figures(&report);
    let expected = WAYS.into_iter().chain([("nobody", Some("dns")), ("full", Some("connect"))]);
    for (name, kind) in expected {
        let of = figures.get(name).unwrap_or_else(|| panic!("no {name} in {figures:?}\n{said}"));
        let n = of["n"].as_u64().expect("n");
        assert!(n >= 3, "{name}: only {n} requests: {of}\n{said}");
        let errors = match kind {
            Some(kind) => json!({ kind: n }),
            None => json!({}),
        };
        assert_eq!(of["errors"], errors, "{name}: {of}\n{said}");
    }
    let circles = server.seen().iter().filter(|path| *path == "/circle").count() as u64;
    let counted = figures["/circle"]["n"].as_u64().expect("n");
    assert!(circles.abs_diff(counted) <= 1, "{circles} requests for {counted} answers");
    let (bytes, n) = (&figures["/bomb"]["bytes"], &figures["/bomb"]["n"]);
    assert_eq!(bytes.as_u64(), n.as_u64().map(|n| n * BOMB as u64), "a bomb was unpacked");
    assert!(!said.contains('\u{1b}'), "an escape sequence came through: {said:?}");
}
