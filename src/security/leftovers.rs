//! What an audit could not remove itself, because its engine was killed.

use tokio::sync::watch;

use super::ledger::{Undo, put_back, remove_each_way};
use super::prober::Prober;
use super::probes::{stored, upload};
use super::replaced;
use crate::config::Config;
use crate::run::event::Written;

/// Removes what an audit wrote and has not shown to be gone; returns what is left, with the reason.
/// Doing it again changes nothing.
///
/// # Errors
/// When the services cannot be addressed at all.
pub async fn remove_leftovers(
    config: &Config,
    written: &[Written],
) -> Result<Vec<(String, String)>, String> {
    let (_gate, open) = watch::channel(true);
    let prober = Prober::new(config, open).map_err(|error| error.to_string())?;
    let mut left = Vec::new();
    for one in written {
        let mut undos: Vec<Undo> = stored::undo_of(config, one).into_iter().collect();
        undos.extend(upload::undos_of(config, one));
        let outcome = if let Some(request) = replaced::request_of(config, one) {
            put_back(&prober, &request).await.map(drop)
        } else if undos.is_empty() {
            upload::remove_where_expected(config, &prober, one).await
        } else {
            remove_each_way(&prober, &undos).await
        };
        if let Err(reason) = outcome {
            left.push((one.name.clone(), reason));
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::State;
    use axum::http::{Method, StatusCode, Uri};
    use serde_json::json;

    use super::*;

    const FILE: &str = "shakedown-run-upload-1-1.txt";

    /// What a platform holds, by its path; and whether it calls every path malformed.
    #[derive(Clone, Default)]
    struct Platform {
        files: Arc<Mutex<BTreeSet<String>>>,
        deaf: bool,
    }

    /// Files in folders; a slash that is encoded is refused as malformed, as Tomcat does.
    async fn answer(
        State(platform): State<Platform>,
        method: Method,
        uri: Uri,
    ) -> (StatusCode, String) {
        let path = uri.path().to_owned();
        if platform.deaf || path.contains("%2F") {
            return (StatusCode::BAD_REQUEST, "malformed".into());
        }
        let mut files = platform.files.lock().expect("not poisoned");
        let there =
            if method == Method::DELETE { files.remove(&path) } else { files.contains(&path) };
        match there {
            true => (StatusCode::OK, FILE.into()),
            false => (StatusCode::NOT_FOUND, "nothing there".into()),
        }
    }

    /// What is left of one file that a killed audit put into a folder.
    async fn left(platform: &Platform) -> Vec<(String, String)> {
        left_of(platform, Some(&format!("2026/{FILE}")), None).await
    }

    /// The same of one of which the platform said where it is, or may be expected to have put it.
    async fn left_of(
        platform: &Platform,
        stored: Option<&str>,
        expected: Option<&str>,
    ) -> Vec<(String, String)> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let base_url = format!("http://{}", listener.local_addr().expect("bound"));
        let router = Router::new().fallback(answer).with_state(platform.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = json!({
            "target": { "name": "left", "environment": "development" },
            "services": { "chat": { "endpoint": { "base_url": base_url }, "model": "m" } },
            "security": { "uploads": [{
                "service": "chat", "path": "/files", "stored": "/path", "fetch": "/files/{stored}",
                "delete": { "method": "DELETE", "path": "/files/{stored}" },
            }] },
        });
        let config: Config = serde_json::from_value(config).expect("a configuration");
        let written = Written {
            name: "shakedown-run-upload-1-1".into(),
            stored: stored.map(str::to_owned),
            expected: expected.map(str::to_owned),
            file: Some(FILE.into()),
            place: "chat POST /files".into(),
            undo: "DELETE /files/{stored}".into(),
        };
        remove_leftovers(&config, &[written]).await.expect("addressed")
    }

    /// Answers requests by their path, as to somebody whose session is over or not.
    async fn keeps(uri: Uri) -> (StatusCode, [(&'static str, &'static str); 1]) {
        let (status, to) = match uri.path() {
            "/over" => (StatusCode::UNAUTHORIZED, ""),
            "/sent-away" => (StatusCode::SEE_OTHER, "/login?next=/motto"),
            "/shown" => (StatusCode::SEE_OTHER, "/motto"),
            _ => (StatusCode::NO_CONTENT, ""),
        };
        (status, [("location", to)])
    }

    #[tokio::test]
    async fn who_is_not_let_in_puts_nothing_back() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let base_url = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(keeps)).await });
        let paths = ["/over", "/sent-away", "/shown", "/done"];
        let config = json!({
            "target": { "name": "left", "environment": "development" },
            "services": { "chat": { "endpoint": { "base_url": base_url }, "model": "m" } },
            "security": { "operations": paths.map(|path| json!({
                "service": "chat", "request": { "path": path, "body": { "motto": "slow" } },
            })) },
        });
        let config: Config = serde_json::from_value(config).expect("a configuration");
        let written = |at: usize| Written {
            name: format!("shakedown-run-values-{}", at + 1),
            stored: None,
            expected: None,
            file: None,
            place: format!("chat POST {}", paths[at]),
            undo: String::new(),
        };
        let all: Vec<Written> = (0..paths.len()).map(written).collect();
        let left = remove_leftovers(&config, &all).await.expect("addressed");
        let names: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["shakedown-run-values-1", "shakedown-run-values-2"], "{left:?}");
        assert!(left[0].1.contains("401") && left[1].1.contains("/login"), "{left:?}");
    }

    #[tokio::test]
    async fn a_spelling_that_the_platform_does_not_know_keeps_no_file_on_record() {
        let platform = Platform::default();
        let path = format!("/files/2026/{FILE}");
        platform.files.lock().expect("not poisoned").insert(path);
        assert_eq!(left(&platform).await, [], "it is there, and removed");
        assert!(platform.files.lock().expect("not poisoned").is_empty());
        assert_eq!(left(&platform).await, [], "it was gone already");
        let deaf = Platform { deaf: true, ..platform };
        let left = left(&deaf).await;
        assert_eq!(left.len(), 1, "who calls everything malformed shows nothing");
        assert!(left[0].1.contains("400"), "{left:?}");
    }

    #[tokio::test]
    async fn a_file_without_an_answer_is_looked_for_where_another_one_went() {
        let platform = Platform::default();
        let path = format!("/files/2026/{FILE}");
        platform.files.lock().expect("not poisoned").insert(path);
        let elsewhere = left_of(&platform, None, None).await;
        assert_eq!(elsewhere.len(), 1);
        assert!(elsewhere[0].1.contains("by hand"), "{elsewhere:?}");
        let expected = format!("2026/{FILE}");
        assert_eq!(left_of(&platform, None, Some(&expected)).await, []);
        assert!(platform.files.lock().expect("not poisoned").is_empty());
        let gone = left_of(&platform, None, Some(&expected)).await;
        assert_eq!(gone.len(), 1, "it may lie elsewhere");
    }
}
