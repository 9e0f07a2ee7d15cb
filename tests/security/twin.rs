//! A platform with every weakness, and its secure twin. Both have the traps: a page for everything,
//! JSON that repeats what it is sent, 500 for any quote, latencies by chance, `*` and the credentials
//! header alone, placeholders for keys.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::statement;

pub const KEY: &str = "ghp_a8Kd03jFq91LmZx7RtYw5Vb2NcPe6HsUg4Ti";
/// HS256 of `{"sub":"first"}` with the key `secret`, and one with a key that nobody would try.
pub const WEAK_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJmaXJzdCJ9.2Y4ZQVxIP9jyVHeqfAiUcqZ2uHp9w7p23lQTmkfriCs";
pub const SECOND: &str = "the-token-of-the-second-user";

type Files = Arc<Mutex<HashMap<String, (String, Vec<u8>)>>>;

#[derive(Clone)]
pub struct Twin {
    pub weak: bool,
    token: String,
    recent: Arc<Mutex<Vec<Instant>>>,
    logins: Arc<Mutex<HashMap<String, u32>>>,
    pub documents: Arc<Mutex<HashMap<String, String>>>,
    pub files: Files,
    /// What anybody may replace, and a page shows.
    pub motto: Arc<Mutex<String>>,
    /// Whether what an upload stored is said later only.
    pub slow: Arc<AtomicBool>,
}

/// What stands there as it is configured.
pub const MOTTO: &str = "Slow is smooth";

pub async fn serve(weak: bool, token: &str) -> (String, Twin) {
    let twin = Twin {
        weak,
        token: format!("Bearer {token}"),
        recent: Arc::default(),
        logins: Arc::default(),
        documents: Arc::default(),
        files: Arc::default(),
        motto: Arc::new(Mutex::new(MOTTO.into())),
        slow: Arc::default(),
    };
    let router = Router::new()
        .route("/health", get(health))
        .route("/query", post(query))
        .route("/rows", get(rows))
        .route("/slow", get(slow))
        .route("/quotes", get(quotes))
        .route("/page", get(page))
        .route("/attribute", get(attribute))
        .route("/script", get(script))
        .route("/echo", get(echo))
        .route("/private/report", get(private))
        .route("/objects/1", get(private))
        .route("/null-origin", get(async || Json(json!({ "ok": true }))))
        .route("/prefix-origin", get(async || Json(json!({ "ok": true }))))
        .route("/documents", post(ingest))
        .route("/documents/{id}", get(document).delete(forget))
        .route("/motto", get(motto).post(new_motto))
        .route("/files", post(upload))
        .route("/files/{*name}", get(file).delete(remove))
        .route("/login", post(login))
        .route("/.env", get(environment))
        .route("/app.js", get(async |State(twin): State<Twin>| twin.source()))
        .route("/openapi.json", get(async || Json(description())))
        .fallback(catch_all)
        .layer(from_fn_with_state(twin.clone(), around))
        .with_state(twin.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), twin)
}

fn description() -> Value {
    let query = |name: &str| json!({ "get": { "parameters": [{ "name": name, "in": "query", "example": "apple" }] } });
    let secured = json!({ "get": { "security": [{ "bearer": [] }] } });
    json!({
        "openapi": "3.1.0",
        "paths": {
            "/query": { "post": {} }, "/rows": query("name"), "/slow": query("name"), "/quotes": query("q"),
            "/page": query("name"), "/attribute": query("v"), "/script": query("v"), "/echo": query("x"),
            "/private/report": secured,
            "/null-origin": { "get": {} }, "/prefix-origin": { "get": {} },
            "/everything": { "delete": {} },
            "/files": { "post": { "requestBody": { "content": { "multipart/form-data": { "schema": {
                "properties": { "file": { "type": "string", "format": "binary" } } } } } } } },
        },
    })
}

