//! Keys in the environment of containers and in the history of images, by what a Docker engine 20.10
//! answered to the same questions: two running containers, one of an image with a key in it.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::support::Workplace;
use super::{run, status};

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../fixtures/docker/", $name, ".json"))
    };
}

/// Which engine answers.
#[derive(Clone, Copy, PartialEq)]
enum Engine {
    /// One that answers everything.
    Whole,
    /// One with the sound container alone, that fails to read the history of its image.
    WithoutHistory,
    /// None at all.
    Gone,
}

/// What the engine answers to a path, with the version of its API in front or not.
async fn answer(State(engine): State<Engine>, uri: Uri) -> Response {
    let path = uri.path();
    let path = path.strip_prefix("/v1.41").unwrap_or(path);
    let of = |word: &str| path.contains(word);
    let leaky = of("leaky") || of("b464261e");
    let body = match path {
        "/version" => recorded!("version"),
        "/containers/json" if engine == Engine::WithoutHistory => return sound_ones(),
        "/containers/json" => recorded!("containers"),
        _ if of("/containers/492811c6") => recorded!("api"),
        _ if of("/containers/b9c46c32") => recorded!("web"),
        _ if path.ends_with("/history") && engine == Engine::WithoutHistory => {
            let message = r#"{"message":"failed to read config content: unexpected EOF"}"#;
            return (StatusCode::INTERNAL_SERVER_ERROR, message).into_response();
        }
        _ if path.ends_with("/history") && leaky => recorded!("leaky-history"),
        _ if path.ends_with("/history") => recorded!("sound-history"),
        _ if of("/images/") && leaky => recorded!("leaky-image"),
        _ if of("/images/sound") => recorded!("sound-image"),
        _ => {
            let message = r#"{"message":"no such thing"}"#;
            return (StatusCode::NOT_FOUND, message).into_response();
        }
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The running containers without the one in which keys are.
fn sound_ones() -> Response {
    let mut all: Value = serde_json::from_str(recorded!("containers")).expect("JSON");
    all.as_array_mut().expect("a list").retain(|one| one["Names"][0] == "/web");
    axum::Json(all).into_response()
}

/// Searches for keys with an engine's answers at hand.
async fn search(engine: Engine) -> (Option<i32>, Value) {
    let place = Workplace::new();
    let socket = place.path().join("d.sock");
    if engine != Engine::Gone {
        let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
        let router = Router::new().fallback(answer).with_state(engine);
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    let web = Router::new().fallback(async || (StatusCode::OK, "nothing here"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let base_url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, web).await });
    let config = json!({
        "target": { "name": "containers", "environment": "development" },
        "services": { "chat": { "endpoint": { "base_url": base_url }, "model": "m" } },
        "security": { "images": { "docker": format!("unix://{}", socket.display()) } },
    });
    run(&place, &config, "no-token", &["--only", "keys"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_environments_and_histories_are_found_and_those_of_sound_ones_are_none() {
    let (code, section) = search(Engine::Whole).await;
    let all = section["findings"].as_array().expect("findings");
    let found: Vec<String> = all
        .iter()
        .map(|one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default();
            format!("{} {} {} {}", text("rule"), text("title"), text("place"), text("confidence"))
        })
        .collect();
    assert_eq!(
        found,
        [
            "SDK-KEYS-003 GitHub token in its environment container api firm",
            "SDK-KEYS-004 GitHub token in its history image leaky:1 firm",
            "SDK-KEYS-003 secret by its name in its environment container api tentative",
        ],
        "{section:#}"
    );
    assert_eq!(status(&section, "API key exposure"), "vulnerable");
    assert_eq!(code, Some(1), "a critical one");
    let told = section.to_string();
    for secret in ["a8Kd03jFq91Lm", "zR8kq2LmVx", "changeme-please"] {
        assert!(!told.contains(secret), "{secret}");
    }
    assert!(told.contains("the environment of 2 containers, the history of 2 images"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_does_not_answer_leaves_the_check_open() {
    let (code, section) = search(Engine::Gone).await;
    assert_eq!(status(&section, "API key exposure"), "not tested", "{section:#}");
    assert!(section.to_string().contains("containers not searched: "));
    assert_eq!(code, Some(3), "{section:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_cannot_be_read_leaves_the_check_open() {
    let (code, section) = search(Engine::WithoutHistory).await;
    assert_eq!(section["findings"], json!([]), "{section:#}");
    assert_eq!(status(&section, "API key exposure"), "not tested", "{section:#}");
    let told = section.to_string();
    let coverage = "the environment of 1 containers, the history of 0 images (1 without an answer)";
    assert!(told.contains(coverage), "{section:#}");
    assert_eq!(code, Some(3), "{section:#}");
}
