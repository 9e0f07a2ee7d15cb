//! Users that may only read: the embedded stores have one user each, so a gate before them answers each
//! write as the real server does one of such a user, and lets the rest through. Real servers and their
//! own refusals are in `tests/live_stores/read_only.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use neo4rs::query;
use shakedown::config::{Store, StoreKind};
use shakedown::platform::store::neo4j::connect;
use shakedown::platform::tls::install_provider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::refused::is_refused;
use super::{PATIENCE, Up};

const CONSTRAINT: &str =
    "CREATE CONSTRAINT sd_drill_key FOR (n:ShakedownDrill) REQUIRE n._sd_key IS UNIQUE";

/// Writes that were refused.
type Refused = Arc<AtomicUsize>;

/// Before an S3: what changes something is denied.
async fn gate_of_minio(store: &Store, refused: Refused) -> Store {
    install_provider();
    async fn through(State((to, refused)): State<(String, Refused)>, request: Request) -> Response {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            refused.fetch_add(1, Ordering::Relaxed);
            let denied = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code>\
                <Message>Access Denied.</Message></Error>";
            return (StatusCode::FORBIDDEN, denied).into_response();
        }
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        // The host is part of the signature: it stays what the client wrote.
        let client = reqwest::Client::new();
        let asked = client.request(request.method().clone(), format!("{to}{path}"));
        let answer = asked.headers(request.headers().clone()).send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.expect("a body");
        (status, headers, Body::from(body)).into_response()
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let routes = Router::new().fallback(through).with_state((store.url.clone(), refused));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Store { url, ..store.clone() }
}

/// Before a Neo4j: a query that writes is refused with a code and a message.
async fn gate_of_neo4j(store: &Store, refused: Refused, said: [&'static str; 2]) -> Store {
    let (_, there) = store.url.split_once("://").expect("a scheme");
    let there = there.trim_end_matches('/').to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("bolt://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(&there).await.expect("it listens");
            tokio::spawn(bolt(near, far, Arc::clone(&refused), said));
        }
    });
    Store { url, ..store.clone() }
}

/// One connection, message by message. Only one side speaks at a time.
async fn bolt(near: TcpStream, far: TcpStream, refused: Refused, said: [&str; 2]) -> Option<()> {
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) =
        (near.into_split(), far.into_split());
    let (mut asked, mut agreed) = ([0; 20], [0; 4]);
    near_in.read_exact(&mut asked).await.ok()?;
    far_out.write_all(&asked).await.ok()?;
    far_in.read_exact(&mut agreed).await.ok()?;
    near_out.write_all(&agreed).await.ok()?;
    let mut failed = false;
    loop {
        let message = next(&mut near_in).await?;
        let kind = *message.get(1)?;
        let query = String::from_utf8_lossy(&message).to_uppercase();
        let writes =
            ["CREATE ", "DELETE ", " SET ", "DROP "].iter().any(|word| query.contains(word));
        failed &= kind != RESET;
        if kind == RUN && writes && !failed {
            failed = true;
            refused.fetch_add(1, Ordering::Relaxed);
            send(&mut near_out, &failure(said)).await?;
        } else if failed {
            send(&mut near_out, &[0xb0, IGNORED]).await?;
        } else {
            send(&mut far_out, &message).await?;
            // It has no answer; PULL has as many as there are rows, and one more.
            if kind == GOODBYE {
                return None;
            }
            loop {
                let answer = next(&mut far_in).await?;
                let is_row = answer.get(1) == Some(&RECORD);
                send(&mut near_out, &answer).await?;
                if !is_row {
                    break;
                }
            }
        }
    }
}

const RUN: u8 = 0x10;
const RESET: u8 = 0x0f;
const GOODBYE: u8 = 0x02;
const RECORD: u8 = 0x71;
const IGNORED: u8 = 0x7e;

/// What Neo4j says to a user with the role `reader`.
const READER: [&str; 2] = [
    "Neo.ClientError.Security.Forbidden",
    "Write operations are not allowed for user 'reader' with roles [PUBLIC, reader].",
];
/// What it says to everybody in a database that may only be read.
const READ_ONLY: [&str; 2] = [
    "Neo.ClientError.General.WriteOnReadOnlyAccessDatabase",
    "No write operations are allowed on this database. The database is in read-only mode on this \
     Neo4j instance.",
];

fn failure([code, message]: [&str; 2]) -> Vec<u8> {
    let mut failure = vec![0xb1, 0x7f, 0xa2];
    for text in ["code", code, "message", message] {
        failure.extend([0xd0, u8::try_from(text.len()).expect("short")]);
        failure.extend(text.as_bytes());
    }
    failure
}

async fn next(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let length = usize::from(from.read_u16().await.ok()?);
        if length == 0 && !whole.is_empty() {
            return Some(whole);
        }
        let at = whole.len();
        whole.resize(at + length, 0);
        from.read_exact(&mut whole[at..]).await.ok()?;
    }
}

async fn send(to: &mut OwnedWriteHalf, message: &[u8]) -> Option<()> {
    for chunk in message.chunks(usize::from(u16::MAX)) {
        to.write_u16(chunk.len() as u16).await.ok()?;
        to.write_all(chunk).await.ok()?;
    }
    to.write_u16(0).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_only_read_ends_in_a_clear_verdict_and_nothing_is_left() {
    let up = Up::new();
    let (minio, neo4j) = (up.store(StoreKind::Minio), up.store(StoreKind::Neo4j));
    let refused = Refused::default();
    let tried = async |kind, gated, words: &str| {
        let reason = is_refused(kind, gated).await;
        assert!(refused.swap(0, Ordering::Relaxed) > 0, "{kind}: nothing was tried: {reason}");
        assert!(reason.contains(words), "{kind}: {reason}");
    };
    let gated = gate_of_minio(minio, Arc::clone(&refused)).await;
    tried(StoreKind::Minio, gated, "denied").await;
    for said in [READER, READ_ONLY] {
        let gated = gate_of_neo4j(neo4j, Arc::clone(&refused), said).await;
        tried(StoreKind::Neo4j, gated, "write operations are").await;
        // The same, where the drill of somebody else has left its constraint.
        let graph = connect(neo4j, PATIENCE).await.expect("connected");
        graph.run(query(CONSTRAINT)).await.expect("made");
        let gated = gate_of_neo4j(neo4j, Arc::clone(&refused), said).await;
        tried(StoreKind::Neo4j, gated, "write operations are").await;
        graph.run(query("DROP CONSTRAINT sd_drill_key")).await.expect("still there");
    }
}