/// Headers, origins and limits, as the twin has them.
async fn around(State(twin): State<Twin>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).and_then(|o| o.to_str().ok());
    let (origin, path) = (origin.map(str::to_owned), request.uri().path().to_owned());
    if request.method() == Method::DELETE && path == "/everything" {
        panic!("what was not listed was called");
    }
    if !twin.weak && twin.is_too_fast() {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let value = |text: &str| HeaderValue::from_str(text).expect("value");
    let mut allow = (!twin.weak).then(|| "*".to_owned());
    if twin.weak {
        headers.insert(header::SERVER, HeaderValue::from_static("nginx/1.2.3"));
        let own = "https://app.example.com";
        allow = match (path.as_str(), origin) {
            ("/null-origin", Some(origin)) => (origin == "null").then_some(origin),
            ("/prefix-origin", Some(origin)) => {
                Some(if origin.starts_with(own) { origin } else { own.into() })
            }
            (_, origin) => origin,
        };
    } else {
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let policy = "default-src 'none'; frame-ancestors 'none'";
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(allow) = allow {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value(&allow));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    response
}

impl Twin {
    fn is_too_fast(&self) -> bool {
        let mut recent = self.recent.lock().expect("not poisoned");
        recent.retain(|at| at.elapsed() < Duration::from_secs(1));
        recent.push(Instant::now());
        recent.len() > 80
    }

    fn source(&self) -> String {
        let key = if self.weak { KEY } else { "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" };
        format!("const token = '{key}';")
    }

    fn escaped(&self, text: &str) -> String {
        if self.weak {
            return text.to_owned();
        }
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
    }
}

type Parameters = Query<HashMap<String, String>>;

fn of<'a>(parameters: &'a Parameters, name: &str) -> &'a str {
    parameters.get(name).map_or("", String::as_str)
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "time": format!("{:?}", Instant::now()) }))
}

/// A statement with the value in it, or beside it.
fn select(twin: &Twin, value: &str) -> Result<(bool, Duration), String> {
    if twin.weak {
        statement::run(&format!("name = '{value}'"), "apple")
    } else {
        Ok((value == "apple", Duration::ZERO))
    }
}

fn found(holds: bool) -> Json<Value> {
    let rows =
        if holds { json!(["an apple a day", "keeps", "the doctor away"]) } else { json!([]) };
    Json(json!({ "rows": rows }))
}

