//! The platform's own backup service under drill, as a service that this test is: asked over HTTP, it
//! backs a Redis up into a bucket and a folder, says how far it is, and restores into another Redis.

#[path = "wire/authority.rs"]
#[allow(dead_code, reason = "it is the wire's")]
mod authority;
#[path = "wire/server.rs"]
#[allow(dead_code, reason = "it is the wire's")]
mod server;
mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path as Segment, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shakedown::config::{Config, Store};
use shakedown::sandbox::{Options, Sandbox, config};
use support::{Workplace, ended, report};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use authority::Authority;

const BUCKET: &str = "backups";
const TOKEN: &str = "let-me-back-up";

/// What the service does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// It refuses the request.
    Refuses,
    /// It says that the backup failed.
    Fails,
    /// It says that it is done, and made none.
    MakesNone,
    /// It leaves a file without its end, with the checksum of that.
    Truncates,
    /// Its checksum is another.
    WrongChecksum,
    /// A restore forgets a key.
    Forgets,
    /// A restore changes a value.
    Alters,
    /// Its last backup is two days old; the new one is good.
    LongAgo,
    /// It says that it is done, and has left the one of two days ago only.
    Stale,
    /// Its certificate is of an authority that is not the configured one.
    Stranger,
    /// None, but the scratch store is not there before the restore.
    MakesScratch,
    /// None, but the restore starts the scratch store anew: whoever was connected is not any more.
    RestartsScratch,
}

/// The way to the scratch store, where it is not always there.
struct Way {
    port: u16,
    to: String,
    open: Mutex<Option<JoinHandle<()>>>,
}

impl Way {
    async fn new(to: &Store) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let to = to.url.trim_start_matches("redis://").trim_end_matches("/0").to_owned();
        Self { port, to, open: Mutex::new(None) }
    }

    /// Ends all connections, and takes new ones from now on.
    async fn begin_anew(&self) {
        let before = self.open.lock().expect("not poisoned").take();
        if let Some(before) = before {
            before.abort();
            let _ = before.await;
        }
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("the port");
        let to = self.to.clone();
        let served = tokio::spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let to = to.clone();
                all.spawn(async move {
                    let mut far = TcpStream::connect(to).await.expect("reached");
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        *self.open.lock().expect("not poisoned") = Some(served);
    }
}

/// Connections behind TLS; whoever does not trust the certificate is not served.
struct Secured(TcpListener, TlsAcceptor);

impl axum::serve::Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.0.accept().await.expect("it listens");
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// The service.
struct Service {
    fault: Fault,
    of: Store,
    into: Store,
    way: Option<Way>,
    bucket: Box<s3::Bucket>,
    folder: PathBuf,
    /// How often it was asked how far it is.
    asked: Mutex<u32>,
}

fn connection(store: &Store) -> redis::Connection {
    let address = store.url.strip_prefix("redis://").expect("scheme");
    let client = redis::Client::open(format!("redis://{address}")).expect("address");
    let mut connection = client.get_connection().expect("reached");
    if let Some(source) = &store.password {
        let password = source.read().expect("readable");
        redis::cmd("AUTH").arg(password.expose()).query::<()>(&mut connection).expect("let in");
    }
    connection
}

/// Every key as a line of JSON.
fn dump(store: &Store) -> String {
    let mut server = connection(store);
    let mut keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut server).expect("keys");
    keys.sort();
    let mut lines = String::new();
    for key in keys {
        let dump: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query(&mut server).expect("dump");
        let ends: i64 = redis::cmd("PEXPIRETIME").arg(&key).query(&mut server).expect("end");
        let Some(dump) = dump else { continue };
        let line =
            json!({ "key": STANDARD.encode(key), "dump": STANDARD.encode(dump), "ends": ends });
        lines += &format!("{line}\n");
    }
    lines
}

/// What a drill leaves in a Redis.
fn keys(store: &Store) -> Vec<String> {
    let keys: Vec<Vec<u8>> =
        redis::cmd("KEYS").arg("*").query(&mut connection(store)).expect("keys");
    keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
}

