//! Keys in the environment of containers and in the history of images, by what a Docker engine 20.10
//! answered to the same questions: two running containers, one of an image with a key in it.

use std::os::unix::fs::PermissionsExt;

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
    /// One with the sound container alone.
    Sound,
    /// The same, and it fails to read the history of its image.
    WithoutHistory,
    /// The same, and it fails to say anything of the container.
    Unsure,
    /// The same, but the container has gone since it was listed.
    JustEnded,
    /// One with more containers than are looked at.
    Crowded,
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
        "/containers/json" if engine == Engine::Whole => recorded!("containers"),
        "/containers/json" => return sound_ones(if engine == Engine::Crowded { 201 } else { 1 }),
        _ if of("/containers/") && engine == Engine::Unsure => return failed(),
        _ if of("/containers/") && engine == Engine::JustEnded => return missing(),
        _ if of("/containers/492811c6") => recorded!("api"),
        _ if of("/containers/b9c46c32") => recorded!("web"),
        _ if path.ends_with("/history") && engine == Engine::WithoutHistory => return failed(),
        _ if of("/images/broken") => return failed(),
        _ if path.ends_with("/history") && leaky => recorded!("leaky-history"),
        _ if path.ends_with("/history") => recorded!("sound-history"),
        _ if of("/images/") && leaky => recorded!("leaky-image"),
        _ if of("/images/sound") => recorded!("sound-image"),
        _ => return missing(),
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, r#"{"message":"no such thing"}"#).into_response()
}

fn failed() -> Response {
    let message = r#"{"message":"failed to read config content: unexpected EOF"}"#;
    (StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
}

/// The running containers without the one in which keys are, and the other so many times.
fn sound_ones(times: usize) -> Response {
    let all: Value = serde_json::from_str(recorded!("containers")).expect("JSON");
    let mut sound = all.as_array().expect("a list").iter().filter(|one| one["Names"][0] == "/web");
    axum::Json(vec![sound.next().expect("recorded").clone(); times]).into_response()
}

/// Searches for keys with an engine's answers at hand, also in images of these names.
async fn search(engine: Engine, names: &[&str]) -> (Option<i32>, Value) {
    audit(engine, names, "keys").await
}

/// A Trivy that finds packages in every image, and nothing wrong with them.
const TRIVY: &str = r#"#!/bin/sh
echo '{"SchemaVersion":2,"Results":[{"Target":"a","Class":"os-pkgs","Packages":[{"Name":"a"}]}]}'
"#;

/// Makes a check with an engine's answers at hand.
async fn audit(engine: Engine, names: &[&str], check: &str) -> (Option<i32>, Value) {
    let place = Workplace::new();
    let trivy = place.path().join("trivy");
    std::fs::write(&trivy, TRIVY).expect("written");
    std::fs::set_permissions(&trivy, std::fs::Permissions::from_mode(0o755)).expect("set");
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
        "security": { "images": {
            "docker": format!("unix://{}", socket.display()), "names": names, "trivy": trivy,
        } },
    });
    run(&place, &config, "no-token", &["--only", check]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_in_environments_and_histories_are_found_and_those_of_sound_ones_are_none() {
    let (code, section) = search(Engine::Whole, &[]).await;
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
    let (code, section) = search(Engine::Gone, &[]).await;
    assert_eq!(status(&section, "API key exposure"), "not tested", "{section:#}");
    assert!(section.to_string().contains("containers not searched: "));
    assert_eq!(code, Some(3), "{section:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_cannot_be_read_leaves_the_check_open() {
    let (code, section) = search(Engine::WithoutHistory, &[]).await;
    assert_eq!(section["findings"], json!([]), "{section:#}");
    assert_eq!(status(&section, "API key exposure"), "not tested", "{section:#}");
    let told = section.to_string();
    let coverage = "the environment of 1 containers, the history of 0 images (1 without an answer)";
    assert!(told.contains(coverage), "{section:#}");
    assert_eq!(code, Some(3), "{section:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_that_were_not_looked_at_leave_the_check_open_and_one_that_has_ended_does_not() {
    for (engine, expected, coverage) in [
        (Engine::Sound, "pass", "the environment of 1 containers, the history of 1 images"),
        (Engine::JustEnded, "pass", "the environment of 0 containers, the history of 0 images"),
        (Engine::Unsure, "not tested", "; 1 containers without an answer (Docker engine: "),
        (Engine::Crowded, "not tested", "; 1 containers not looked at, 200 are the most"),
    ] {
        let (_, section) = search(engine, &[]).await;
        assert_eq!(status(&section, "API key exposure"), expected, "{coverage}: {section:#}");
        assert!(section.to_string().contains(coverage), "{coverage}: {section:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_the_engine_does_not_have_leaves_nothing_open_and_one_it_fails_on_does() {
    for (name, expected, coverage) in [
        ("elsewhere:1", "pass", "the history of 1 images, 1 images are not on the engine"),
        ("broken:1", "not tested", "the history of 1 images (1 without an answer)"),
    ] {
        let (_, section) = search(Engine::Sound, &[name]).await;
        assert_eq!(status(&section, "API key exposure"), expected, "{name}: {section:#}");
        assert!(section.to_string().contains(coverage), "{name}: {section:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_that_an_engine_does_not_tell_of_leave_the_scan_open() {
    for (engine, names, expected, coverage) in [
        (Engine::Sound, &[][..], "pass", "1 of 1 images"),
        (
            Engine::Crowded,
            &[],
            "not tested",
            "1 of 1 images; database up to date; 1 containers not looked at, 200",
        ),
        (
            Engine::Unsure,
            &["other:1"],
            "not tested",
            "1 of 1 images; database up to date; 1 containers without an answer",
        ),
        // The only one that runs, and nothing else is named.
        (Engine::Unsure, &[], "not tested", "1 containers without an answer (Docker engine: "),
        (Engine::JustEnded, &[], "not tested", "no images are known: name them"),
        (Engine::Gone, &["other:1"], "not tested", "Docker engine: Socket not found"),
    ] {
        let (_, section) = audit(engine, names, "images").await;
        assert_eq!(status(&section, "image scan"), expected, "{coverage}: {section:#}");
        let told = section["checks"][0]["coverage"].as_str().expect("words");
        assert!(told.starts_with(coverage), "{coverage}: {told}");
    }
}