/// Errors are shown.
async fn query(State(twin): State<Twin>, Json(body): Json<Value>) -> Response {
    match select(&twin, body["question"].as_str().unwrap_or_default()) {
        Ok((holds, _)) => found(holds).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

/// Errors are swallowed: only conditions show.
async fn rows(State(twin): State<Twin>, parameters: Parameters) -> Json<Value> {
    found(select(&twin, of(&parameters, "name")).is_ok_and(|(holds, _)| holds))
}

/// Nothing shows but time.
async fn slow(State(twin): State<Twin>, parameters: Parameters) -> Json<Value> {
    let waits = select(&twin, of(&parameters, "name")).map(|(_, waits)| waits);
    // By chance: a trap for who takes one slow answer for a delay.
    let chance = Duration::from_millis(u64::from(rand::random::<u8>()));
    tokio::time::sleep(if twin.weak { waits.unwrap_or_default() } else { chance * 4 }).await;
    Json(json!({ "accepted": true }))
}

async fn quotes(parameters: Parameters) -> Response {
    if of(&parameters, "q").contains(['\'', '"']) {
        return (StatusCode::INTERNAL_SERVER_ERROR, "something went wrong").into_response();
    }
    "fine".into_response()
}

async fn page(State(twin): State<Twin>, parameters: Parameters) -> Html<String> {
    let name = twin.escaped(of(&parameters, "name"));
    Html(format!("<!doctype html><p>Hello {name}</p><script src=/app.js></script>"))
}

async fn attribute(State(twin): State<Twin>, parameters: Parameters) -> Html<String> {
    let value = of(&parameters, "v").replace('<', "&lt;");
    let value = if twin.weak { value } else { value.replace('"', "&quot;") };
    Html(format!("<!doctype html><input value=\"{value}\">"))
}

async fn script(State(twin): State<Twin>, parameters: Parameters) -> Html<String> {
    let value = of(&parameters, "v").replace('<', "\\u003c");
    let value = if twin.weak { value } else { value.replace('\\', "\\\\").replace('\'', "\\'") };
    Html(format!("<!doctype html><script>var v = '{value}';</script>"))
}

async fn echo(parameters: Parameters) -> Json<Value> {
    Json(json!({ "you said": of(&parameters, "x") }))
}

/// For the first user; the weak twin does not look at the signature, nor at who it is.
async fn private(State(twin): State<Twin>, headers: HeaderMap, request: Request) -> Response {
    let sent = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let claims = |text: &str| URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok();
    let first = |text: &str| {
        serde_json::from_slice::<Value>(&claims(text)?).ok().map(|claims| claims["sub"] == "first")
    };
    let known = if twin.weak {
        let second = request.uri().path() == "/objects/1" && sent.ends_with(SECOND);
        first(sent) == Some(true) || second
    } else {
        sent == twin.token
    };
    if known {
        Json(json!({ "report": "revenue and plans of the first user" })).into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

async fn ingest(State(twin): State<Twin>, Json(body): Json<Value>) -> StatusCode {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    twin.documents.lock().expect("not poisoned").insert(text("id"), text("text"));
    StatusCode::CREATED
}

async fn document(State(twin): State<Twin>, Path(id): Path<String>) -> Response {
    match twin.documents.lock().expect("not poisoned").get(&id) {
        Some(text) => Html(format!("<!doctype html><p>{}", twin.escaped(text))).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn forget(State(twin): State<Twin>, Path(id): Path<String>) -> StatusCode {
    twin.documents.lock().expect("not poisoned").remove(&id);
    StatusCode::NO_CONTENT
}

/// The weak twin keeps the name and walks it; the secure one takes text of a bounded size.
async fn upload(State(twin): State<Twin>, body: Bytes) -> Response {
    let text = String::from_utf8_lossy(&body).into_owned();
    let name = text.split("filename=\"").nth(1).and_then(|rest| rest.split('"').next());
    let name = name.unwrap_or_default().to_owned();
    let content = text.split("\r\n\r\n").nth(1).unwrap_or_default();
    let content = content.rsplit_once("\r\n--").map_or(content, |(content, _)| content).to_owned();
    if !twin.weak {
        if !name.ends_with(".txt") || name.contains("..") {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
        }
        if content.len() > 1000 {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
    }
    let stored = name.strip_prefix("../").map_or(format!("files/{name}"), str::to_owned);
    twin.files.lock().expect("not poisoned").insert(stored, (name.clone(), content.into_bytes()));
    if twin.slow.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    Json(json!({ "name": name })).into_response()
}

async fn motto(State(twin): State<Twin>) -> Html<String> {
    let motto = twin.motto.lock().expect("not poisoned").clone();
    Html(format!("<!doctype html><h1>{}</h1>", twin.escaped(&motto)))
}

async fn new_motto(State(twin): State<Twin>, Json(body): Json<Value>) -> StatusCode {
    let motto = body["motto"].as_str().unwrap_or_default();
    motto.clone_into(&mut twin.motto.lock().expect("not poisoned"));
    StatusCode::NO_CONTENT
}

fn key(name: &str) -> String {
    name.strip_prefix("../").map_or(format!("files/{name}"), str::to_owned)
}

fn served(twin: &Twin, key: &str) -> Option<Response> {
    let (_, content) = twin.files.lock().expect("not poisoned").get(key)?.clone();
    let kind = match key.rsplit('.').next() {
        Some("html") => "text/html",
        Some("svg") => "image/svg+xml",
        _ => "text/plain",
    };
    Some(if twin.weak {
        ([(header::CONTENT_TYPE, kind)], content).into_response()
    } else {
        let headers = [
            (header::CONTENT_TYPE, "application/octet-stream"),
            (header::CONTENT_DISPOSITION, "attachment"),
        ];
        (headers, content).into_response()
    })
}

async fn file(State(twin): State<Twin>, Path(name): Path<String>) -> Response {
    served(&twin, &key(&name)).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

async fn remove(State(twin): State<Twin>, Path(name): Path<String>) -> StatusCode {
    twin.files.lock().expect("not poisoned").remove(&key(&name));
    StatusCode::NO_CONTENT
}

/// The weak twin counts by a header that anybody can send.
async fn login(
    State(twin): State<Twin>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> StatusCode {
    assert_eq!(body["user"], "throw-away", "nobody else's password is tried");
    let forwarded =
        headers.get("x-forwarded-for").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let by = if twin.weak { forwarded } else { "" }.to_owned();
    let mut logins = twin.logins.lock().expect("not poisoned");
    let n = logins.entry(by).or_default();
    *n += 1;
    if *n > 10 { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::UNAUTHORIZED }
}

async fn environment(State(twin): State<Twin>, request: Request) -> Response {
    if twin.weak {
        return "DB_PASSWORD=hunter2\n".into_response();
    }
    catch_all(State(twin), request).await
}

/// A page for everything, as single-page applications have it: never the file that was asked for. What
/// uploads put elsewhere lies here.
async fn catch_all(State(twin): State<Twin>, request: Request) -> Response {
    let key = request.uri().path().trim_start_matches('/').to_owned();
    served(&twin, &key)
        .unwrap_or_else(|| Html("<!doctype html><p>The application</p>").into_response())
}