async fn back_up(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    let bearer = format!("Bearer {TOKEN}");
    if headers.get("authorization").is_none_or(|given| given.as_bytes() != bearer.as_bytes()) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "who are you" })));
    }
    if service.fault == Fault::Refuses {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": "not today" })));
    }
    if !matches!(service.fault, Fault::MakesNone | Fault::Stale) {
        let of = service.of.clone();
        let dumped = tokio::task::spawn_blocking(move || dump(&of)).await.expect("dumped");
        let lost = if service.fault == Fault::Truncates { 5 } else { 0 };
        let content = dumped[..dumped.len() - lost].to_owned();
        let mut sum = format!("{:x}", Sha256::digest(&content));
        if service.fault == Fault::WrongChecksum {
            sum = "0".repeat(64);
        }
        for (name, bytes) in [("redis-2.jsonl", &content), ("redis-2.jsonl.sha256", &sum)] {
            let put = service.bucket.put_object(format!("nightly/{name}"), bytes.as_bytes());
            put.await.expect("put");
            std::fs::write(service.folder.join(name), bytes).expect("written");
        }
    }
    (StatusCode::ACCEPTED, Json(json!({ "backup": { "id": "b-17" } })))
}

async fn how_far(State(service): State<Arc<Service>>, Segment(id): Segment<String>) -> Json<Value> {
    assert_eq!(id, "b-17");
    let mut asked = service.asked.lock().expect("not poisoned");
    *asked += 1;
    let state = match service.fault {
        _ if *asked < 3 => "running",
        Fault::Fails => "partially_failed",
        _ => "completed",
    };
    Json(json!({ "state": state }))
}

async fn restore(State(service): State<Arc<Service>>) -> StatusCode {
    if let Some(way) = &service.way {
        way.begin_anew().await;
    }
    let content = std::fs::read_to_string(service.folder.join("redis-2.jsonl")).expect("a backup");
    let (into, fault) = (service.into.clone(), service.fault);
    let work = tokio::task::spawn_blocking(move || {
        let mut server = connection(&into);
        for line in content.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let bytes =
                |name: &str| STANDARD.decode(line[name].as_str().expect("text")).expect("base64");
            let key = bytes("key");
            let victim = String::from_utf8_lossy(&key).ends_with("cache:doc-0000003");
            if victim && fault == Fault::Forgets {
                continue;
            }
            let ends = line["ends"].as_i64().expect("a number").max(0);
            let mut restore = redis::cmd("RESTORE");
            restore.arg(&key).arg(ends).arg(bytes("dump")).arg("ABSTTL");
            restore.query::<()>(&mut server).expect("restored");
            if victim && fault == Fault::Alters {
                let mut set = redis::cmd("HSET");
                set.arg(&key).arg("title").arg("another").query::<()>(&mut server).expect("set");
            }
        }
    });
    work.await.expect("restored");
    StatusCode::NO_CONTENT
}

/// Two sandboxes: the platform, and the one with the scratch store and the bucket.
struct Stage {
    platform: Sandbox,
    scratch: Sandbox,
    of: Store,
    into: Store,
    minio: Store,
}

impl Stage {
    async fn new() -> Self {
        let executable = Path::new(env!("CARGO_BIN_EXE_shakedown"));
        let launch = || async {
            let options = Options::default();
            Sandbox::launch(executable, &options).await.expect("comes up")
        };
        let (platform, scratch) = (launch().await, launch().await);
        let of = |sandbox: &Sandbox| config(sandbox.endpoints()).stores.redis.expect("a Redis");
        let minio = config(scratch.endpoints()).stores.minio.expect("an S3");
        Self { of: of(&platform), into: of(&scratch), minio, platform, scratch }
    }

    async fn bucket(&self) -> Box<s3::Bucket> {
        let timeout = support::PATIENCE;
        let server =
            shakedown::platform::store::minio::connect(&self.minio, timeout).expect("address");
        let (region, keys) = (server.region.clone(), server.credentials.clone());
        let form = s3::BucketConfiguration::default();
        let _ = s3::Bucket::create_with_path_style(BUCKET, region, keys, form).await;
        server.bucket(BUCKET).expect("name")
    }

