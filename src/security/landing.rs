//! Requests that are answered by sending on to a page, as forms mostly are (post, redirect, get): what
//! became of them shows there.

use super::answer::Answer;
use super::discovery::sent_on;
use super::prober::{ProbeError, Prober};
use super::request::Request;

/// Pages that are gone through.
const MAX_PAGES: usize = 3;

/// Asks, and goes on to the page of the same service that what may change something is answered with, as
/// the first user.
///
/// # Errors
/// When there is no answer, or the budget is used up.
pub async fn ask(prober: &Prober, request: &Request) -> Result<Answer, ProbeError> {
    let mut answer = prober.ask(request).await?;
    if request.is_safe() {
        return Ok(answer);
    }
    let mut asked = request.clone();
    for _ in 0..MAX_PAGES {
        let Some(page) = sent_on(prober, &asked, &answer) else { break };
        asked = Request::get(request.service, &page);
        asked.cookies.clone_from(&request.cookies);
        let before = answer.latency;
        answer = prober.ask(&asked).await?;
        answer.latency += before;
        answer.landed = Some(Box::new(asked.clone()));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{Method, StatusCode, Uri, header};
    use axum::response::{IntoResponse, Response};
    use serde_json::json;
    use tokio::sync::watch;

    use super::*;
    use crate::config::{Config, ServiceKind};

    /// Every form sends on to where its query says; pages are there, `/again` sends on as well.
    async fn answer(method: Method, uri: Uri) -> Response {
        let to = match (method, uri.path()) {
            (Method::POST, _) => uri.query().unwrap_or_default().replace("to=", ""),
            (_, "/again") => "/again".to_owned(),
            (_, path) => return format!("page {path}").into_response(),
        };
        (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
    }

    #[tokio::test]
    async fn a_form_leads_to_a_page_of_its_service_and_nowhere_else() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let base_url = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        let config = json!({
            "target": { "name": "forms", "environment": "development" },
            "services": { "chat": { "endpoint": { "base_url": base_url }, "model": "m" } },
        });
        let config: Config = serde_json::from_value(config).expect("a configuration");
        let (_gate, open) = watch::channel(true);
        let prober = Prober::new(&config, open).expect("a prober");
        let own = format!("{base_url}/notes/8");
        for (to, status, landing) in [
            ("/notes/7", 200, Some("/notes/{id}?")),
            (own.as_str(), 200, Some("/notes/{id}?")),
            ("/login", 200, Some("/login?")),
            ("http://127.0.0.1:1/notes", 303, None),
            ("//elsewhere.example/notes", 303, None),
            ("/session/logout", 303, None),
            ("/again", 303, Some("/again?")),
        ] {
            let mut form = Request::get(ServiceKind::Chat, "/form");
            form.query = vec![("to".into(), to.into())];
            assert_eq!(ask(&prober, &form).await.expect("asked").landing(), None, "it is a GET");
            form.method = Method::POST;
            form.path = format!("/form?to={to}");
            form.query.clear();
            let answer = ask(&prober, &form).await.expect("asked");
            assert_eq!((answer.status, answer.landing().as_deref()), (status, landing), "{to}");
            assert_eq!(answer.is_taken(), status == 200 && to != "/login", "{to}");
        }
    }
}
