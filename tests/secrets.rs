//! Secrets that are planted wherever a configuration names one, and a platform that sends back all that
//! it is sent: they stand in no output whatever.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::json;
use shakedown::config::{Auth, Config, Grafana, SHIPPED_SLOS, SecretSource, Store, Stores};
use shakedown::sandbox::{Endpoints, config};
use support::screen::Screen;
use support::{Workplace, ended, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Where a secret is planted, and the secret.
const PLANTED: [(&str, &str); 9] = [
    ("chat", "planted-chat-token-41c7"),
    ("rag", "planted-rag-key-92ab"),
    ("mcp", "planted-mcp-token-77d0"),
    ("redis", "planted-redis-password-0be4"),
    ("minio", "planted-minio-user-3d15"),
    ("hook", "planted-hook-path-5f60"),
    ("hook_bearer", "planted-hook-bearer-a8e2"),
    ("prometheus", "planted-prometheus-token-6c93"),
    ("grafana", "planted-grafana-token-d41b"),
];

fn secret(name: &str) -> &'static str {
    PLANTED.iter().find(|(planted, _)| *planted == name).expect("planted").1
}

/// Secrets that reached the platform, so that it could send them back.
#[derive(Clone, Default)]
struct Parrot(Arc<Mutex<BTreeSet<&'static str>>>);

impl Parrot {
    fn heard(&self, all: &str) {
        let mut heard = self.0.lock().expect("not poisoned");
        heard.extend(PLANTED.iter().filter(|(_, secret)| all.contains(secret)).map(|(at, _)| *at));
    }
}

/// Answers with everything that it was asked: in headers, in a body that is an error of every API, and
/// in a status that makes others speak of it. Health is well, and discovery finds something.
async fn repeat(State(parrot): State<Parrot>, request: Request) -> impl IntoResponse {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let all = format!("{} {:?} {}", head.uri, head.headers, String::from_utf8_lossy(&body));
    parrot.heard(&all);
    let path = head.uri.path();
    let status = match path {
        "/health" | "/mcp" => StatusCode::OK,
        _ if path.contains("planted-hook") => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let answer = json!({
        "jsonrpc": "2.0", "id": 1, "status": "error", "error": all, "message": all, "detail": all,
        "object": "error",
    });
    let line: String = all.chars().filter(|c| c.is_ascii_graphic()).collect();
    (status, [("x-repeated", line.clone()), ("server", line)], axum::Json(answer))
}

async fn platform(parrot: &Parrot) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(repeat).with_state(parrot.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A Redis that says what it was sent instead of doing it.
async fn redis(parrot: &Parrot) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("an address"));
    let parrot = parrot.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let parrot = parrot.clone();
            tokio::spawn(async move {
                let mut asked = vec![0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut asked).await {
                    let said = String::from_utf8_lossy(&asked[..n]).replace(['\r', '\n'], " ");
                    parrot.heard(&said);
                    let answer = format!("-WRONGPASS no such user: {said}\r\n");
                    if stream.write_all(answer.repeat(4).as_bytes()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    url
}

fn kept(place: &Workplace, name: &str, content: &str) -> PathBuf {
    let folder = place.path().join("kept");
    std::fs::create_dir_all(&folder).expect("made");
    let path = folder.join(name);
    std::fs::write(&path, content).expect("written");
    path
}

/// A configuration that names every planted secret, and definitions that do.
fn configuration(place: &Workplace, url: &str, redis: &str) -> PathBuf {
    let endpoints = Endpoints {
        chat: url.into(),
        rag: url.into(),
        mcp: url.into(),
        admin: url.into(),
        stores: Stores::default(),
    };
    let mut all: Config = config(&endpoints);
    let file = |name: &str| kept(place, name, &format!("{}\n", secret(name)));
    let services = &mut all.services;
    if let Some(chat) = &mut services.chat {
        chat.endpoint.auth = Some(Auth::BearerFile(file("chat")));
    }
    if let Some(rag) = &mut services.rag {
        let value = SecretSource::Env("RAG_KEY".into());
        rag.endpoint.auth = Some(Auth::Header { name: "x-api-key".into(), value });
    }
    if let Some(mcp) = &mut services.mcp {
        mcp.endpoint.auth = Some(Auth::BearerFile(file("mcp")));
    }
    let store = |url: &str, name: &str| {
        Some(Store { password: Some(SecretSource::File(file(name))), ..Store::at(url) })
    };
    all.stores.redis = store(redis, "redis");
    let user = Some(SecretSource::File(file("minio")));
    all.stores.minio = Some(Store { user, ..store(url, "redis").expect("a store") });
    let token = SecretSource::File(file("grafana"));
    all.monitoring.grafana = Some(Grafana { url: url.into(), token, tags: vec![] });
    all.monitoring.textfile = Some(place.path().join("shakedown.prom"));

    let hook = kept(place, "hook", &format!("{url}/{}\n", secret("hook")));
    let (bearer, token) = (file("hook_bearer"), file("prometheus"));
    let channel = format!(
        "channels:\n  hook: {{ type: webhook, url_file: {}, bearer: {{ file: {} }} }}\n  slack:",
        hook.display(),
        bearer.display()
    );
    let source = format!(
        "prometheus: {{ url: \"{url}\", bearer: {{ file: {} }}, up: up, scrape_interval: 15s }}\n#   url:",
        token.display()
    );
    let window = "window: 30d, prometheus: { good: 'a[{{window}}]', total: 'b[{{window}}]' } }";
    let definitions = SHIPPED_SLOS
        .replace("mode: auto", "mode: one_shot")
        .replace("channels:\n  slack:", &channel)
        .replace("channels: [slack]", "channels: [hook]")
        .replace("channels: [pager, slack, mail]", "channels: [hook]")
        .replace("# prometheus:\n#   url:", &source)
        .replace(
            "service: chat, objective_percent: 99.5, window: 30d }",
            &format!("service: chat, objective_percent: 99.5, {window}"),
        );
    let path = place.path().join("slo.yaml");
    std::fs::write(&path, definitions).expect("written");
    all.slo_definitions = Some(path);
    let path = place.path().join("shakedown.yaml");
    std::fs::write(&path, serde_yaml::to_string(&all).expect("YAML")).expect("written");
    path
}

/// Every file below a folder, but for those that hold the secrets.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "kept") {
            files(&path, found);
        } else if path.is_file() {
            found.push((path.display().to_string(), std::fs::read(&path).expect("readable")));
        }
    }
}

/// Everything that the program shows of a run in a terminal.
fn screens(place: &Workplace) -> Vec<(String, Vec<u8>)> {
    let mut shown = Vec::new();
    for (rows, cols) in [(24, 80), (50, 200)] {
        let mut screen = Screen::of_size(place, &["attach"], rows, cols);
        screen.shows("finished");
        for keys in ["1", "2", "3", "4", "\r", "\x1b", "5", "6", "e", "e", "\x1b", "7", "?", "\x1b"]
        {
            screen.press(keys);
            std::thread::sleep(std::time::Duration::from_millis(250));
            let at = format!("screen of {cols}x{rows} after {keys:?}");
            shown.push((at, screen.text().into_bytes()));
        }
        screen.press("q");
        screen.ended();
        let written = screen.written.lock().expect("not poisoned").clone();
        shown.push((format!("terminal of {cols}x{rows}"), written));
    }
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_secrets_stand_in_no_output() {
    let parrot = Parrot::default();
    let (url, redis) = (platform(&parrot).await, redis(&parrot).await);
    let place = Workplace::new();
    let config = configuration(&place, &url, &redis);
    let config = config.to_str().expect("text").to_owned();
    let outputs = tokio::task::spawn_blocking(move || outputs(&place, &config));
    let outputs = outputs.await.expect("all there");

    // The platform got each of them, so each had its chance.
    let heard = parrot.0.lock().expect("not poisoned").clone();
    let planted: BTreeSet<&str> = PLANTED.iter().map(|(at, _)| *at).collect();
    assert_eq!(heard, planted, "what the platform was sent");
    let named: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    for part in [
        "events.jsonl",
        "production_validation_report.json",
        "report.html",
        "security.sarif",
        "stats.csv",
        "response_times.hlog",
        "engine.log",
        "order.json",
        "shakedown.prom",
        "report --format junit",
        "report --format ctrf",
        "report --format markdown",
        "screen of 80x24",
        "standard error of the run",
        "/notify/",
    ] {
        assert!(named.iter().any(|name| name.contains(part)), "{part} is among {named:?}");
    }
    for (name, content) in &outputs {
        for (at, secret) in PLANTED {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "the secret of {at} stands in {name}:\n{}", around(content, secret));
        }
    }
    // What was sent back was spoken of: an empty report would prove nothing.
    let spoken = outputs
        .iter()
        .any(|(name, content)| name.ends_with("events.jsonl") && text(content).contains("***"));
    assert!(spoken, "no answer of the platform is in the journal");
}

/// Everything that comes out of the program, by name.
fn outputs(place: &Workplace, config: &str) -> Vec<(String, Vec<u8>)> {
    let mut outputs = Vec::new();
    let mut command = place.command(&["run", "--headless", "--seed", "7", "--config", config]);
    command.args(["--only", "mixed,security,backup,slo", "--set", "phases.full.mixed=4s"]);
    command.args(["--set", "phases.cooldown=1s", "--set", "workloads.mixed.graceful_stop=1s"]);
    command.args(["--set", "backup.documents=20", "--set", "guards.error_rate_percent=100"]);
    command.env("RAG_KEY", secret("rag"));
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let (code, out, err) = ended(command.spawn().expect("program runs"));
    assert_eq!(code, Some(1), "{out}\n{err}");
    outputs.push(("standard output of the run".to_owned(), out.into_bytes()));
    outputs.push(("standard error of the run".to_owned(), err.into_bytes()));
    let mut asked: Vec<Vec<&str>> = ["json", "html", "junit", "ctrf", "markdown", "csv", "hlog"]
        .into_iter()
        .map(|format| vec!["report", "--format", format])
        .collect();
    let id = place.run().id();
    asked.push(vec!["results"]);
    asked.push(vec!["runs", "--trend"]);
    asked.push(vec!["compare", &id, &id]);
    asked.push(vec!["check", "--origins", "--config", config]);
    asked.push(vec!["notify", "test", "--config", config]);
    asked.push(vec!["notify", "test", "--dry-run", "--config", config]);
    asked.push(vec!["slo", "lint"]);
    for arguments in asked {
        let output = place.command(&arguments).env("RAG_KEY", secret("rag")).output();
        let output = output.expect("program runs");
        let name = arguments.join(" ");
        outputs.push((name.clone(), output.stdout));
        outputs.push((format!("standard error of {name}"), output.stderr));
    }
    outputs.extend(screens(place));
    files(place.path(), &mut outputs);
    outputs
}

/// The place of a secret in an output, for the message of a failed test.
fn around(content: &[u8], secret: &str) -> String {
    let all = text(content);
    let at = all.find(secret).unwrap_or_default();
    all.chars().skip(all[..at].chars().count().saturating_sub(200)).take(400).collect()
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    let place = Workplace::new();
    let hidden = "hunter2-in-an-address";
    for (path, url) in [
        ("services.chat.endpoint.base_url", format!("http://me:{hidden}@127.0.0.1:1")),
        ("stores.redis.url", format!("redis://me:{hidden}@127.0.0.1:1")),
        ("stores.postgres.url", format!("postgres://me:{hidden}@127.0.0.1:1/db")),
    ] {
        let set = format!("{path}={url}");
        let output = place.output(&["locust", "--headless", "--set", &set]);
        assert_eq!(output.status.code(), Some(2), "{path}: {}", text(&output.stdout));
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains(path) && !said.contains(hidden), "{path}: {said}");
    }
    assert!(!place.runs().exists(), "nothing was started");
}