    /// A drill of a service with a fault: exit code, and what the report says of the store.
    async fn drill(&self, fault: Fault, in_bucket: bool) -> (Option<i32>, Value) {
        let place = Workplace::new();
        let folder = place.path().join("artefacts");
        std::fs::create_dir(&folder).expect("made");
        let bucket = self.bucket().await;
        for name in ["nightly/redis-2.jsonl", "nightly/redis-2.jsonl.sha256"] {
            let _ = bucket.delete_object(name).await;
        }
        if matches!(fault, Fault::LongAgo | Fault::Stale) {
            let old = folder.join("redis-1.jsonl");
            std::fs::write(&old, "{\"key\": \"of two days ago\"}\n".repeat(9)).expect("written");
            let then = std::time::SystemTime::now() - Duration::from_secs(48 * 3600);
            std::fs::File::open(&old).and_then(|file| file.set_modified(then)).expect("set");
        }
        let (mut into, mut way) = (self.into.clone(), None);
        if matches!(fault, Fault::MakesScratch | Fault::RestartsScratch) {
            let to = Way::new(&into).await;
            into.url = format!("redis://127.0.0.1:{}/0", to.port);
            if fault == Fault::RestartsScratch {
                to.begin_anew().await;
            }
            way = Some(to);
        }
        let service = Service {
            fault,
            of: self.of.clone(),
            into: self.into.clone(),
            way,
            bucket,
            folder: folder.clone(),
            asked: Mutex::new(0),
        };
        let routes = Router::new()
            .route("/backups", post(back_up))
            .route("/backups/{id}", get(how_far))
            .route("/restore", post(restore))
            .with_state(Arc::new(service));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // The one with the bucket is behind TLS, with an authority of its own, and behind a proxy.
        let authority = Authority::new("backups");
        let (scheme, proxy) = if in_bucket { ("https", "an address") } else { ("http", "none") };
        let way = server::http_proxy(port).await;
        let proxy = proxy.replace("an address", &format!("http://127.0.0.1:{}", way.port));
        let url = format!("{scheme}://localhost:{port}");
        let acceptor = TlsAcceptor::from(authority.server(&["h2", "http/1.1"], None));
        let server = tokio::spawn(async move {
            match in_bucket {
                true => axum::serve(Secured(listener, acceptor), routes).await,
                false => axum::serve(listener, routes).await,
            }
        });
        let trusted = match fault {
            Fault::Stranger => Authority::new("backups"),
            _ => authority,
        };
        let ca_file = trusted.file(place.path(), "ca.pem");

        let token = place.path().join("token");
        std::fs::write(&token, TOKEN).expect("written");
        let mut artefact = json!({
            "store": "redis", "format": "json_lines", "checksum": ".sha256", "min_bytes": 100,
        });
        if in_bucket {
            artefact["path"] = json!("nightly/redis-*.jsonl");
            artefact["s3"] = json!({ "bucket": BUCKET, "store": self.minio });
        } else {
            artefact["path"] = json!(folder.join("redis-*.jsonl"));
        }
        let mut all: Config = config(self.platform.endpoints());
        all.backup.platform = Some(
            serde_json::from_value(json!({
                "connection": { "proxy": proxy },
                "tls": { "ca_file": ca_file },
                "trigger": { "http": { "url": format!("{url}/backups"),
                    "auth": { "bearer_file": token } } },
                "wait": { "url": format!("{url}/backups/{{id}}"), "id": "/backup/id",
                    "state": "/state", "done": ["completed"], "failed": ["partially_failed"],
                    "interval": "50ms" },
                "artefacts": [artefact],
                "restore": {
                    "call": { "http": { "url": format!("{url}/restore"), "expect": [204] } },
                    "into": { "redis": into },
                },
            }))
            .expect("a configuration"),
        );
        let path = place.path().join("shakedown.yaml");
        std::fs::write(&path, serde_yaml::to_string(&all).expect("YAML")).expect("written");
        // Both ways of asking for it: the plan for a disaster drills the platform's backups by itself.
        let mut command = match in_bucket {
            true => place.command(&["backup", "--set", "backup.way=platform"]),
            false => place.command(&["run", "--dr"]),
        };
        command.args(["--headless", "--seed", "7", "--set", "backup.stores=[redis]"]);
        command.args(["--set", "backup.documents=30"]);
        command.args(["--set", "backup.canary_interval=50ms", "--config"]).arg(&path);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
        let (code, out, err) =
            tokio::task::spawn_blocking(move || ended(child)).await.expect("over");
        server.abort();
        let tunnels =
            way.seen().iter().filter(|line| line.starts_with("CONNECT localhost:")).count();
        assert_eq!(tunnels > 0, in_bucket, "the way to the service: {:?}", way.seen());
        assert!(!out.contains(TOKEN) && !err.contains(TOKEN), "{out}{err}");
        let report = report(&place.run());
        assert!(!report.to_string().contains(TOKEN));
        let phases = report["phases"].as_array().expect("phases").clone();
        let phase = phases.into_iter().find(|phase| phase["phase"] == "backup");
        let store = phase.expect("a drill")["backup"][0]["stores"][0].clone();
        assert!(store["residue"].as_array().is_some_and(Vec::is_empty), "{store}");
        let undo = place.path().join("state/shakedown/undo-drill");
        assert_eq!(std::fs::read_dir(undo).map_or(0, Iterator::count), 0, "{store}");
        (code, store)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_asked_waited_for_checked_restored_from_and_compared() {
    let stage = Stage::new().await;
    redis::cmd("SET").arg("theirs").arg("1").query::<()>(&mut connection(&stage.of)).expect("set");
    for in_bucket in [false, true] {
        let (code, store) = stage.drill(Fault::None, in_bucket).await;
        assert_eq!(code, Some(0), "{store}");
        assert_eq!((&store["verdict"], &store["level"]), (&json!("pass"), &json!("L6")), "{store}");
        assert!(store["rpo_seconds"].as_f64() > Some(0.0), "{store}");
        let files = store["files"].to_string();
        assert!(files.contains("redis-2.jsonl"), "{store}");
        assert_eq!(store["verifier"]["flipped"], true, "{store}");
        let notes = store["notes"].to_string();
        assert!(notes.contains("there was no backup before"), "{notes}");
        assert_eq!(keys(&stage.of), ["theirs"], "in the platform's store");
        // What else the restore brought into the scratch store is the service's own.
        assert_eq!(keys(&stage.into), ["theirs"], "in the scratch store");
        redis::cmd("DEL").arg("theirs").query::<()>(&mut connection(&stage.into)).expect("deleted");
    }
    for (fault, note) in [
        (Fault::MakesScratch, "was not there before the restore"),
        (Fault::RestartsScratch, "there was no backup before"),
    ] {
        let (code, store) = stage.drill(fault, true).await;
        assert_eq!((code, &store["level"]), (Some(0), &json!("L6")), "{fault:?}: {store}");
        assert!(store["notes"].to_string().contains(note), "{fault:?}: {store}");
        assert_eq!(keys(&stage.into), ["theirs"], "{fault:?}: in the scratch store");
        redis::cmd("DEL").arg("theirs").query::<()>(&mut connection(&stage.into)).expect("deleted");
    }
    for (fault, verdict, words) in [
        (Fault::Refuses, "fail", "503"),
        (Fault::Fails, "fail", "partially_failed"),
        (Fault::MakesNone, "fail", "no such object"),
        (Fault::Truncates, "fail", "redis-2.jsonl: line"),
        (Fault::WrongChecksum, "fail", "says 0000"),
        (Fault::Forgets, "fail", "1 missing"),
        (Fault::Alters, "fail", "1 changed"),
        (
            Fault::LongAgo,
            "fail",
            "the last backup was 2880 min old, and the promised RPO is 60 min;",
        ),
        (Fault::Stale, "fail", "older than the trigger"),
        (Fault::Stranger, "fail", "certificate"),
    ] {
        let in_bucket = !matches!(fault, Fault::LongAgo | Fault::Stale);
        let (code, store) = stage.drill(fault, in_bucket).await;
        assert_eq!((code, &store["verdict"]), (Some(1), &json!(verdict)), "{fault:?}: {store}");
        let reason = store["reason"].as_str().expect("a reason");
        assert!(reason.contains(words), "{fault:?}: {reason}");
        assert_eq!(keys(&stage.of), ["theirs"], "{fault:?}: in the platform's store");
        redis::cmd("DEL").arg("theirs").query::<()>(&mut connection(&stage.into)).expect("deleted");
        assert_eq!(keys(&stage.into), Vec::<String>::new(), "{fault:?}: in the scratch store");
    }
    let Stage { platform, scratch, .. } = stage;
    platform.stop().await;
    scratch.stop().await;
}

#[test]
fn a_drill_for_a_disaster_is_skipped_where_there_is_no_backup_service() {
    let place = Workplace::new();
    let output = place.output(&["run", "--dr", "--headless", "--seed", "7"]);
    assert_eq!(output.status.code(), Some(3), "{}", support::text(&output.stdout));
    let report = report(&place.run());
    let phases = report["phases"].as_array().expect("phases");
    let phase = phases.iter().find(|phase| phase["phase"] == "backup").expect("the drill");
    assert_eq!(phase["status"], "skipped", "{phase}");
    assert!(phase["reason"].as_str().is_some_and(|r| r.contains("`backup.platform`")), "{phase}");
    assert!(phase.get("backup").is_none(), "nothing of ours is shown instead: {phase}");
}
